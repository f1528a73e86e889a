"""The Jira adapter against the sandbox, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from endpoints.adapters.base import (
    Action,
    Command,
    Reference,
)
from endpoints.adapters.jira import JiraAdapter
from endpoints.canonical import CanonicalMessage, Comment, Visibility
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Found, Outcome, Result
from endpoints.sandbox.jira.app import JiraSandbox
from endpoints.sandbox.jira.catalog import GRACE
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from tests.endpoints.adapters.conftest import ISSUE, jira_config

INCIDENT = Reference("6f1d2c3b", "INC0010042", "https://acme.service-now.example/nav_to.do?uri=incident.do")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def command(action: Action = Action.CREATE, **changes: Any) -> Command:
    values: dict[str, Any] = {"entity": ISSUE, "effect_key": "5f0c9a", "attributes": {"title": "VPN is down"}}
    return Command(action, **{**values, **changes})


def said(target: Reference, comment: Comment) -> Command:
    return command(Action.COMMENT, target=target, attributes={}, comment=comment)


def bound(app: JiraSandbox, **settings: str) -> JiraAdapter:
    return JiraAdapter(jira_config(app.base_url, settings=settings))


def send(adapter: JiraAdapter, asked: Command, http: HttpClient) -> Outcome:
    return adapter.send(adapter.render(asked), http)


def target_of(outcome: Outcome) -> Reference:
    return Reference(outcome.external_id, outcome.number, outcome.link)


def issue_fields(app: JiraSandbox) -> dict[str, Any]:
    [issue] = app.store.rows("issue")
    fields: dict[str, Any] = issue["fields"]
    return fields


@pytest.mark.parametrize("version", ["2", "3"])
def test_create_makes_one_marked_issue(jira: JiraSandbox, http: HttpClient, version: str) -> None:
    attributes = {"title": "VPN is down", "description": "a\n\nb https://x.example", "priority": "High"}

    outcome = send(bound(jira, api_version=version), command(attributes=attributes), http)

    [issue] = jira.store.rows("issue")
    assert outcome.confirmed
    assert (outcome.external_id, outcome.number) == (issue["id"], issue["key"])
    assert outcome.link == f"{jira.base_url}/browse/{issue['key']}"
    assert issue["fields"]["labels"] == ["oneio-5f0c9a"]
    assert outcome.written == attributes


def test_created_issue_moves_into_its_status(jira: JiraSandbox, http: HttpClient) -> None:
    outcome = send(bound(jira), command(attributes={"title": "x", "status": "in progress"}), http)

    assert outcome.confirmed
    assert issue_fields(jira)["status"] == "3"
    assert outcome.written["status"] == "In Progress"


def test_unreachable_status_still_tells_the_new_issue(jira: JiraSandbox, http: HttpClient) -> None:
    outcome = send(bound(jira), command(attributes={"title": "x", "status": "In Review"}), http)

    [issue] = jira.store.rows("issue")
    assert (outcome.result, outcome.failure) == (Result.REJECTED, Failure.DATA)
    assert outcome.external_id == issue["id"]
    assert "Reachable now: In Progress." in outcome.detail
    assert outcome.written == {"title": "x"}


def test_resolution_goes_with_the_transition(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    target = target_of(send(adapter, command(attributes={"title": "x", "status": "In Progress"}), http))
    done = {"status": "Done", "resolution": "Duplicate"}

    outcome = send(adapter, command(Action.UPDATE, target=target, attributes=done), http)

    assert outcome.written == done
    assert issue_fields(jira)["resolution"] == "10002"


def test_transition_that_takes_no_resolution_says_so(jira: JiraSandbox, http: HttpClient) -> None:
    wanted = {"title": "x", "status": "In Progress", "resolution": "Done"}

    outcome = send(bound(jira), command(attributes=wanted), http)

    assert outcome.confirmed
    assert "takes no resolution" in outcome.detail
    assert "resolution" not in outcome.written


def test_status_it_has_already_needs_no_transition(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    target = target_of(send(adapter, command(), http))
    jira.faults.replace([{"path": "transitions", "status": 500}])

    outcome = send(adapter, command(Action.UPDATE, target=target, attributes={"status": "to do"}), http)

    assert (outcome.confirmed, outcome.written) == (True, {"status": "To Do"})


def test_new_labels_keep_the_mark(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    target = target_of(send(adapter, command(), http))
    asked = command(Action.UPDATE, effect_key="other", target=target, attributes={"labels": ["vpn"]})

    outcome = send(adapter, asked, http)

    assert issue_fields(jira)["labels"] == ["vpn", "oneio-5f0c9a"]
    assert outcome.written == {"labels": ["vpn"]}


def test_comment_and_write_back_reach_the_issue(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    target = target_of(send(adapter, command(), http))
    linked = command(Action.WRITE_BACK, target=target, attributes={}, partner=INCIDENT)

    told = send(adapter, said(target, Comment("1", "Hello", Visibility.PUBLIC)), http)
    outcomes = [send(adapter, linked, http), send(adapter, linked, http)]

    [comment], [link] = jira.store.rows("comment"), jira.store.rows("remotelink")
    assert [item.remote_id for item in told.items] == [comment["id"]]
    assert all(outcome.confirmed for outcome in outcomes)
    assert "INC0010042" in str(link)


def test_people_are_written_by_id_and_told_by_name(jira: JiraSandbox, http: HttpClient) -> None:
    outcome = send(bound(jira), command(attributes={"title": "x", "assignee": GRACE.id}), http)

    assert outcome.written == {"title": "x", "assignee": GRACE.name}
    assert issue_fields(jira)["assignee"] == GRACE.id


@pytest.mark.parametrize(
    ("step", "method"), [("issue/[0-9]+$", "GET"), ("transitions", "GET"), ("transitions", "POST")]
)
def test_failing_transition_keeps_what_was_done(
    jira: JiraSandbox, http: HttpClient, step: str, method: str
) -> None:
    jira.faults.replace([{"path": step, "method": method, "status": 502}])

    outcome = send(bound(jira), command(attributes={"title": "x", "status": "In Progress"}), http)

    [issue] = jira.store.rows("issue")
    assert (outcome.failure, outcome.external_id) == (Failure.TRANSIENT, issue["id"])
    assert str(outcome.request["path"]).startswith(f"/rest/api/3/issue/{issue['id']}")


def test_transition_can_be_named_itself(jira: JiraSandbox, http: HttpClient) -> None:
    outcome = send(bound(jira), command(attributes={"title": "x", "status": "Start progress"}), http)

    assert outcome.written["status"] == "In Progress"


def test_only_creates_and_comments_can_be_looked_up(jira: JiraSandbox, http: HttpClient) -> None:
    asked = command(Action.UPDATE, target=Reference("1"))

    assert bound(jira).verify(asked, LONG_AGO, http).found is Found.UNANSWERABLE


def test_unreadable_property_leaves_the_question_open(jira: JiraSandbox, http: HttpClient) -> None:
    jira.faults.replace(
        [
            {"path": "issue/.*/comment", "status": 200, "body": {"comments": [{"id": "7"}]}},
            {"path": "properties", "status": 502},
        ]
    )

    verified = bound(jira).verify(said(Reference("1"), Comment("1", "x")), LONG_AGO, http)

    assert verified.found is Found.FAILED


def test_lost_answer_of_a_create_is_found_again(jira: JiraSandbox, http: HttpClient) -> None:
    adapter, asked = bound(jira), command()
    jira.faults.replace([{"method": "POST", "drop": "after", "times": 1}])

    outcome = send(adapter, asked, http)
    verified = adapter.verify(asked, datetime.now(UTC), http)

    [issue] = jira.store.rows("issue")
    assert outcome.result is Result.UNKNOWN
    assert verified.outcome
    assert (verified.outcome.external_id, verified.outcome.number) == (issue["id"], issue["key"])
    assert verified.outcome.written == {"title": "VPN is down"}


def test_reference_field_finds_the_issue_too(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira, reference_field="customfield_10050")
    send(adapter, command(), http)

    assert adapter.verify(command(), LONG_AGO, http).found is Found.YES
    assert adapter.verify(command(effect_key="0000"), LONG_AGO, http).found is Found.NO


def test_create_that_never_arrived_is_not_found(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    send(adapter, command(effect_key="another"), http)

    assert adapter.verify(command(), LONG_AGO, http).found is Found.NO


def test_lost_answer_of_a_comment_is_found_again(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    asked = said(target_of(send(adapter, command(), http)), Comment("1", "Hello", Visibility.PUBLIC))
    jira.faults.replace([{"path": "comment", "method": "POST", "drop": "after", "times": 1}])

    outcome = send(adapter, asked, http)
    verified = adapter.verify(asked, datetime.now(UTC), http)

    [comment] = jira.store.rows("comment")
    assert outcome.result is Result.UNKNOWN
    assert verified.outcome
    assert [item.remote_id for item in verified.outcome.items] == [comment["id"]]


def test_comment_that_never_arrived_is_not_found(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    target = target_of(send(adapter, command(), http))
    other = command(
        Action.COMMENT, effect_key="b", target=target, attributes={}, comment=Comment("1", "Hello")
    )
    asked = said(target, Comment("1", "Hello", Visibility.PUBLIC))

    send(adapter, asked, http)

    assert adapter.verify(other, datetime.now(UTC), http).found is Found.NO


def test_properties_are_asked_for_where_the_list_lacks_them(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = bound(jira)
    asked = said(target_of(send(adapter, command(), http)), Comment("1", "Hello", Visibility.PUBLIC))
    told = send(adapter, asked, http)
    bare = {"comments": [{"id": told.items[0].remote_id, "created": "2026-11-21T11:31:00.000+0200"}]}
    jira.faults.replace([{"path": "issue/.*/comment", "status": 200, "body": bare}])

    assert adapter.verify(asked, LONG_AGO, http).found is Found.YES


def test_question_that_fails_can_be_asked_again(jira: JiraSandbox, http: HttpClient) -> None:
    jira.faults.replace([{"status": 503}])

    verified = bound(jira).verify(command(), LONG_AGO, http)

    assert verified.found is Found.FAILED
    assert verified.outcome
    assert verified.outcome.failure is Failure.TRANSIENT


def test_wrong_token_is_an_authentication_failure(jira: JiraSandbox, http: HttpClient) -> None:
    adapter = JiraAdapter(jira_config(jira.base_url, secrets={"api_token": "wrong"}))

    assert send(adapter, command(), http).failure is Failure.AUTHENTICATION
    assert adapter.check_credentials(http).failure is Failure.AUTHENTICATION


def test_refused_login_behind_another_status_is_seen(jira: JiraSandbox, http: HttpClient) -> None:
    headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    jira.faults.replace([{"status": 200, "body": {}, "headers": headers}])

    assert bound(jira).check_credentials(http).failure is Failure.AUTHENTICATION


def test_access_token_logs_in(jira: JiraSandbox, http: HttpClient) -> None:
    assert bound(jira, auth="bearer").check_credentials(http).confirmed


def test_refusal_keeps_jiras_words(jira: JiraSandbox, http: HttpClient) -> None:
    outcome = send(bound(jira), command(attributes={"title": "x", "priority": "Huge"}), http)

    assert outcome.failure is Failure.DATA
    assert outcome.detail == "priority: Priority name 'Huge' is not valid"


def test_answer_without_id_is_no_success(jira: JiraSandbox, http: HttpClient) -> None:
    jira.faults.replace([{"status": 201, "body": {"key": ""}}])

    assert send(bound(jira), command(), http).result is Result.UNKNOWN


@pytest.mark.parametrize("version", ["2", "3"])
def test_fetch_reads_the_issue_as_it_is(jira: JiraSandbox, http: HttpClient, version: str) -> None:
    adapter = bound(jira, api_version=version)
    created = send(adapter, command(attributes={"title": "x", "description": "a\nb"}), http)

    message = adapter.fetch(ISSUE, created.external_id, http)
    missing = adapter.fetch(ISSUE, "999", http)

    assert isinstance(message, CanonicalMessage)
    assert message.attributes["description"] == "a\nb"
    assert isinstance(missing, Outcome)
    assert missing.failure is Failure.DATA


def test_data_center_is_searched_its_own_way(http: HttpClient) -> None:
    app = JiraSandbox(Store(), deployment="Server")
    with SandboxServer(app):
        adapter = bound(app, deployment="data_center", email="integration")
        send(adapter, command(), http)

        assert adapter.verify(command(), LONG_AGO, http).found is Found.YES


def test_fields_are_described_under_their_attribute_names() -> None:
    described = {field.name for field in JiraAdapter(jira_config()).describe(ISSUE)}

    assert {"title", "status", "due_at", "resolved_at"} <= described
    assert JiraAdapter(jira_config()).attribute_name("summary") == "title"


@pytest.mark.parametrize(
    "body", [{"issues": [1, {}]}, {"issues": "x"}, {"comments": [1, {}]}, [], "<html></html>"]
)
def test_strange_answers_never_raise(jira: JiraSandbox, http: HttpClient, body: Any) -> None:
    jira.faults.replace([{"status": 200, "body": body}])
    adapter = bound(jira)
    update = command(Action.UPDATE, target=Reference("1"), attributes={"status": "Done", "labels": ["x"]})

    verified = [
        adapter.verify(asked, LONG_AGO, http).found
        for asked in (command(), said(Reference("1"), Comment("1", "x", Visibility.PUBLIC)))
    ]

    assert Found.YES not in verified
    assert not send(adapter, update, http).confirmed
    assert isinstance(adapter.fetch(ISSUE, "1", http), Outcome)
