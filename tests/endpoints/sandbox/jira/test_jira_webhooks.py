"""Webhooks: bodies, addresses, headers, retries, automation."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from endpoints.sandbox.jira import JiraSandbox, create_app
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options
from tests.endpoints.sandbox.conftest import Receiver
from tests.endpoints.sandbox.jira.conftest import ADA, Site

HOOK = "/hook/${project.key}/${issue.key}?auth_token=s3cret"
NO_CHECK = {"X-Atlassian-Token": "no-check"}


@pytest.fixture
def hooked(http: requests.Session, receiver: Receiver) -> Iterator[Site]:
    """A running Jira that posts to `receiver`."""
    app = JiraSandbox(Store())
    app.receiver.register(receiver.base_url + HOOK)
    with SandboxServer(app):
        yield Site(app, http)


def _events(site: Site, receiver: Receiver) -> list[Any]:
    """Return the bodies posted so far, once nothing waits any more."""
    assert site.app.outbox.wait_idle(60)
    return receiver.bodies


def test_created_issue_is_posted_whole(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create(description="Since Monday", customfield_10050="INC1", auth=ADA)

    (body,) = _events(hooked, receiver)

    assert (body["webhookEvent"], body["issue_event_type_name"]) == ("jira:issue_created", "issue_created")
    assert body["user"]["displayName"] == "Ada Lovelace"
    assert (body["issue"]["key"], body["issue"]["self"][-6:]) == (key, "/10000")
    fields = body["issue"]["fields"]
    assert (fields["description"], fields["customfield_10050"]) == ("Since Monday", "INC1")
    assert "comment" not in fields
    assert {item["field"] for item in body["changelog"]["items"]} >= {"summary", "status", "priority"}
    assert isinstance(body["timestamp"], int)


def test_edit_posts_what_changed(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create(labels=["a"])

    hooked.ask("PUT", f"issue/{key}", {"fields": {"labels": ["a", "b"], "customfield_10050": "INC1"}})

    body = _events(hooked, receiver)[-1]
    assert (body["webhookEvent"], body["issue_event_type_name"]) == ("jira:issue_updated", "issue_updated")
    changes = {item["field"]: (item["fromString"], item["toString"]) for item in body["changelog"]["items"]}
    assert changes == {"labels": ("a", "a b"), "External reference": (None, "INC1")}


def test_transition_posts_the_status_change(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create()

    hooked.ask("POST", f"issue/{key}/transitions", {"transition": {"id": "11"}})

    body = _events(hooked, receiver)[-1]
    assert body["issue_event_type_name"] == "issue_generic"
    (item,) = body["changelog"]["items"]
    assert (item["field"], item["from"], item["to"]) == ("status", "10000", "3")
    assert (item["fromString"], item["toString"]) == ("To Do", "In Progress")
    assert body["issue"]["fields"]["status"]["name"] == "In Progress"


def test_assignment_has_its_own_event_type(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create()
    account_id = hooked.get("myself")["accountId"]

    hooked.ask("PUT", f"issue/{key}/assignee", {"accountId": account_id})

    body = _events(hooked, receiver)[-1]
    assert body["issue_event_type_name"] == "issue_assigned"
    assert body["changelog"]["items"][0]["tmpToAccountId"] == account_id


def test_comment_posts_no_issue_update(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create()
    internal = [{"key": "sd.public.comment", "value": {"internal": True}}]

    hooked.ask("POST", f"issue/{key}/comment", {"body": "On *it*", "properties": internal}, api="2")

    created, body = _events(hooked, receiver)
    assert (created["webhookEvent"], body["webhookEvent"]) == ("jira:issue_created", "comment_created")
    assert (body["comment"]["body"], body["comment"]["jsdPublic"]) == ("On *it*", False)
    shown = {"summary", "issuetype", "project", "assignee", "priority", "status"}
    assert (body["issue"]["key"], set(body["issue"]["fields"])) == (key, shown)


def test_changed_and_deleted_comment_are_posted(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create()
    address = f"issue/{key}/comment"
    address += f"/{hooked.ask('POST', address, {'body': 'Old'}, api='2').json()['id']}"

    hooked.ask("PUT", address, {"body": "New"}, api="2")
    hooked.ask("DELETE", address)

    updated, deleted = _events(hooked, receiver)[-2:]
    assert (updated["webhookEvent"], updated["comment"]["body"]) == ("comment_updated", "New")
    assert deleted["webhookEvent"] == "comment_deleted"


def test_attachment_posts_file_and_issue(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create()
    files = {"file": ("log.txt", b"disk full", "text/plain")}

    (file,) = hooked.ask("POST", f"issue/{key}/attachments", files=files, headers=NO_CHECK).json()
    hooked.ask("DELETE", f"attachment/{file['id']}")

    events = _events(hooked, receiver)[1:]
    names = [body["webhookEvent"] for body in events]
    updated = "jira:issue_updated"
    assert names == ["attachment_created", updated, "attachment_deleted", updated]
    assert (events[0]["attachment"]["filename"], "issue" in events[0]) == ("log.txt", False)
    item = events[1]["changelog"]["items"][0]
    assert (item["field"], item["to"], item["toString"]) == ("Attachment", file["id"], "log.txt")
    assert events[3]["changelog"]["items"][0]["fromString"] == "log.txt"


def test_deleted_issue_is_posted(hooked: Site, receiver: Receiver) -> None:
    key = hooked.create()

    hooked.ask("DELETE", f"issue/{key}")

    body = _events(hooked, receiver)[-1]
    assert (body["webhookEvent"], body["issue"]["key"]) == ("jira:issue_deleted", key)


def test_placeholders_in_the_address_are_replaced(hooked: Site, receiver: Receiver) -> None:
    hooked.create(project={"key": "SUP"})

    _events(hooked, receiver)

    (post,) = receiver.posts
    assert post.full_path == "/hook/SUP/SUP-1?auth_token=s3cret"


def test_retry_keeps_the_identifier(hooked: Site, receiver: Receiver) -> None:
    receiver.answers += [503, 503]
    hooked.create()
    hooked.create()

    _events(hooked, receiver)

    identifiers = [post.headers["X-Atlassian-Webhook-Identifier"] for post in receiver.posts]
    assert [body["issue"]["key"] for body in receiver.bodies] == ["OPS-1"] * 3 + ["OPS-2"]
    assert len(set(identifiers[:3])) == 1
    assert identifiers[3] != identifiers[0]
    assert receiver.posts[0].headers["User-Agent"] == "Atlassian Webhook HTTP Client"


def test_nothing_is_posted_without_a_webhook(site: Site, receiver: Receiver) -> None:
    site.create()
    site.control("receiver", {"url": receiver.base_url + HOOK})
    key = site.create()

    assert [body["issue"]["key"] for body in _events(site, receiver)] == [key]
    assert site.http.get(f"{site.url}/_sandbox/receiver", timeout=10).json()["url"].endswith(HOOK)


def test_new_address_is_used_for_what_waits(hooked: Site, receiver: Receiver) -> None:
    hooked.control("receiver", {"url": "http://127.0.0.1:9/closed"})
    hooked.create()
    assert not hooked.app.outbox.wait_idle(0.2)

    hooked.control("receiver", {"url": f"{receiver.base_url}/moved", "user": "jira", "password": "pw"})

    _events(hooked, receiver)
    authorization = receiver.posts[0].authorization
    assert authorization is not None
    assert (authorization.username, authorization.password) == ("jira", "pw")


@pytest.mark.parametrize("body", [[], {}, {"url": 7}])
def test_senseless_receiver_is_refused(site: Site, body: object) -> None:
    response = site.http.put(f"{site.url}/_sandbox/receiver", json=body, timeout=10)

    assert response.status_code == 400


def test_automation_changes_new_issues(hooked: Site, receiver: Receiver) -> None:
    hooked.control("settings", {"automation": True})

    key = hooked.create(labels=["mail"])

    created, updated = _events(hooked, receiver)
    assert created["issue"]["fields"]["priority"]["name"] == "Medium"
    assert (updated["user"]["displayName"], updated["user"]["accountType"]) == ("Automation for Jira", "app")
    assert hooked.fields(key)["labels"] == ["mail", "triaged"]
    assert hooked.fields(key)["priority"]["name"] == "High"


def test_fault_lets_webhooks_overtake_the_answer(hooked: Site, receiver: Receiver) -> None:
    hooked.control("settings", {"automation": True})
    hooked.control("faults", [{"path": "/issue$", "method": "POST", "webhook_first": True}])

    hooked.create()

    names = [body["webhookEvent"] for body in receiver.bodies]
    assert names == ["jira:issue_created", "jira:issue_updated"]


def test_refused_create_posts_nothing(hooked: Site, receiver: Receiver) -> None:
    fields = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Mail"}
    body = {"fields": fields, "properties": [{"key": "big", "value": "x" * 40_000}]}

    assert hooked.refusal("POST", "issue", body)[0] == 400

    assert _events(hooked, receiver) == []


def test_receiver_of_the_start_yields_to_a_later_one(http: requests.Session) -> None:
    store = Store()
    options = Options(receiver_url="http://first.example/")
    create_app(store, options).receiver.register("http://second.example/")

    assert create_app(store, options).receiver.url == "http://second.example/"

    assert create_app(store, Options(receiver_url="http://third.example/")).receiver.url[7:12] == "third"
