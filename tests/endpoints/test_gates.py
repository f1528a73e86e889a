"""What stands between lanes and the network: pause, throttle, circuit, tokens, and the alerts they raise."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, models
from django.db.models.functions import Now

from endpoints import gates
from endpoints.adapters.base import Token
from endpoints.models import Alert, AlertKind, Circuit, Credentials, Endpoint, EndpointGate, EndpointStatus
from tests.factories import make_endpoint


@pytest.fixture
def endpoint(db: None) -> Endpoint:
    return make_endpoint()


def gate(endpoint: Endpoint) -> EndpointGate:
    return EndpointGate.objects.get(pk=endpoint.pk)


def waits(endpoint: Endpoint) -> float:
    """Seconds until the gate lets anything out again, by the database's clock."""
    wait = models.ExpressionWrapper(models.F("closed_until") - Now(), models.DurationField())
    found = EndpointGate.objects.annotate(wait=wait).get(pk=endpoint.pk).wait
    return found.total_seconds() if found else 0.0


def open_alerts(endpoint: Endpoint) -> list[str]:
    return list(Alert.objects.filter(endpoint=endpoint, ended_at=None).values_list("kind", flat=True))


def fail(endpoint: Endpoint, times: int) -> None:
    for _ in range(times):
        gates.note_failure(endpoint.pk)


def half_open(endpoint: Endpoint) -> None:
    """Open the circuit and let one probe out, as the queue does."""
    fail(endpoint, gates.CIRCUIT_OPENS_AFTER)
    EndpointGate.objects.filter(pk=endpoint.pk).update(circuit=Circuit.HALF_OPEN, closed_until=None)


def test_suspended_endpoint_is_active_again_when_resumed(endpoint: Endpoint) -> None:
    gates.suspend(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.suspended

    gates.resume(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.status == EndpointStatus.ACTIVE


def test_rejected_credentials_pause_and_say_what_to_do(endpoint: Endpoint) -> None:
    gates.pause_for_credentials(endpoint.pk)

    paused = gate(endpoint)
    assert paused.paused_at is not None
    assert paused.pause_reason == "credentials"
    alert = Alert.objects.get(endpoint=endpoint)
    assert (alert.kind, alert.organization_id) == (AlertKind.CREDENTIALS, endpoint.organization_id)
    assert "choose Send again" in alert.what_to_do


def test_second_pause_keeps_the_first_time_and_alert(endpoint: Endpoint) -> None:
    gates.pause_for_credentials(endpoint.pk)
    since = gate(endpoint).paused_at

    gates.pause_for_credentials(endpoint.pk)

    assert gate(endpoint).paused_at == since
    assert open_alerts(endpoint) == ["credentials"]


def test_unpausing_opens_everything_and_ends_alerts(endpoint: Endpoint) -> None:
    fail(endpoint, gates.CIRCUIT_OPENS_AFTER)
    gates.pause_for_credentials(endpoint.pk)
    gates.throttle(endpoint.pk, 600)

    gates.unpause(endpoint)

    opened = gate(endpoint)
    assert (opened.paused_at, opened.pause_reason, opened.circuit, opened.closed_until) == (
        None,
        "",
        "closed",
        None,
    )
    assert opened.failures_in_row == 0
    assert open_alerts(endpoint) == []


def test_new_trouble_after_the_end_is_a_new_alert(endpoint: Endpoint) -> None:
    gates.pause_for_credentials(endpoint.pk)
    gates.unpause(endpoint)

    gates.pause_for_credentials(endpoint.pk)

    assert Alert.objects.filter(endpoint=endpoint, kind="credentials").count() == 2
    assert open_alerts(endpoint) == ["credentials"]


def test_throttle_waits_as_long_as_told(endpoint: Endpoint) -> None:
    gates.throttle(endpoint.pk, 90)

    assert 85 < waits(endpoint) <= 90


def test_throttle_never_shortens_a_wait(endpoint: Endpoint) -> None:
    gates.throttle(endpoint.pk, 90)
    gates.throttle(endpoint.pk, 5)
    assert waits(endpoint) > 85

    gates.throttle(endpoint.pk, 200)
    assert waits(endpoint) > 195


def test_success_of_another_request_leaves_the_throttle(endpoint: Endpoint) -> None:
    fail(endpoint, 1)
    gates.throttle(endpoint.pk, 90)

    gates.note_success(endpoint.pk)

    assert waits(endpoint) > 85
    assert gate(endpoint).failures_in_row == 0


def test_circuit_opens_after_ten_failures_in_a_row(endpoint: Endpoint) -> None:
    fail(endpoint, 9)
    assert (gate(endpoint).circuit, open_alerts(endpoint)) == ("closed", [])

    fail(endpoint, 1)

    assert (gate(endpoint).circuit, open_alerts(endpoint)) == ("open", ["circuit"])
    assert 25 < waits(endpoint) <= gates.CIRCUIT_REST_SECONDS


def test_success_between_failures_keeps_it_closed(endpoint: Endpoint) -> None:
    fail(endpoint, 9)
    gates.note_success(endpoint.pk)
    fail(endpoint, 9)

    assert gate(endpoint).circuit == "closed"


def test_failed_probe_opens_the_circuit_again(endpoint: Endpoint) -> None:
    half_open(endpoint)
    EndpointGate.objects.filter(pk=endpoint.pk).update(failures_in_row=0)

    fail(endpoint, 1)

    assert gate(endpoint).circuit == "open"
    assert waits(endpoint) > 25
    assert Alert.objects.filter(endpoint=endpoint).count() == 1


def test_successful_probe_closes_it_and_ends_the_alert(endpoint: Endpoint) -> None:
    half_open(endpoint)

    gates.note_success(endpoint.pk)

    closed = gate(endpoint)
    assert (closed.circuit, closed.failures_in_row, closed.closed_until) == ("closed", 0, None)
    assert closed.last_success_at is not None
    assert open_alerts(endpoint) == []


def test_refusing_answer_of_a_probe_closes_it_too(endpoint: Endpoint) -> None:
    half_open(endpoint)

    gates.note_answer(endpoint.pk)

    assert (gate(endpoint).circuit, gate(endpoint).failures_in_row) == ("closed", 0)
    assert open_alerts(endpoint) == []
    assert gate(endpoint).last_success_at is None


def test_refusing_answer_does_not_end_a_pause(endpoint: Endpoint) -> None:
    gates.pause_for_credentials(endpoint.pk)

    gates.note_answer(endpoint.pk)

    assert gate(endpoint).pause_reason == "credentials"
    assert open_alerts(endpoint) == ["credentials"]


def test_successful_probe_ends_the_pause(endpoint: Endpoint) -> None:
    gates.pause_for_credentials(endpoint.pk)

    gates.note_success(endpoint.pk)

    assert gate(endpoint).paused_at is None
    assert open_alerts(endpoint) == []


def test_trouble_of_one_endpoint_leaves_others_alone(endpoint: Endpoint) -> None:
    other = make_endpoint(environment=endpoint.environment)

    fail(endpoint, gates.CIRCUIT_OPENS_AFTER)
    gates.pause_for_credentials(endpoint.pk)

    assert (gate(other).circuit, gate(other).paused_at, open_alerts(other)) == ("closed", None, [])


def test_refusals_of_three_tickets_pause_the_endpoint(endpoint: Endpoint) -> None:
    for _ in range(2):
        gates.note_refusal(endpoint.pk, uuid4())
    assert gate(endpoint).paused_at is None

    gates.note_refusal(endpoint.pk, uuid4())

    assert gate(endpoint).pause_reason == "credentials"
    assert set(open_alerts(endpoint)) == {"credentials", "refused"}


def test_refusal_opens_an_alert_until_the_next_success(endpoint: Endpoint) -> None:
    gates.note_refusal(endpoint.pk, uuid4())
    assert open_alerts(endpoint) == ["refused"]

    gates.note_success(endpoint.pk)

    assert open_alerts(endpoint) == []


def test_same_ticket_refused_thrice_does_not_pause(endpoint: Endpoint) -> None:
    conversation = uuid4()

    for _ in range(5):
        gates.note_refusal(endpoint.pk, conversation)

    assert gate(endpoint).paused_at is None
    assert gate(endpoint).refused_conversations == [conversation]


def test_two_tickets_refused_in_turn_count_as_two(endpoint: Endpoint) -> None:
    one, other = uuid4(), uuid4()

    for conversation in (one, other, one, other, one):
        gates.note_refusal(endpoint.pk, conversation)

    assert gate(endpoint).paused_at is None
    assert gate(endpoint).refused_conversations == [one, other]


def test_refused_tickets_remembered_are_few(endpoint: Endpoint) -> None:
    for _ in range(10):
        gates.note_refusal(endpoint.pk, uuid4())

    assert len(gate(endpoint).refused_conversations) == gates.REFUSALS_MEAN_CREDENTIALS


def test_success_between_refusals_starts_the_count_anew(endpoint: Endpoint) -> None:
    gates.note_refusal(endpoint.pk, uuid4())
    gates.note_refusal(endpoint.pk, uuid4())
    gates.note_success(endpoint.pk)
    gates.note_refusal(endpoint.pk, uuid4())

    assert gate(endpoint).paused_at is None


def at_once(work: Callable[[], Any], times: int) -> list[Any]:
    """Do the same in so many threads, each with a database connection of its own, all at one moment."""
    start = Barrier(times)

    def one() -> Any:
        try:
            connection.ensure_connection()
            start.wait(10)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return [future.result(20) for future in [threads.submit(one) for _ in range(times)]]


@pytest.mark.django_db(transaction=True)
def test_one_of_many_workers_refreshes_the_token() -> None:
    endpoint = make_endpoint()

    chosen = at_once(lambda: gates.begin_token_refresh(endpoint.pk), 8)

    assert sorted(chosen) == [False] * 7 + [True]


@pytest.mark.django_db(transaction=True)
def test_failures_of_many_workers_are_all_counted() -> None:
    endpoint = make_endpoint()

    at_once(lambda: gates.note_failure(endpoint.pk), 10)

    assert (gate(endpoint).failures_in_row, gate(endpoint).circuit) == (10, "open")
    assert open_alerts(endpoint) == ["circuit"]


def test_refresh_that_died_can_be_taken_over(endpoint: Endpoint) -> None:
    assert gates.begin_token_refresh(endpoint.pk)
    assert not gates.begin_token_refresh(endpoint.pk)

    EndpointGate.objects.filter(pk=endpoint.pk).update(token_refresh_until=Now() - timedelta(seconds=1))

    assert gates.begin_token_refresh(endpoint.pk)


def test_failed_refresh_lets_others_try(endpoint: Endpoint) -> None:
    gates.begin_token_refresh(endpoint.pk)

    gates.fail_token(endpoint.pk)

    assert gates.begin_token_refresh(endpoint.pk)


def test_stored_token_is_kept_until_shortly_before_its_end(endpoint: Endpoint) -> None:
    gates.begin_token_refresh(endpoint.pk)

    gates.store_token(endpoint.pk, Token("t-1", expires_in=1800))

    kept = Credentials.objects.get(endpoint=endpoint)
    assert kept.token == "t-1"
    assert kept.token_expires_at is not None
    assert kept.token_obtained_at is not None
    assert kept.token_expires_at - kept.token_obtained_at == timedelta(seconds=1740)
    assert gates.begin_token_refresh(endpoint.pk)


def store_old_token(endpoint: Endpoint) -> None:
    """A token that was fetched an hour ago and is good for another."""
    gates.store_token(endpoint.pk, Token("t-old", expires_in=7200))
    Credentials.objects.filter(endpoint=endpoint).update(token_obtained_at=Now() - timedelta(hours=1))


def is_live(endpoint: Endpoint) -> bool:
    return Credentials.objects.filter(endpoint=endpoint, token_expires_at__gt=Now()).exists()


def test_rejected_token_is_fetched_anew_without_a_pause(endpoint: Endpoint) -> None:
    store_old_token(endpoint)

    gates.reject_token(endpoint.pk, "t-old")

    assert not is_live(endpoint)
    assert gate(endpoint).paused_at is None


def test_rejection_of_a_replaced_token_changes_nothing(endpoint: Endpoint) -> None:
    gates.store_token(endpoint.pk, Token("t-new", expires_in=1800))

    gates.reject_token(endpoint.pk, "t-old")

    assert is_live(endpoint)
    assert gate(endpoint).paused_at is None
    assert open_alerts(endpoint) == []


def test_rejection_of_a_fresh_token_means_the_credentials(endpoint: Endpoint) -> None:
    gates.store_token(endpoint.pk, Token("t-new", expires_in=1800))

    gates.reject_token(endpoint.pk, "t-new")

    assert gate(endpoint).pause_reason == "credentials"
    assert not is_live(endpoint)


@pytest.mark.django_db(transaction=True)
def test_alert_is_raised_once_however_many_raise_it() -> None:
    endpoint = make_endpoint()

    at_once(lambda: gates.raise_alert(endpoint, AlertKind.LOOP, "Look at the ticket."), 6)

    assert open_alerts(endpoint) == ["loop"]


def test_alerts_of_different_causes_stand_side_by_side(endpoint: Endpoint) -> None:
    gates.raise_alert(endpoint, AlertKind.LOOP, "Look at the ticket.")
    gates.raise_alert(endpoint, AlertKind.HELD, "Look at the deliveries.")

    gates.end_alerts(endpoint.pk, AlertKind.LOOP)

    assert open_alerts(endpoint) == ["held"]
