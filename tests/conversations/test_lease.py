"""What a process may still send once it can no longer be sure of its lanes."""

from collections.abc import Iterator
from typing import Any

import pytest

from conversations import deliveries, sender
from conversations.models import DeliveryState, Lane
from conversations.queue import Lease
from endpoints.http import HttpClient, HttpFailure, HttpRequest, NetworkPolicy, Phase
from tests.conversations.desk import LOST, Office, office
from tests.conversations.workers import PAST, take
from tests.endpoints.wire import OK, answering, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as opened:
        opened.rule()
        yield opened


def perform_late(place: Office) -> list[sender.Done]:
    """Carry out what is due after this process stood still past its leases."""
    due = take(place.target.pk)
    for job in due:
        job.claim.lease.until = 0.0
    return [sender.perform(job, place.http) for job in due]


def test_claimed_lane_may_be_worked_on(place: Office) -> None:
    place.first()

    [job] = take(place.target.pk)

    assert job.claim.lease.holds()


def test_sending_ends_before_the_lease(settings: Any) -> None:
    settings.LEASE_SECONDS = 20
    lease = Lease()

    lease.prolong(100.0)

    assert lease.until == 115.0


def test_nothing_is_sent_after_the_lease(place: Office) -> None:
    place.first()

    [done] = perform_late(place)

    assert place.desk.requests == []
    assert done.lease_over


def test_what_was_too_late_waits_untried(place: Office) -> None:
    delivery = place.first()

    deliveries.finish(perform_late(place), place.configs)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (DeliveryState.QUEUED, 0)
    assert place.target.gate.failures_in_row == 0


def test_late_look_up_leaves_the_doubt(place: Office) -> None:
    delivery = place.first()
    place.desk.answers.append(LOST)
    place.deliver()
    Lane.objects.update(due_at=PAST)

    deliveries.finish(perform_late(place), place.configs)

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.VERIFYING
    assert delivery.in_doubt_since is not None


def test_first_byte_waits_for_permission() -> None:
    client = HttpClient(NetworkPolicy(allow_loopback=True))
    with serve(answering(OK)) as wire, pytest.raises(HttpFailure) as caught:
        client.only_while(lambda: False).send(HttpRequest("POST", wire.url()))
    client.close()

    assert (caught.value.phase, caught.value.reason) == (Phase.CONNECT, "too_late")
    assert wire.requests == []


def test_one_refusal_leaves_the_client_free() -> None:
    client = HttpClient(NetworkPolicy(allow_loopback=True))
    with serve(answering(OK)) as wire:
        with pytest.raises(HttpFailure):
            client.only_while(lambda: False).send(HttpRequest("GET", wire.url()))
        answer = client.send(HttpRequest("GET", wire.url()))
    client.close()

    assert answer.status == 200
