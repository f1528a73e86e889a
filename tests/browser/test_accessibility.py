"""WCAG 2.2 AA on every work page, light and dark, as far as a program can see it (see accessibility.js)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.staged import Staged, staged

pytestmark = pytest.mark.slow
CHECKS = (Path(__file__).parent / "accessibility.js").read_text()
FOCUSED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const marked = style.outlineStyle !== "none" || style.boxShadow !== "none";
  // After the last control the browser's own come, and then the page again.
  return [one.tagName + " " + one.outerHTML.slice(0, 120), marked || one === document.body];
}"""
BROKEN = """<main><h1>One</h1><h1>Two</h1><p style="color:#aaa">pale</p>
<img src="data:,"><input><button></button></main>"""


@pytest.fixture(scope="module")
def desk() -> Iterator[Staged]:
    """A running demo in which something of everything has happened."""
    with staged() as stage:
        yield stage


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody(browser: Browser, desk: Staged, theme: str):
    context = desk.window(
        browser, viewport={"width": 1280, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()

    faults = {name: found for name, address in desk.pages.items() if (found := faults_of(page, address))}

    context.close()
    assert faults == {}


def faults_of(page: Page, address: str) -> list[str]:
    """What is wrong with one page."""
    page.goto(address)
    page.wait_for_timeout(300)
    found: list[str] = page.evaluate(CHECKS)
    return found


@pytest.mark.parametrize("name", ["home", "messages", "mapping-editor"])
def test_keyboard_reaches_all_and_is_seen(browser: Browser, desk: Staged, name: str):
    context = desk.window(browser, viewport={"width": 1280, "height": 900})
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

    found = page.evaluate(CHECKS)

    page.close()
    assert [fault.split(":")[0].split(" (")[0] for fault in found] == [
        "The page has no language.",
        "The page has no title.",
        "The page has 2 first headings.",
        "A picture without a text",
        "A control without a name",
        "A control without a name",
        "Contrast 2.3",
    ]
