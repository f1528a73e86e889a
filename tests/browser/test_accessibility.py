"""WCAG 2.2 AA by axe: every work page, light and dark, on a phone, and with what opens later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.screenshots import DESK, LOGIN, PHONE
from tests.browser.staged import Staged, staged

pytestmark = pytest.mark.slow
# Beside what WCAG asks: what people with a screen reader find their way by.
BESIDE = (
    "landmark-one-main",
    "landmark-no-duplicate-main",
    "page-has-heading-one",
    "heading-order",
    "tabindex",
)
OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {name: {"enabled": True} for name in ("target-size", *BESIDE)},
    "resultTypes": ["violations"],
}
FOCUSED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const marked = style.outlineStyle !== "none" || style.boxShadow !== "none";
  // After the last control the browser's own come, and then the page again.
  return [one.tagName + " " + one.outerHTML.slice(0, 120), marked || one === document.body];
}"""
AT_REST = """async () => {
  await document.fonts.ready;
  const ends = (motion) => Number.isFinite(motion.effect.getComputedTiming().endTime);
  await Promise.allSettled(document.getAnimations().filter(ends).map((motion) => motion.finished));
}"""
BROKEN = """<main><h1>One</h1><p style="color:#aaa">pale</p>
<img src="data:,"><input><button></button></main>"""
ON_PHONE = ("messages", "conversation")
EDITOR_TABS = ("when", "lookups", "variables", "conversation", "attachments", "delay", "more")


@pytest.fixture(scope="module")
def desk() -> Iterator[Staged]:
    """A running demo in which something of everything has happened."""
    with staged() as stage:
        yield stage


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def find_with_palette(page: Page) -> None:
    page.keyboard.press("/")
    page.locator("#search-input-command").press_sequentially("jira")
    page.locator("#command-results-list").wait_for()


def open_account(page: Page) -> None:
    page.get_by_title("Your account").click()


def choose_rows(page: Page) -> None:
    page.locator("#queue-rows input[type=checkbox]").nth(1).check()


def plan_retry(page: Page) -> None:
    choose_rows(page)
    page.get_by_role("button", name="Retry…").click()
    page.wait_for_url("**/plan/")


def show_keys(page: Page) -> None:
    page.get_by_label("Keyboard help").click()


def filter_more(page: Page) -> None:
    page.get_by_text("More filters").click()


def open_drawer(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Filters")).press("Enter")
    page.locator("#changelist-filter").wait_for()


def choose_deliveries(page: Page) -> None:
    page.locator("input.action-select").first.check()
    page.get_by_label("Select action to run").wait_for()


def confirm_skip(page: Page) -> None:
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_role("button", name="Skip 1").wait_for()


def show_options(page: Page) -> None:
    page.get_by_label("Options of this mapping").nth(1).click()


def edit_table(page: Page) -> None:
    page.get_by_label("Edit the table").first.click()


def mistake(page: Page) -> None:
    page.get_by_placeholder("Add a field of the target, then Enter").fill("nowhere")
    page.keyboard.press("Enter")
    page.get_by_text("to correct").wait_for()


def plan_differently(page: Page) -> None:
    page.get_by_text("Plan it differently").click()


def edit_mappings(page: Page) -> None:
    page.locator("#tabs-items").get_by_text("Mappings").click()


def open_tab(name: str) -> Callable[[Page], None]:
    return lambda page: page.locator(f".oi-tab[data-tab={name}]").click()


OPENED: list[tuple[str, Callable[[Page], None]]] = [
    ("home", find_with_palette),
    ("home", open_account),
    ("messages", choose_rows),
    ("messages", plan_retry),
    ("messages", show_keys),
    ("messages", filter_more),
    ("deliveries", open_drawer),
    ("deliveries", choose_deliveries),
    ("delivery-held", confirm_skip),
    ("mapping-editor", show_options),
    ("mapping-editor", edit_table),
    ("mapping-editor", mistake),
    ("mapping-editor", show_keys),
    ("replay", plan_differently),
    ("rule", edit_mappings),
    *(("mapping-editor", open_tab(name)) for name in EDITOR_TABS),
]
"""A page and what is opened on it."""


def test_every_page_can_be_used_by_everybody(browser: Browser, desk: Staged, theme: str):
    page = desk.window(browser, viewport=DESK, color_scheme=theme, reduced_motion="reduce").new_page()

    faults = {name: found for name in desk.pages if (found := faults_at(page, desk.pages[name]))}

    page.context.close()
    assert faults == {}


def test_phone_can_be_used_by_everybody(browser: Browser, desk: Staged, theme: str):
    page = desk.window(browser, viewport=PHONE, color_scheme=theme, reduced_motion="reduce").new_page()

    faults = {name: found for name in ON_PHONE if (found := faults_at(page, desk.pages[name]))}

    page.context.close()
    assert faults == {}


def test_what_opens_later_can_be_used_by_everybody(browser: Browser, desk: Staged, theme: str):
    page = desk.window(browser, viewport=DESK, color_scheme=theme, reduced_motion="reduce").new_page()

    faults = [(name, found) for name, opens in OPENED if (found := faults_at(page, desk.pages[name], opens))]

    page.context.close()
    assert faults == []


def test_everybody_can_sign_in(browser: Browser, desk: Staged, theme: str):
    page = desk.stranger(browser, viewport=DESK, color_scheme=theme).new_page()

    faults = faults_at(page, LOGIN["login"])
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()
    faults += faults_of(page)

    page.context.close()
    assert faults == []


def faults_at(page: Page, address: str, opens: Callable[[Page], None] | None = None) -> list[str]:
    """What is wrong with one page, with something open on it."""
    page.goto(address)
    page.wait_for_timeout(300)
    if opens is not None:
        opens(page)
        page.wait_for_timeout(400)
    page.evaluate(AT_REST)
    return faults_of(page)


def faults_of(page: Page) -> list[str]:
    """What is wrong with what the window shows: the rule of axe and the place."""
    found = Axe().run(page, options=OPTIONS).response["violations"]
    faults = [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]
    headings = page.locator("h1").count()
    return faults if headings == 1 else [*faults, f"{headings} first headings"]


@pytest.mark.parametrize("name", ["home", "messages", "mapping-editor"])
def test_keyboard_reaches_all_and_is_seen(browser: Browser, desk: Staged, name: str):
    context = desk.window(browser, viewport=DESK)
    page = context.new_page()
    page.goto(desk.pages[name])

    stops = [stop(page) for _ in range(40)]

    context.close()
    assert len({place for place, _ in stops}) > 10
    assert [place for place, marked in stops if not marked] == []


def stop(page: Page) -> tuple[str, bool]:
    """Press Tab: where that leads, and whether it can be seen there."""
    page.keyboard.press("Tab")
    place, marked = page.evaluate(FOCUSED)
    return place, marked


def test_faults_are_noticed(browser: Browser):
    page = browser.new_page()
    page.set_content(BROKEN)

    found = faults_of(page)

    page.close()
    assert sorted({fault.split(":")[0] for fault in found}) == [
        "button-name",
        "color-contrast",
        "document-title",
        "html-has-lang",
        "image-alt",
        "label",
        "target-size",
    ]
