"""What each adapter answers to the lookups of rules, over HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from endpoints.adapters.base import Action, Capability, Command, EntityConfig, Question
from endpoints.adapters.jira import JiraAdapter
from endpoints.adapters.rest import RestAdapter
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import EntityKind
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Outcome
from endpoints.sandbox.jira.app import JiraSandbox
from endpoints.sandbox.jira.catalog import GRACE
from endpoints.sandbox.servicenow.application import ServiceNowApp
from endpoints.sandbox.servicenow.seeds import seed_id
from tests.endpoints.adapters.conftest import ISSUE, jira_config, servicenow_config
from tests.endpoints.adapters.test_contract import DECLARATION, config_for
from tests.endpoints.wire import Wire, answering, serve

CI = EntityConfig("ci", EntityKind.CONFIGURATION_ITEM, "cmdb_ci")
CHANGE = EntityConfig("change", EntityKind.CHANGE, "change_request")
BETH = {"email": "beth.anglin@example.com"}


def in_servicenow(app: ServiceNowApp, http: HttpClient, question: Question) -> list[dict[str, Any]] | Outcome:
    return ServiceNowAdapter(servicenow_config(app.base_url)).find(question, http)  # type: ignore[return-value]


def in_jira(app: JiraSandbox, http: HttpClient, question: Question) -> list[dict[str, Any]] | Outcome:
    return JiraAdapter(jira_config(app.base_url)).find(question, http)  # type: ignore[return-value]


def test_servicenow_tells_a_user_by_email(servicenow: ServiceNowApp, http: HttpClient) -> None:
    [user] = in_servicenow(servicenow, http, Question(None, "sys_user", BETH))

    assert (user["id"], user["name"]) == (seed_id("sys_user", "beth.anglin"), "Beth Anglin")
    assert (user["company"], user["codes"]["company"]) == (
        "ACME Nordic",
        seed_id("core_company", "ACME Nordic"),
    )


def test_servicenow_tells_a_ci_by_name(servicenow: ServiceNowApp, http: HttpClient) -> None:
    question = Question(CI, "", {"name": "ERP-DB-02"}, ("name", "short_description"))

    answer = in_servicenow(servicenow, http, question)

    assert isinstance(answer, list)
    assert [one["id"] for one in answer] == [seed_id("cmdb_ci", "erp-db-02")]


def test_servicenow_tells_recent_changes_first(servicenow: ServiceNowApp, http: HttpClient) -> None:
    for title in ("Patch", "Reboot", "Upgrade"):
        values = {"short_description": title, "cmdb_ci": seed_id("cmdb_ci", "erp-db-02")}
        make(servicenow, http, "change_request", values)
    make(servicenow, http, "change_request", {"short_description": "Elsewhere"})
    question = Question(CHANGE, "", {"configuration_item.name": "erp-db-02"}, ("title",), 2)

    answer = in_servicenow(servicenow, http, question)

    assert isinstance(answer, list)
    assert len(answer) == 2
    assert {change["title"] for change in answer} < {"Patch", "Reboot", "Upgrade"}
    assert all(change["number"].startswith("CHG") for change in answer)


def test_servicenow_condition_cannot_be_smuggled(servicenow: ServiceNowApp, http: HttpClient) -> None:
    asked = Question(None, "sys_user", {"email": "nobody@example.com^ORname=Abel Tuter^NQactive=true"}, (), 9)

    assert in_servicenow(servicenow, http, asked) == []


def test_unknown_servicenow_column_finds_nothing(servicenow: ServiceNowApp, http: HttpClient) -> None:
    answer = in_servicenow(
        servicenow, http, Question(None, "sys_user", {"e_mail": "x@example.com"}, ("name",))
    )

    assert isinstance(answer, Outcome)
    assert (answer.failure, "e_mail" in answer.detail) == (Failure.CONFIGURATION, True)


def test_wrong_servicenow_credentials_are_an_outcome(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter = ServiceNowAdapter(servicenow_config(servicenow.base_url, secrets={"password": "wrong"}))

    answer = adapter.find(Question(None, "sys_user", BETH), http)

    assert isinstance(answer, Outcome)
    assert answer.failure is Failure.AUTHENTICATION


def test_jira_tells_a_user_by_email(jira: JiraSandbox, http: HttpClient) -> None:
    [user] = in_jira(jira, http, Question(None, "user", {"emailAddress": GRACE.email}))

    assert (user["id"], user["displayName"]) == (GRACE.id, GRACE.name)


def test_jira_tells_no_user_who_only_begins_so(jira: JiraSandbox, http: HttpClient) -> None:
    assert in_jira(jira, http, Question(None, "user", {"displayName": GRACE.name[:3]})) == []


@pytest.mark.parametrize("title", ['A "quoted" AND title', "back\\slash", "x OR issuetype = Task"])
def test_jira_tells_issues_by_any_title(jira: JiraSandbox, http: HttpClient, title: str) -> None:
    created = [raised(jira, http, each) for each in (title, "Another")]

    answer = in_jira(jira, http, Question(ISSUE, "", {"title": title}, ("title", "status"), 5))

    assert isinstance(answer, list)
    assert [(issue["id"], issue["title"]) for issue in answer] == [(created[0], title)]


def test_jira_tells_issues_by_their_choices(jira: JiraSandbox, http: HttpClient) -> None:
    created = [raised(jira, http, "VPN is down", priority=name) for name in ("High", "Low", "High")]

    answer = in_jira(jira, http, Question(ISSUE, "", {"priority": "High", "project": "OPS"}, (), 5))

    assert isinstance(answer, list)
    assert {issue["id"] for issue in answer} == {created[0], created[2]}
    assert answer[0]["title"] == "VPN is down"


def test_jira_says_what_it_can_be_asked(jira: JiraSandbox, http: HttpClient) -> None:
    answer = in_jira(jira, http, Question(None, "group", {"name": "x"}))

    assert isinstance(answer, Outcome)
    assert "user by one criterion" in answer.detail


FIND = """
  find:
    path: "/{{ record }}"
    query: {q: "number:{{ criteria.number }}", top: "{{ most }}"}
    items: found
    id: key
    none: [404]
"""
RECORDS = DECLARATION[: DECLARATION.index("  find:")] + FIND.lstrip("\n")
TICKET = EntityConfig("ticket", EntityKind.INCIDENT, "tickets")


def asked(wire: Wire, http: HttpClient, question: Question, declaration: str = RECORDS) -> Any:
    config = config_for(RestAdapter, wire.url("/api"))
    settings = {**config.settings, "declaration": declaration}
    return RestAdapter(replace(config, settings=settings)).find(question, http)


def saying(status: int, body: Any) -> Callable[[Wire, socket.socket, int], None]:
    text = json.dumps(body)
    return answering(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


def test_rest_finds_tickets_by_its_declaration(http: HttpClient) -> None:
    body = {"found": [{"key": 7, "subject": "Mail is down"}, {"key": 8, "subject": "VPN"}]}
    with serve(saying(200, body)) as wire:
        answer = asked(wire, http, Question(TICKET, "", {"number": "T 1&x"}, (), 1))

    assert [(one["id"], one["title"]) for one in answer] == [("7", "Mail is down")]
    assert b"GET /api/tickets?q=number%3AT+1%26x&top=1 " in wire.requests[0]


def test_rest_record_keeps_its_own_names(http: HttpClient) -> None:
    with serve(saying(200, {"found": [{"key": 7, "eMail": "beth@example.com"}]})) as wire:
        answer = asked(wire, http, Question(None, "people", {"number": "1"}))

    assert answer == [{"key": 7, "eMail": "beth@example.com", "id": "7"}]


def test_rest_status_may_mean_nothing_found(http: HttpClient) -> None:
    with serve(saying(404, {})) as wire:
        assert asked(wire, http, Question(None, "people", {"number": "1"})) == []


def test_rest_is_not_asked_without_its_criterion(http: HttpClient) -> None:
    with serve(saying(200, {})) as wire:
        answer = asked(wire, http, Question(None, "people", {"email": "x@example.com"}))

    assert (answer.failure, wire.requests) == (Failure.CONFIGURATION, [])
    assert "criteria.number" in answer.detail


def test_rest_without_find_cannot_be_asked() -> None:
    declaration = RECORDS[: RECORDS.index("  find:")]
    config = config_for(RestAdapter)

    adapter = RestAdapter(replace(config, settings={"declaration": declaration}))

    assert Capability.LOOKUP not in adapter.capabilities


def make(app: ServiceNowApp, http: HttpClient, table: str, values: dict[str, str]) -> None:
    adapter = ServiceNowAdapter(servicenow_config(app.base_url))
    entity = EntityConfig("change", EntityKind.CHANGE, table)
    named = {"title": values["short_description"], "cmdb_ci": values.get("cmdb_ci", "")}
    attributes: Any = {name: value for name, value in named.items() if value}
    outcome = adapter.send(adapter.render(Command(Action.CREATE, entity, "5f0c9a", None, attributes)), http)
    assert outcome.confirmed


def raised(app: JiraSandbox, http: HttpClient, title: str, **more: str) -> str:
    adapter = JiraAdapter(jira_config(app.base_url))
    command = Command(Action.CREATE, ISSUE, "5f0c9a", None, {"title": title, **more})
    return adapter.send(adapter.render(command), http).external_id
