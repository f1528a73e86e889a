import re

import pytest
from playwright.sync_api import Page, expect

from conversations.models import Delivery, DeliveryState, HoldReason, MessageState
from endpoints import receiver_logins
from endpoints.models import Endpoint
from routing.models import RoutingRule
from tests.factories import make_delivery, make_endpoint, make_environment, make_message
from tests.patience import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


LISTS = [
    "",
    "conversations/message/",
    "conversations/delivery/",
    "conversations/conversation/",
    "endpoints/endpoint/",
    "endpoints/alert/",
    "routing/routingrule/",
    "routing/translationtable/",
    "oneio/organization/",
    "oneio/environment/",
    "auth/user/",
    "django_q/schedule/",
]


def make_held() -> Delivery:
    environment = make_environment()
    source = make_endpoint("servicenow", environment, name="ServiceNow")
    target = make_endpoint("jira", environment, name="Jira")
    message = make_message(source, state=MessageState.ROUTED, number="INC0012", entity_type="incident")
    return make_delivery(message, target, DeliveryState.HELD, hold_reason=HoldReason.REFUSED, status_code=400)


def is_readable(page: Page) -> None:
    """Nothing runs out of the window sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_held_ticket_is_found_from_home_and_retried(page: Page):
    delivery = make_held()

    page.goto("/admin/")
    is_readable(page)
    page.get_by_role("link", name="Open group").click()
    expect(page.get_by_text("answered and refused what we sent")).to_be_visible()
    is_readable(page)
    page.get_by_role("button", name="Retry…").click()
    expect(page.get_by_role("heading", name="Retry 1 delivery of 1 ticket?")).to_be_visible()
    page.get_by_role("button", name="Retry 1").click()

    expect(page.get_by_text("1 delivery will be sent again.")).to_be_visible()
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.QUEUED


def test_delivery_says_what_to_do_and_can_be_skipped(page: Page):
    delivery = make_held()

    page.goto(f"/admin/conversations/delivery/{delivery.pk}/change/")
    is_readable(page)
    expect(page.get_by_text("What to do:")).to_be_visible()
    page.get_by_role("button", name="Skip").click()
    page.get_by_role("button", name="Skip 1").click()

    expect(page.get_by_text("1 delivery skipped.")).to_be_visible()
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.SKIPPED


def test_endpoint_is_connected_by_its_type(page: Page):
    environment = make_environment()

    page.goto("/admin/endpoints/endpoint/add/")
    page.get_by_role("link", name="ServiceNow").last.click()
    page.fill("#id_name", "ServiceNow PROD")
    page.select_option("#id_environment", str(environment.pk))
    page.fill("#id_base_url", "https://acme.example.com")
    page.fill("#id_servicenow_username", "oneio")
    page.fill("#id_servicenow_password", "secret")
    page.get_by_role("button", name="Generate password").click()
    password = page.locator("#new-receiver_password code").inner_text()
    is_readable(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/endpoint/")

    endpoint = Endpoint.objects.get()
    assert endpoint.slug == "servicenow-prod"
    assert endpoint.entity_types.filter(name="incident").exists()
    username = endpoint.receiver_logins.get().username
    assert receiver_logins.identify(username, password) == endpoint


def test_fields_of_the_other_way_to_log_in_are_hidden(page: Page):
    page.goto("/admin/endpoints/endpoint/add/?kind=servicenow")

    expect(page.locator("#id_servicenow_client_id")).to_be_hidden()
    page.select_option("#id_servicenow_auth", "oauth")

    expect(page.locator("#id_servicenow_client_id")).to_be_visible()


def test_rule_is_written_and_published(page: Page):
    environment = make_environment()
    make_endpoint("servicenow", environment, name="ServiceNow")
    make_endpoint("jira", environment, name="Jira")

    page.goto("/admin/routing/routingrule/add/")
    page.fill("#id_name", "Incident to Jira")
    page.locator("#id_source").select_option(label=f"ServiceNow – incident ({environment})")
    page.locator("#id_target").select_option(label=f"Jira – incident ({environment})")
    page.get_by_role("button", name="Save draft").click()
    page.get_by_role("link", name="Back to the rule").click()
    page.locator("#tabs-items").get_by_text("Mappings").click()
    page.get_by_text("Add another Mapping").first.click()
    page.fill("#id_routing-mapping-0-source", "title")
    page.fill("#id_routing-mapping-0-target", "title")
    is_readable(page)
    page.get_by_role("button", name="Publish…").click()
    page.get_by_label("Why?").fill("Agreed with the Jira team")
    page.get_by_role("button", name="Publish").click()

    expect(page.get_by_text("works from the next message on")).to_be_visible()
    rule = RoutingRule.objects.get()
    assert rule.current_version is not None
    assert [row.target for row in rule.current_version.mappings.all()] == ["title"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_list_fits_the_window(page: Page):
    make_held()

    for path in LISTS:
        page.goto(f"/admin/{path}")
        expect(page.locator("h1").first).to_be_visible()
        is_readable(page)


def test_dark_system_gets_dark_pages(browser, live_server):
    context = browser.new_context(color_scheme="dark", base_url=live_server.url)
    page = context.new_page()

    page.goto("/admin/login/")

    expect(page.locator("html")).to_have_class(re.compile("dark"))
    context.close()


def test_copy_button_copies(page: Page):
    delivery = make_held()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.goto(f"/admin/conversations/message/{delivery.message_id}/change/")
    page.get_by_role("button", name=re.compile("^Copy")).first.click()

    wait_for(lambda: page.evaluate("navigator.clipboard.readText()") == delivery.message.response_id)
