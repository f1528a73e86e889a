"""Alerts that depend on what waits: one for each cause, from its beginning to its end."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from conversations import deliveries, watch
from conversations.models import Delivery, DeliveryState, HoldReason, Message
from conversations.tasks import sweep
from endpoints import gates
from endpoints.models import Alert, AlertKind, Endpoint, EndpointGate, Inbox
from tests.conversations.workers import PAST
from tests.factories import make_delivery, make_endpoint, make_lane, make_message

pytestmark = pytest.mark.django_db


def open_alerts(**which: Any) -> list[str]:
    return list(Alert.objects.filter(ended_at=None, **which).order_by("kind").values_list("kind", flat=True))


def make_held(endpoint: Endpoint | None = None, reason: str = HoldReason.REFUSED) -> Delivery:
    return make_delivery(endpoint=endpoint, state=DeliveryState.HELD, hold_reason=reason)


def forgotten_inbox() -> Message:
    """A message that nobody has looked at for ten minutes."""
    message = make_message()
    Message.objects.update(received_at=Now() - timedelta(minutes=10))
    Inbox.objects.filter(endpoint=message.endpoint).update(served_at=PAST)
    return message


def forgotten_lane(**gate: Any) -> Endpoint:
    """An endpoint with due work that nobody has served for years."""
    lane = make_lane(due_at=PAST)
    EndpointGate.objects.filter(endpoint=lane.endpoint).update(**({"served_at": PAST} | gate))
    return lane.endpoint


def test_held_delivery_opens_one_alert_for_its_endpoint() -> None:
    first = make_held()
    message = make_message(first.message.endpoint, state="routed", conversation=first.conversation)
    make_delivery(message, first.endpoint, state="held", hold_reason="refused")

    sweep()
    sweep()

    assert open_alerts(endpoint=first.endpoint) == ["held"]
    assert first.endpoint.name in Alert.objects.get().what_to_do


def test_alert_ends_with_the_last_held_delivery() -> None:
    delivery = make_held()
    watch.look()

    deliveries.skip([delivery])
    watch.look()

    assert open_alerts() == []
    assert Alert.objects.get().ended_at is not None


def test_loop_alert_ends_with_the_last_it_held() -> None:
    looping = make_held(reason=HoldReason.LOOP)
    gates.raise_alert(looping.endpoint, AlertKind.LOOP, "Look.")
    watch.look()
    assert open_alerts() == ["held", "loop"]

    deliveries.retry([looping])
    watch.look()

    assert open_alerts() == []


def test_message_nobody_looks_at_is_an_alert_of_its_environment() -> None:
    message = forgotten_inbox()

    watch.look()

    alert = Alert.objects.get()
    assert (alert.kind, alert.endpoint, alert.environment_id) == ("stalled", None, message.environment_id)


def test_lane_nobody_serves_is_an_alert() -> None:
    endpoint = forgotten_lane()

    watch.look()

    assert open_alerts(environment=endpoint.environment) == ["stalled"]


def test_alert_ends_when_somebody_looks_again() -> None:
    forgotten_inbox()
    watch.look()

    Inbox.objects.update(served_at=Now())
    watch.look()

    assert open_alerts() == []


@pytest.mark.parametrize(
    "gate",
    [
        {"paused_at": PAST, "pause_reason": "credentials"},
        {"circuit": "open", "closed_until": Now() + timedelta(seconds=20)},
        {"closed_until": Now() + timedelta(hours=1)},
        {"token_refresh_until": Now() + timedelta(seconds=20)},
        {"served_at": Now()},
    ],
    ids=["paused", "not answering", "throttled", "token on its way", "served just now"],
)
def test_endpoint_with_a_reason_to_wait_is_not_stalled(gate: dict[str, Any]) -> None:
    forgotten_lane(**gate)

    watch.look()

    assert open_alerts() == []


def test_suspended_endpoint_is_not_stalled() -> None:
    gates.suspend(forgotten_lane())

    watch.look()

    assert open_alerts() == []


def test_endpoint_with_a_request_under_way_is_not_stalled() -> None:
    endpoint = forgotten_lane()
    later = Now() + timedelta(seconds=20)
    make_lane(endpoint=endpoint, due_at=later, lease_until=later)

    watch.look()

    assert open_alerts() == []


def test_nothing_due_is_no_alert() -> None:
    make_endpoint()
    Inbox.objects.update(served_at=PAST)

    watch.look()

    assert open_alerts() == []
