"""What the story says when a step does not come about: which, why, and where to look."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from conversations.demo.display import Display
from conversations.demo.story import INCIDENT, Scene, StepFailed, Story
from conversations.demo.systems import Jira, Oneio, ServiceNow, System
from endpoints.http import HttpClient
from endpoints.network import NetworkPolicy
from endpoints.receiver_logins import set_password
from tests.conversations.world import Remote, system
from tests.factories import make_endpoint, make_message
from tests.patience import wait_for

NOBODY = "http://127.0.0.1:9"
LOG = Path("workers.log")


@pytest.fixture
def servicenow() -> Iterator[Remote]:
    with system("servicenow", ("admin", "admin")) as remote:
        yield remote


@pytest.fixture
def jira() -> Iterator[Remote]:
    with system("jira", ("ada@example.com", "jira-sandbox-token")) as remote:
        yield remote


@pytest.fixture
def http() -> Iterator[HttpClient]:
    client = HttpClient(NetworkPolicy(allow_loopback=True))
    yield client
    client.close()


def make_story(
    http: HttpClient, servicenow: str = NOBODY, jira: str = NOBODY, oneio: str = NOBODY
) -> tuple[Story, io.StringIO]:
    """A story with little patience, and what it shows."""
    scene = Scene(
        servicenow=ServiceNow(System("ServiceNow", servicenow, http)),
        jira=Jira(System("Jira", jira, http), "jira-sandbox-token"),
        oneio=Oneio(System("oneio", oneio, http), "snow", "word"),
        servicenow_log=LOG,
        jira_log=LOG,
        web_log=LOG,
        workers_log=LOG,
    )
    shown = io.StringIO()
    return Story(scene, Display(Console(file=shown, width=200)), seconds=0.3), shown


def test_incident_is_opened_once(http: HttpClient, servicenow: Remote) -> None:
    story, _ = make_story(http, servicenow.url)

    story.open_incident()
    story.open_incident()

    [incident] = servicenow.records("incident")
    assert incident["sys_created_by"] == "abel.tuter"
    assert story.ticket.number == incident["number"]


def test_system_that_is_down_is_named(http: HttpClient) -> None:
    story, shown = make_story(http)

    with pytest.raises(StepFailed, match=r"“Incident opened in ServiceNow” failed: after 0 s .*workers\.log"):
        story.open_incident()
    assert "✗ Incident opened in ServiceNow" in shown.getvalue()


def test_silent_business_rule_is_named(http: HttpClient, servicenow: Remote) -> None:
    story, _ = make_story(http, servicenow.url)
    story.open_incident()

    with pytest.raises(StepFailed, match="business rule posted nothing"):
        story.accept()


def test_unreachable_receiver_is_named(http: HttpClient, servicenow: Remote) -> None:
    servicenow.call("PUT", "/_sandbox/receiver", json={"url": f"{NOBODY}/api"})
    story, _ = make_story(http, servicenow.url)
    story.open_incident()
    wait_for(lambda: [post["error"] for post in servicenow.records("_outbox")] == ["ConnectionError"])

    with pytest.raises(StepFailed, match=r"oneio has not accepted it yet \(ConnectionError\)"):
        story.accept()


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("received", "", "after 0 s the message waits to be routed"),
        ("unmatched", "conditions_not_met", r"the message is unmatched \(conditions_not_met\)"),
    ],
)
def test_message_that_goes_nowhere_is_named(
    http: HttpClient, live_server: Any, state: str, reason: str, said: str
) -> None:
    endpoint = make_endpoint("servicenow")
    set_password(endpoint, "snow", "word")
    story, _ = make_story(http, oneio=live_server.url)
    story.ticket.response_id = make_message(endpoint, state=state, reason=reason).response_id

    with pytest.raises(StepFailed, match=said):
        story.route()


def test_second_issue_is_noticed(http: HttpClient, servicenow: Remote, jira: Remote) -> None:
    story, _ = make_story(http, servicenow.url, jira.url)
    story.ticket.number = "INC0010001"
    fields = {
        "project": {"key": "OPS"},
        "issuetype": {"name": "Incident"},
        "summary": INCIDENT["short_description"],
        "description": "INC0010001",
    }
    for _ in range(2):
        jira.call("POST", "/rest/api/2/issue", data=json.dumps({"fields": fields}))

    with pytest.raises(StepFailed, match="Jira has 2 issues for INC0010001 and not one"):
        story.verify()
