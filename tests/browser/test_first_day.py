"""A first day: two systems connected, a rule written, a ticket watched, another found and repaired."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from conversations.demo.systems import CALLER, System
from endpoints.http import HttpClient
from endpoints.network import NetworkPolicy
from tests.browser.product import Product, product
from tests.conversations.world import Remote, system
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow
INCIDENT = {"assignment_group": "Vendor Support", "person": CALLER}
HIGH, CRITICAL = {"impact": "1", "urgency": "2"}, {"impact": "1", "urgency": "1"}


@pytest.fixture
def installed() -> Iterator[Product]:
    """oneio, freshly installed."""
    with product() as running:
        yield running


@pytest.fixture
def servicenow() -> Iterator[Remote]:
    """The company's ServiceNow."""
    with system("servicenow", ("admin", "admin")) as remote:
        yield remote


@pytest.fixture
def jira() -> Iterator[Remote]:
    """The partner's Jira."""
    with system("jira", ("ada@example.com", "jira-sandbox-token")) as remote:
        yield remote


class Person:
    """Somebody at a browser, who does what the guide says."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def sign_in(self, password: str) -> None:
        """With the password that the first start printed."""
        self.page.goto("/admin/")
        self.page.fill("#id_username", "admin")
        self.page.fill("#id_password", password)
        with self.page.expect_navigation():
            self.page.click("[type=submit]")

    def add_company(self) -> None:
        """Its organization, and the environment to try things out in."""
        self.page.goto("/admin/oneio/organization/add/")
        self.page.fill("#id_name", "Example Ltd")
        self.page.fill("#id_slug", "example")
        self.submit("Save")
        self.page.goto("/admin/oneio/environment/add/")
        self.page.select_option("#id_organization", label="Example Ltd")
        self.page.select_option("#id_kind", "qa")
        self.submit("Save")

    def connect(self, label: str, remote: Remote, **fields: str) -> None:
        """Add an endpoint, give the system its receiver address and password, and test both ways."""
        page = self.page
        page.goto("/admin/endpoints/endpoint/add/")
        page.get_by_role("link", name=label).last.click()
        page.fill("#id_name", label)
        page.select_option("#id_environment", label="Example Ltd QA")
        page.fill("#id_base_url", remote.url)
        for name, value in fields.items():
            page.fill(f"#id_{name}", value)
        self.press("Generate password")
        password = page.locator("#new-receiver_password code").inner_text()
        page.fill("#receiver_password-username", label.lower())
        self.submit("Save and continue editing")
        page.get_by_role("button", name="Test credentials").click()
        expect(page.get_by_text("accepted our credentials")).to_be_visible()
        self.tell(remote, label.lower(), password)

    def tell(self, remote: Remote, username: str, password: str) -> None:
        """In the system itself: where and as whom it posts."""
        address = self.page.locator("code", has_text="/v1/messages").last.inner_text()
        url = address.removesuffix("/v1/messages")
        remote.call("PUT", "/_sandbox/receiver", json={"url": url, "user": username, "password": password})

    def write_rule(self) -> None:
        """Title and priority go over; a table says how one priority is called there."""
        page = self.page
        page.goto("/admin/routing/translationtable/add/")
        page.fill("#id_name", "Priorities")
        page.select_option("#id_environment", label="Example Ltd QA")
        self.submit("Save")
        page.goto("/admin/routing/routingrule/add/")
        page.fill("#id_name", "Incident to Jira")
        page.locator("#id_source").select_option(label="ServiceNow – incident (Example Ltd QA)")
        page.locator("#id_target").select_option(label="Jira – incident (Example Ltd QA)")
        self.submit("Save draft")
        self.map("title")
        self.map("priority")
        page.get_by_label("How").last.select_option("translate")
        page.get_by_label("Table", exact=True).select_option("Priorities")
        self.translate("2 - High", "High")
        page.keyboard.press("Control+s")
        expect(page.get_by_text("All changes saved")).to_be_visible()
        self.press("Publish…")
        page.get_by_label("Why?").fill("Agreed with the Jira team")
        self.press("Publish")
        expect(page.get_by_text("works from the next message on")).to_be_visible()

    def map(self, attribute: str) -> None:
        """A new row of the mapping editor, from and to the attribute of that name."""
        self.page.get_by_placeholder("Add a field of the target, then Enter").fill(attribute)
        self.page.keyboard.press("Enter")

    def translate(self, before: str, after: str) -> None:
        """A new row of the table that the mapping uses."""
        page = self.page
        self.press("Edit the table")
        page.get_by_label("What comes in").last.fill(before)
        page.get_by_label("What goes out").last.fill(after)
        self.press("Save table")
        expect(page.get_by_role("button", name="Save table")).to_be_hidden()

    def submit(self, button: str) -> None:
        """Press that button of a form and wait for the page that comes then."""
        with self.page.expect_navigation():
            self.press(button)

    def press(self, button: str) -> None:
        """The button of that name."""
        self.page.get_by_role("button", name=button, exact=True).first.click()


@pytest.fixture
def person(browser: Browser, installed: Product) -> Iterator[Person]:
    """At a window of their own; a script error in any page fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=installed.url)
    context.set_default_timeout(PATIENCE * 1000)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield Person(context.new_page())
    context.close()
    assert not errors


def open_incident(servicenow: Remote, title: str, **fields: str) -> None:
    """Somebody opens an incident in ServiceNow."""
    http = HttpClient(NetworkPolicy(allow_loopback=True))
    System("ServiceNow", servicenow.url, http).submit("/new", short_description=title, **INCIDENT, **fields)
    http.close()


def priorities(jira: Remote) -> dict[str, str]:
    """The issues that Jira has, and how urgent they are there."""
    found = jira.call("GET", "/rest/api/2/search/jql", params={"jql": "project = OPS", "fields": "*all"})
    return {issue["fields"]["summary"]: issue["fields"]["priority"]["name"] for issue in found["issues"]}


def test_two_systems_are_connected_and_a_stuck_ticket_repaired(
    installed: Product, person: Person, servicenow: Remote, jira: Remote
):
    page = person.page
    person.sign_in(installed.password)
    person.add_company()
    person.connect("ServiceNow", servicenow, servicenow_username="oneio", servicenow_password="oneio")
    mail = {"jira_email": "integration@example.com", "jira_api_token": "jira-sandbox-token"}
    person.connect("Jira", jira, jira_project="OPS", **mail)
    person.write_rule()

    page.goto("/admin/conversations/message/")
    expect(page.get_by_text("● live")).to_be_visible()
    open_incident(servicenow, "Mail is down", **HIGH)
    expect(page.get_by_role("link", name=re.compile("OPS-1.*Delivered"))).to_be_visible()
    assert priorities(jira) == {"Mail is down": "High"}

    open_incident(servicenow, "Plant stands still", **CRITICAL)
    expect(page.get_by_role("link", name=re.compile("Jira.*Needs you"))).to_be_visible()
    page.goto("/admin/")
    page.get_by_role("link", name="Open group").click()
    expect(page.get_by_text("Table Priorities has no row for 1 - Critical")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Open INC")).click()
    page.get_by_role("link", name="Open rule").click()
    page.get_by_role("link", name="Mapping editor").click()
    person.translate("1 - Critical", "Highest")
    page.goto("/admin/needs-you/")
    person.press("Retry…")
    person.press("Retry 1")

    expect(page.get_by_text("1 delivery will be sent again.")).to_be_visible()
    page.goto("/admin/conversations/message/")
    expect(page.get_by_role("link", name=re.compile("OPS-2.*Delivered"))).to_be_visible()
    assert priorities(jira) == {"Mail is down": "High", "Plant stands still": "Highest"}
    page.goto("/admin/")
    expect(page.get_by_role("link", name="Open group")).to_be_hidden()
