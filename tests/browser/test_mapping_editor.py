"""The mapping editor in a browser: a rule is written, tried as one types, saved and published."""

import re

import pytest
from playwright.sync_api import Page, expect

from routing import versions
from routing.models import TranslationTable
from tests.conversations.test_editor import Desk
from tests.conversations.world import make_table

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PASTE = """(text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    document.activeElement.dispatchEvent(paste);
}"""


def opened(page: Page, desk: Desk) -> Page:
    page.goto(f"/admin/routing/routingrule/{desk.rule.pk}/editor/")
    expect(page.get_by_text("matches this sample")).to_be_visible()
    return page


def add(page: Page, name: str) -> None:
    """Type a name at the end of the rows and press Enter."""
    page.get_by_placeholder("Add a field of the target, then Enter").fill(name)
    page.keyboard.press("Enter")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_rule_is_written_tried_saved_and_published(page: Page):
    desk = Desk()
    opened(page, desk)

    add(page, "title")
    expect(page.get_by_role("cell", name="Core switch down")).to_be_visible()
    page.get_by_label("How").select_option("template")
    page.get_by_label("Template").fill("{{ message.number }}: {{ title }}")
    expect(page.get_by_role("cell", name="INC0012: Core switch down", exact=True)).to_be_visible()
    expect(page.locator(".oi-json").first).to_contain_text('"summary": "INC0012: Core switch down"')
    assert fits(page)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("All changes saved")).to_be_visible()
    page.get_by_role("button", name="Publish…").click()
    page.get_by_label("Why?").fill("Agreed with the Jira team")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("works from the next message on")).to_be_visible()

    desk.rule.refresh_from_db()
    assert desk.rule.current_version is not None
    assert [row.target for row in desk.rule.current_version.mappings.all()] == ["title"]


def test_focus_stays_while_results_arrive(page: Page):
    opened(page, Desk())
    add(page, "title")

    page.get_by_label("To", exact=True).focus()
    with page.expect_response("**/preview/"):
        page.keyboard.type("x")
    page.wait_for_timeout(200)
    page.keyboard.type("y")

    expect(page.get_by_label("To", exact=True)).to_be_focused()
    expect(page.get_by_label("To", exact=True)).to_have_value("titlexy")


def test_what_is_wrong_stands_beside_its_row(page: Page):
    opened(page, Desk())

    add(page, "labels")
    expect(page.get_by_text("1 thing to correct")).to_be_visible()
    page.keyboard.press("Control+s")

    expect(page.locator(".oi-editor-problem")).to_be_visible()
    expect(page.get_by_text("Not saved yet")).to_be_visible()


def test_field_is_added_by_its_label_and_checked_when_saved(page: Page):
    desk = Desk()
    opened(page, desk)

    add(page, "Summary")
    expect(page.get_by_label("To", exact=True)).to_have_value("title")
    expect(page.get_by_label("From", exact=True)).to_have_value("title")
    page.get_by_label("From", exact=True).fill("prioirty")
    page.keyboard.press("Control+s")

    expect(page.get_by_text("has no prioirty. Is priority meant?")).to_be_visible()


def test_chip_leads_to_what_is_wrong(page: Page):
    opened(page, Desk())
    add(page, "labels")
    page.get_by_role("button", name=re.compile("^More")).click()

    page.get_by_role("button", name="1 thing to correct").click()

    expect(page.get_by_label("From", exact=True)).to_be_focused()


def test_other_kind_leaves_nothing_behind(page: Page):
    desk = Desk()
    opened(page, desk)
    add(page, "title")
    page.get_by_label("How").select_option("constant")
    page.get_by_label("Constant").fill("servicenow")

    page.keyboard.press("Control+s")
    expect(page.get_by_text("All changes saved")).to_be_visible()

    draft = versions.find_draft(desk.rule)
    assert draft is not None
    row = draft.mappings.get()
    assert (row.kind, row.source, row.constant) == ("constant", "", "servicenow")


def test_conditions_nest_and_say_whether_they_hold(page: Page):
    desk = Desk()
    opened(page, desk)

    page.get_by_role("button", name=re.compile("^When")).click()
    page.get_by_role("button", name="Add group").first.click()
    page.get_by_label("Attribute", exact=True).fill("priority")
    page.get_by_label("Value", exact=True).fill("2 - High")
    expect(page.get_by_text("does not match this sample")).to_be_visible()
    expect(page.get_by_text("is 1 - Critical")).to_be_visible()
    page.get_by_label("Value", exact=True).fill("1 - Critical")
    expect(page.get_by_text("matches this sample", exact=True)).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("All changes saved")).to_be_visible()

    draft = versions.find_draft(desk.rule)
    assert draft is not None
    inner = draft.conditions.get(group="")
    assert (inner.parent.group, inner.path) == ("any", "priority")


def test_table_is_pasted_from_a_spreadsheet(page: Page):
    desk = Desk()
    make_table(desk.source, {}, name="Priorities")
    opened(page, desk)
    add(page, "priority")
    page.get_by_label("How").select_option("translate")
    page.get_by_label("Table", exact=True).select_option("Priorities")
    expect(page.get_by_text("has no row for 1 - Critical")).to_be_visible()

    page.get_by_role("button", name="Edit the table").click()
    expect(page.get_by_role("button", name="1 - Critical", exact=True)).to_be_visible()
    page.get_by_label("What comes in").first.focus()
    page.evaluate(PASTE, "1 - Critical\tHighest\n2 - High\tHigh")
    page.get_by_role("button", name="Save table").click()
    expect(page.get_by_role("button", name="Save table")).to_be_hidden()

    expect(page.get_by_role("cell", name="Highest", exact=True)).to_be_visible()
    assert TranslationTable.objects.get(name="Priorities").rows.count() == 2


def test_lookup_is_written_by_keyboard_and_saved(page: Page):
    desk = Desk()
    opened(page, desk)
    page.get_by_role("button", name=re.compile("^Lookups")).click()
    page.get_by_role("button", name="Add lookup").press("Enter")

    page.keyboard.type("caller")
    page.get_by_label("Ask", exact=True).select_option("ServiceNow: another record")
    page.get_by_label("Record", exact=True).fill("sys_user")
    expect(page.get_by_role("button", name="1 thing to correct")).to_be_visible()
    page.get_by_label("Attribute there").fill("name")
    page.get_by_label("What it must equal").fill("Caller of {{ title }}")
    expect(page.get_by_text("is Caller of Core switch down")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_text("All changes saved")).to_be_visible()

    draft = versions.find_draft(desk.rule)
    assert draft is not None
    assert [(row.name, row.record) for row in draft.lookups.all()] == [("caller", "sys_user")]


def test_draft_of_somebody_else_stays(page: Page):
    desk = Desk()
    opened(page, desk)
    desk.save(priority=7)

    add(page, "title")
    page.keyboard.press("Control+s")

    expect(page.get_by_text("after you opened it")).to_be_visible()
    draft = versions.find_draft(desk.rule)
    assert draft is not None
    assert (draft.priority, draft.mappings.count()) == (7, 0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_fits_the_window(page: Page):
    opened(page, Desk())

    for word in ("When", "Lookups", "Variables", "Outgoing", "Conversation", "Attachments", "Delay", "More"):
        page.get_by_role("button", name=re.compile(f"^{word}")).first.click()
        assert fits(page)
