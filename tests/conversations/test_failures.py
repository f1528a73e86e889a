"""What the engine does when the other side fails, drops answers, or says no."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from conversations import queue
from conversations.deliveries import retry
from conversations.models import Attempt, Delivery, Lane, Participant
from endpoints.configs import FRESH_SECONDS
from endpoints.models import Alert, EndpointGate
from tests.conversations.workers import PAST
from tests.conversations.world import Line, publish, states
from tests.factories import make_endpoint

Work = Callable[..., None]


def test_lost_answer_of_a_create_makes_no_second_issue(line: Line, work: Work) -> None:
    line.join()
    line.jira.fault(method="POST", path="/issue$", drop="after", times=1)
    line.incident()

    work(patience=1.5)

    assert line.issue["fields"]["summary"] == "Core switch drops uplink"
    assert states(endpoint=line.jira_endpoint) == ["delivered"]
    assert list(
        Attempt.objects.filter(delivery__endpoint=line.jira_endpoint).values_list("purpose", "result")
    ) == [
        ("send", "unknown"),
        ("verify", "confirmed"),
    ]


def test_lost_answer_of_a_comment_makes_no_second_comment(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    work()
    line.jira.fault(method="POST", path="/comment$", drop="after", times=1)
    note = {"sys_id": "c1", "element": "comments", "value": "Hello", "sys_created_by": "abel"}

    line.incident("a" * 32, "update", comments=[note])
    work(patience=1.5)

    assert line.comments() == ["Hello"]


def test_answer_lost_before_the_create_is_sent_again(line: Line, work: Work) -> None:
    line.join()
    line.jira.fault(method="POST", path="/issue$", drop="before", times=1)
    line.jira.call("PUT", "/_sandbox/settings", json={"index_lag": 0})
    line.incident()

    work(patience=1.5)

    assert states(endpoint=line.jira_endpoint) == ["verifying"]  # Jira's index may lag: not sent again yet
    Delivery.objects.update(in_doubt_since=PAST)
    Lane.objects.filter(due_at__isnull=False).update(due_at=PAST)
    work()
    assert states(endpoint=line.jira_endpoint) == ["delivered"]
    assert line.issue


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_on_an_update_is_tried_again(line: Line, work: Work, status: int) -> None:
    line.join()
    line.incident("a" * 32)
    work()
    line.jira.fault(method="PUT", path="/issue/", status=status, times=1)

    line.incident("a" * 32, "update", short_description="Down")
    work(patience=2.5)

    assert line.issue["fields"]["summary"] == "Down"


def test_rate_limit_waits_as_told_and_spends_no_try(line: Line, work: Work) -> None:
    line.join()
    line.jira.fault(method="POST", path="/issue$", status=429, headers={"Retry-After": "120"}, times=1)
    line.incident()

    work()
    waiting = Delivery.objects.get()
    assert (waiting.state, waiting.tries, waiting.failure) == ("queued", 0, "rate_limited")
    assert waiting.due_at > queue.database_now() + timedelta(seconds=60)
    EndpointGate.objects.filter(endpoint=line.jira_endpoint).update(closed_until=PAST)
    Lane.objects.filter(due_at__isnull=False).update(due_at=PAST)
    work()

    assert states(endpoint=line.jira_endpoint) == ["delivered"]


def test_rejected_credentials_pause_the_endpoint(line: Line, work: Work) -> None:
    line.join()
    line.jira_endpoint.credentials.secrets = {"api_token": "wrong"}
    line.jira_endpoint.credentials.save()
    line.incident()

    work()

    assert EndpointGate.objects.get(endpoint=line.jira_endpoint).pause_reason == "credentials"
    assert states() == ["queued"]
    assert "Send again" in Alert.objects.get(kind="credentials").what_to_do


def test_refused_value_holds_and_blocks_only_its_own_ticket(line: Line, work: Work) -> None:
    line.join([{"source": "title", "target": "title"}, {"source": "priority", "target": "priority"}])
    line.incident("a" * 32, priority="P1")
    line.incident("a" * 32, "update", short_description="later")
    line.incident("b" * 32, priority="High")

    work()

    assert states(conversation__participants__external_id="a" * 32, endpoint=line.jira_endpoint) == [
        "held",
        "queued",
    ]
    assert states(conversation__participants__external_id="b" * 32, endpoint=line.jira_endpoint) == [
        "delivered"
    ]
    held = Delivery.objects.get(state="held")
    assert (held.hold_reason, held.status_code) == ("refused", 400)


def test_target_that_refuses_connections_costs_only_time(line: Line, work: Work) -> None:
    line.join()
    line.jira_endpoint.base_url = "http://127.0.0.1:9"
    line.jira_endpoint.save()
    line.incident()

    work()
    assert states() == ["queued"]
    line.jira_endpoint.base_url = line.jira.url
    line.jira_endpoint.save()
    time.sleep(FRESH_SECONDS)  # workers read an endpoint again after that
    retry(Delivery.objects.all())
    work(patience=1.5)

    assert states(endpoint=line.jira_endpoint) == ["delivered"]


def test_failed_status_step_does_not_create_again(line: Line, work: Work) -> None:
    line.join(
        [{"source": "title", "target": "title"}, {"kind": "constant", "constant": "Done", "target": "status"}]
    )
    line.incident()

    work()

    assert line.issue["fields"]["status"]["name"] == "To Do"
    held = Delivery.objects.get(state="held")
    assert Participant.objects.get(endpoint=line.jira_endpoint).number == line.issue["key"]
    assert "In Progress" in held.content.problem


def test_broken_declaration_holds_with_its_own_sentence(line: Line, work: Work) -> None:
    broken = make_endpoint("rest", line.snow.environment, settings={"declaration": "auth: {kind: none}"})
    publish(line.snow, broken, [{"source": "title", "target": "title"}])
    line.incident()

    work()

    held = Delivery.objects.get(state="held")
    assert "inbound is missing" in held.content.problem
    assert not EndpointGate.objects.get(endpoint=broken).pause_reason
