"""What the sandboxes post, read by the adapters: both sides agree without having seen each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from endpoints.adapters.base import Action, Command, Reference
from endpoints.adapters.jira import JiraAdapter
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import CanonicalMessage, Comment, Operation, Visibility
from endpoints.http import HttpClient
from endpoints.sandbox.jira.app import JiraSandbox
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.servicenow.application import ServiceNowApp
from tests.endpoints.adapters.conftest import INCIDENT, ISSUE, jira_config, received, servicenow_config
from tests.endpoints.sandbox.conftest import Receiver
from tests.patience import wait_for


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    app = Receiver()
    with SandboxServer(app):
        yield app


def posted(receiver: Receiver, count: int) -> list[dict[str, Any]]:
    """The bodies posted, once there are as many as expected."""
    wait_for(lambda: len(receiver.posts) >= count)
    assert len(receiver.posts) == count
    return receiver.bodies


def by_hand(app: ServiceNowApp, method: str, path: str, body: dict[str, str]) -> dict[str, Any]:
    """A change by a person, who is not the integration user."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{app.base_url}/api/now/table/incident{path}"
        answer = session.request(method, url, json=body, auth=("admin", "admin"), timeout=10)
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_servicenow_insert_and_comment_are_understood(servicenow: ServiceNowApp, receiver: Receiver) -> None:
    requests_to = {"url": f"{receiver.base_url}/api", "user": "u", "password": "p"}
    with requests.Session() as session:
        session.trust_env = False
        session.put(f"{servicenow.base_url}/_sandbox/receiver", json=requests_to, timeout=10)

    made = by_hand(servicenow, "POST", "", {"short_description": "Mail is down", "impact": "1"})
    by_hand(servicenow, "PATCH", f"/{made['sys_id']}", {"comments": "Any news?"})
    adapter = ServiceNowAdapter(servicenow_config(servicenow.base_url))
    created, commented = (adapter.read(received(body)) for body in posted(receiver, 2))

    assert (created.operation, created.external_id) == (Operation.CREATE, made["sys_id"])
    assert created.attributes["impact"] == "1 - High"
    assert commented.operation is Operation.COMMENT
    assert [comment.text for comment in commented.comments] == ["Any news?"]
    assert created.event_id != commented.event_id


@pytest.mark.parametrize("version", ["2", "3"])
def test_jira_tells_back_what_we_wrote(
    jira: JiraSandbox, receiver: Receiver, http: HttpClient, version: str
) -> None:
    jira.receiver.register(f"{receiver.base_url}/hook?issue.id=${{issue.id}}")
    adapter = JiraAdapter(jira_config(jira.base_url, settings={"api_version": version}))
    attributes = {"title": "Mail is down", "description": "one\n\n* two https://a.example/x\n[3]"}

    outcome = adapter.send(adapter.render(Command(Action.CREATE, ISSUE, "5f0c9a", None, attributes)), http)
    comment = Command(
        Action.COMMENT, ISSUE, "b", Reference(outcome.external_id), {}, Comment("1", "Hi", Visibility.PUBLIC)
    )
    told = adapter.send(adapter.render(comment), http)
    created, commented = (adapter.read(received(body)) for body in posted(receiver, 2))

    assert created.effect_key == "5f0c9a"
    assert {name: created.attributes[name] for name in attributes} == outcome.written
    assert [each.id for each in commented.comments] == [item.remote_id for item in told.items]
    assert commented.comments[0].visibility is Visibility.PUBLIC


def test_servicenow_fetch_tells_what_we_wrote(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter = ServiceNowAdapter(servicenow_config(servicenow.base_url))
    attributes = {
        "title": "Mail is down",
        "description": "one\n\ntwo",
        "status": "On Hold",
        "reporter": "Abel Tuter",
    }

    outcome = adapter.send(adapter.render(Command(Action.CREATE, INCIDENT, "5f0c9a", None, attributes)), http)
    message = adapter.fetch(INCIDENT, outcome.external_id, http)

    assert isinstance(message, CanonicalMessage)
    assert message.effect_key == "5f0c9a"
    assert {name: message.attributes[name] for name in attributes} == outcome.written


def test_jira_keeps_our_internal_notes_internal(
    jira: JiraSandbox, receiver: Receiver, http: HttpClient
) -> None:
    jira.receiver.register(f"{receiver.base_url}/hook")
    adapter = JiraAdapter(jira_config(jira.base_url, settings={"internal_comments": "jsm"}))
    made = adapter.send(adapter.render(Command(Action.CREATE, ISSUE, "a", None, {"title": "x"})), http)

    note = Comment("1", "Caller is a VIP", Visibility.INTERNAL)
    adapter.send(
        adapter.render(Command(Action.COMMENT, ISSUE, "b", Reference(made.external_id), {}, note)), http
    )

    read = adapter.read(received(posted(receiver, 2)[1]))
    assert [comment.visibility for comment in read.comments] == [Visibility.INTERNAL]
