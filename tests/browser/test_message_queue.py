"""The message queue in a browser: it follows what happens, waits while somebody reads, and obeys keys."""

import re

import pytest
from playwright.sync_api import Page, expect

from conversations.models import DeliveryState, HoldReason, MessageState
from tests.conversations.test_feed import Routed
from tests.factories import make_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
QUEUE = "/admin/conversations/message/"


def make_held() -> Routed:
    return Routed(DeliveryState.HELD, hold_reason=HoldReason.REFUSED)


def rest(page: Page) -> None:
    """The pointer leaves the list."""
    page.mouse.move(5, 5)


def test_new_message_arrives_without_reload(page: Page):
    make_held()
    page.goto(QUEUE)
    rest(page)
    expect(page.get_by_text("● live")).to_be_visible()

    make_message(number="INC0777", state=MessageState.UNMATCHED)

    expect(page.get_by_role("link", name="INC0777")).to_be_visible()


def test_list_stands_still_under_the_pointer(page: Page):
    make_held()
    page.goto(QUEUE)
    page.get_by_role("link", name="INC0012").hover()
    expect(page.get_by_text("‖ paused while you are on the list")).to_be_visible()

    make_message(number="INC0777", state=MessageState.UNMATCHED)
    page.wait_for_timeout(4000)
    expect(page.get_by_role("link", name="INC0777")).to_be_hidden()
    rest(page)

    expect(page.get_by_role("link", name="INC0777")).to_be_visible()


def test_list_is_walked_and_opened_by_keys(page: Page):
    first, second = make_held(), make_held()
    page.goto(QUEUE)

    page.keyboard.press("/")
    expect(page.locator("input[name=q]")).to_be_focused()
    page.locator("input[name=q]").blur()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("tr.oi-here")).to_have_attribute("data-key", str(second.message.pk))
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{QUEUE}{first.message.pk}/change/")


def test_help_names_the_keys(page: Page):
    page.goto(QUEUE)

    page.keyboard.press("?")

    expect(page.get_by_text("Search a ticket")).to_be_visible()


def test_ticket_is_retried_by_key_after_a_plan(page: Page):
    held = make_held()
    page.goto(QUEUE)

    page.keyboard.press("j")
    page.keyboard.press("r")
    expect(page.get_by_text("Retry 1 delivery of 1 ticket?")).to_be_visible()
    page.get_by_role("button", name="Retry 1").click()

    expect(page.get_by_text("1 delivery will be sent again.")).to_be_visible()
    held.delivery.refresh_from_db()
    assert held.delivery.state == DeliveryState.QUEUED


def test_filter_goes_into_the_address(page: Page):
    make_held()
    page.goto(QUEUE)

    page.get_by_label("Status").select_option("needs-you")

    page.wait_for_url(re.compile("state=needs-you"))
    expect(page.get_by_role("link", name="INC0012")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_queue_fits_a_phone(page: Page):
    make_held()
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto(QUEUE)

    expect(page.get_by_role("link", name="INC0012")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
