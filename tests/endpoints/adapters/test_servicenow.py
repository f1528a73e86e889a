"""The ServiceNow adapter against the sandbox, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from endpoints.adapters.base import Action, Command, EntityConfig, Reference, Token
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import CanonicalMessage, Comment, EntityKind, Visibility
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Found, Outcome, Result
from endpoints.sandbox.servicenow.application import ServiceNowApp
from tests.endpoints.adapters.conftest import INCIDENT, RECEIVED_AT, servicenow_config

SYS_ID = "6f1d2c3b4a5968778695a4b3c2d1e0f1"
JIRA_TICKET = Reference("10007", "OPS-7", "https://acme.atlassian.example/browse/OPS-7")
CHANGE = EntityConfig("change", EntityKind.CHANGE, "change_request")
EVENT = EntityConfig("event", EntityKind.EVENT, "em_event")
OAUTH = {"auth": "oauth", "username": "oneio", "client_id": "oneio-client"}


def command(action: Action = Action.CREATE, **changes: Any) -> Command:
    values: dict[str, Any] = {
        "entity": INCIDENT,
        "effect_key": "5f0c9a",
        "attributes": {"title": "Mail is down"},
    }
    return Command(action, **{**values, **changes})


def bound(app: ServiceNowApp, **changes: Any) -> ServiceNowAdapter:
    return ServiceNowAdapter(servicenow_config(app.base_url, **changes))


def send(adapter: ServiceNowAdapter, asked: Command, http: HttpClient) -> Outcome:
    return adapter.send(adapter.render(asked), http)


def incidents(app: ServiceNowApp) -> list[dict[str, Any]]:
    return list(app.store.rows("incident"))


def target_of(outcome: Outcome) -> Reference:
    return Reference(outcome.external_id, outcome.number, outcome.link)


def test_create_makes_one_marked_incident(servicenow: ServiceNowApp, http: HttpClient) -> None:
    attributes = {
        "title": "Mail is down",
        "status": "In Progress",
        "reporter": "Abel Tuter",
        "impact": "1 - High",
    }

    outcome = send(bound(servicenow), command(attributes=attributes, partner=JIRA_TICKET), http)

    [incident] = incidents(servicenow)
    assert outcome.confirmed
    assert (outcome.external_id, outcome.number) == (incident["sys_id"], incident["number"])
    assert outcome.written == {**attributes, "partner_reference": "OPS-7"}
    assert (incident["state"], incident["correlation_display"]) == ("2", "oneio:5f0c9a")


def test_written_is_what_servicenow_made_of_it(servicenow: ServiceNowApp, http: HttpClient) -> None:
    asked = command(attributes={"title": "x", "impact": "3 - Low", "priority": "1 - Critical"})

    outcome = send(bound(servicenow), asked, http)

    assert outcome.written["priority"] == "5 - Planning"


def test_times_arrive_as_meant(servicenow: ServiceNowApp, http: HttpClient) -> None:
    due = datetime(2026, 11, 30, 15, tzinfo=UTC)

    outcome = send(bound(servicenow), command(attributes={"title": "x", "due_at": due}), http)

    assert incidents(servicenow)[0]["due_date"] == "2026-11-30 15:00:00"
    assert outcome.written["due_at"] == due


def test_update_comment_and_write_back_reach_the_incident(
    servicenow: ServiceNowApp, http: HttpClient
) -> None:
    adapter = bound(servicenow)
    target = target_of(send(adapter, command(), http))
    comment = Comment("1", "Line one\nLine ^two", Visibility.PUBLIC)

    updated = send(adapter, command(Action.UPDATE, target=target, attributes={"status": "On Hold"}), http)
    said = send(adapter, command(Action.COMMENT, target=target, attributes={}, comment=comment), http)
    linked = send(
        adapter, command(Action.WRITE_BACK, target=target, attributes={}, partner=JIRA_TICKET), http
    )

    [incident], [entry] = incidents(servicenow), servicenow.store.rows("sys_journal_field")
    assert all(outcome.confirmed for outcome in (updated, said, linked))
    assert (incident["state"], incident["correlation_id"]) == ("3", "OPS-7")
    assert (entry["element"], entry["value"]) == ("comments", "Line one\nLine ^two")
    assert [item.remote_id for item in said.items] == [entry["sys_id"]]


def test_lost_answer_of_a_create_is_found_again(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter, asked = bound(servicenow), command()
    servicenow.faults.replace([{"method": "POST", "drop": "after", "times": 1}])

    outcome = send(adapter, asked, http)
    verified = adapter.verify(asked, datetime.now(UTC), http)

    [incident] = incidents(servicenow)
    assert outcome.result is Result.UNKNOWN
    assert (verified.found, verified.outcome and verified.outcome.external_id) == (
        Found.YES,
        incident["sys_id"],
    )


def test_create_that_never_arrived_is_not_found(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter, asked = bound(servicenow), command()
    send(adapter, command(effect_key="another"), http)
    servicenow.faults.replace([{"method": "POST", "drop": "before", "times": 1}])

    send(adapter, asked, http)

    assert adapter.verify(asked, datetime.now(UTC), http).found is Found.NO


def test_lost_answer_of_a_comment_is_found_again(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter = bound(servicenow)
    target = target_of(send(adapter, command(), http))
    asked = command(Action.COMMENT, target=target, attributes={}, comment=Comment("1", "Done"))
    servicenow.faults.replace([{"method": "PATCH", "drop": "after", "times": 1}])

    outcome = send(adapter, asked, http)
    verified = adapter.verify(asked, datetime.now(UTC), http)
    later = adapter.verify(asked, datetime.now(UTC) + timedelta(hours=1), http)

    [entry] = servicenow.store.rows("sys_journal_field")
    assert outcome.result is Result.UNKNOWN
    assert verified.outcome
    assert [item.remote_id for item in verified.outcome.items] == [entry["sys_id"]]
    assert later.found is Found.NO, "the same words of another time are another comment"


def test_only_creates_and_comments_can_be_looked_up(servicenow: ServiceNowApp, http: HttpClient) -> None:
    asked = command(Action.UPDATE, target=Reference(SYS_ID)), command(entity=EVENT)

    found = {bound(servicenow).verify(each, RECEIVED_AT, http).found for each in asked}

    assert found == {Found.UNANSWERABLE}


def test_question_that_fails_can_be_asked_again(servicenow: ServiceNowApp, http: HttpClient) -> None:
    servicenow.faults.replace([{"status": 502, "body": "<html>Bad gateway</html>"}])

    verified = bound(servicenow).verify(command(), datetime.now(UTC), http)

    assert verified.found is Found.FAILED
    assert verified.outcome
    assert verified.outcome.failure is Failure.TRANSIENT


def test_hidden_records_make_the_answer_uncertain(servicenow: ServiceNowApp, http: HttpClient) -> None:
    servicenow.faults.replace([{"status": 200, "body": {"result": []}, "headers": {"X-Total-Count": "1"}}])

    verified = bound(servicenow).verify(command(), datetime.now(UTC), http)

    assert verified.found is Found.UNANSWERABLE


def test_wrong_password_is_an_authentication_failure(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter = bound(servicenow, secrets={"password": "wrong"})

    outcome = send(adapter, command(), http)

    assert (outcome.result, outcome.failure) == (Result.REJECTED, Failure.AUTHENTICATION)
    assert outcome.detail == "User Not Authenticated: Required to provide Auth information"
    assert adapter.check_credentials(http).failure is Failure.AUTHENTICATION


def test_failure_body_with_status_201_is_no_success(servicenow: ServiceNowApp, http: HttpClient) -> None:
    body = {"error": {"message": "Transaction cancelled", "detail": "maximum time"}, "status": "failure"}
    servicenow.faults.replace([{"status": 201, "body": body}])

    outcome = send(bound(servicenow), command(), http)

    assert outcome.result is Result.UNKNOWN
    assert outcome.detail == "Transaction cancelled: maximum time"


def test_business_rule_that_aborts_is_refused_with_its_words(
    servicenow: ServiceNowApp, http: HttpClient
) -> None:
    body = {"error": {"message": "Operation Failed", "detail": "No incidents today"}, "status": "failure"}
    servicenow.faults.replace([{"status": 403, "body": body}])

    outcome = send(bound(servicenow), command(), http)

    assert (outcome.failure, outcome.detail) == (
        Failure.PERMISSION,
        "Operation Failed: No incidents today",
    )


def test_oauth_token_opens_the_table_api(servicenow: ServiceNowApp, http: HttpClient) -> None:
    token = bound(servicenow, settings=OAUTH).acquire_token(http)

    assert isinstance(token, Token)
    assert token.expires_in == 1799
    assert send(bound(servicenow, settings=OAUTH, token=token.value), command(), http).confirmed


def test_client_can_log_in_without_user(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter = bound(servicenow, settings={**OAUTH, "username": ""})

    assert isinstance(adapter.acquire_token(http), Token)
    assert adapter.check_credentials(http).confirmed


def test_refused_token_hides_the_form(servicenow: ServiceNowApp, http: HttpClient) -> None:
    outcome = bound(servicenow, settings=OAUTH, secrets={"client_secret": "w"}).acquire_token(http)

    assert isinstance(outcome, Outcome)
    assert outcome.failure is Failure.AUTHENTICATION
    assert outcome.request["body"] is None


def test_dead_grant_needs_a_person_whatever_the_status(servicenow: ServiceNowApp, http: HttpClient) -> None:
    servicenow.faults.replace([{"status": 400, "body": {"error": "invalid_grant"}}])

    outcome = bound(servicenow, settings=OAUTH).check_credentials(http)

    assert (outcome.failure, outcome.code) == (Failure.AUTHENTICATION, "invalid_grant")


def test_fetch_reads_the_record_as_it_is(servicenow: ServiceNowApp, http: HttpClient) -> None:
    adapter = bound(servicenow)
    created = send(adapter, command(), http)

    message = adapter.fetch(INCIDENT, created.external_id, http)
    missing = adapter.fetch(INCIDENT, "0" * 32, http)

    assert isinstance(message, CanonicalMessage)
    assert message.attributes["title"] == "Mail is down"
    assert isinstance(missing, Outcome)
    assert missing.failure is Failure.DATA


def test_fields_are_described_under_their_attribute_names() -> None:
    described = {field.name: field for field in ServiceNowAdapter(servicenow_config()).describe(CHANGE)}

    assert described["starts_at"].label == "Planned start date"
    assert ("-5", "New") in described["status"].choices
    assert described["title"].mandatory
    assert "short_description" not in described


@pytest.mark.parametrize(
    ("column", "attribute"),
    [("caller_id", "reporter"), ("u_site", "u_site"), ("type", "type"), ("short_description", "title")],
)
def test_columns_are_known_by_their_attribute(column: str, attribute: str) -> None:
    assert ServiceNowAdapter(servicenow_config()).attribute_name(column) == attribute


@pytest.mark.parametrize(
    "body", [{"result": [1, {}]}, {"result": {}}, {"result": "x"}, [], "<html>Hibernating</html>"]
)
def test_strange_answers_never_raise(servicenow: ServiceNowApp, http: HttpClient, body: Any) -> None:
    servicenow.faults.replace([{"status": 200, "body": body}])
    adapter = bound(servicenow)
    comment = command(Action.COMMENT, target=Reference(SYS_ID), attributes={}, comment=Comment("1", "x"))

    verified = [adapter.verify(asked, RECEIVED_AT, http).found for asked in (command(), comment)]

    assert Found.YES not in verified
    assert not send(adapter, comment, http).confirmed
    assert isinstance(adapter.fetch(INCIDENT, SYS_ID, http), Outcome)
