"""Looks once a minute for what a person should know, opens an alert for each cause, and ends it by itself."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from conversations.models import Delivery, DeliveryState, HoldReason, Lane, Message, MessageState
from endpoints import gates
from endpoints.models import Alert, AlertKind, Circuit, Endpoint, EndpointGate, EndpointStatus, Inbox
from oneio.models import Environment

STALLED_AFTER = timedelta(seconds=60)
HELD = (
    "Deliveries to {name} need a person; later messages of the same tickets wait behind them. Open "
    "Deliveries with the state Needs you, correct the cause, then retry, edit or skip them."
)
STALLED = (
    "Messages have waited for more than a minute and no worker has looked at them. Nothing is lost. Check "
    "that manage.py serve or manage.py worker runs, that the machine is not overloaded, and look at the log."
)


def look() -> None:
    """Open and end the alerts that no single event can: who waits for a person, and who for a worker."""
    _watch_held()
    _watch_workers()


def _watch_held() -> None:
    """One open alert for each endpoint with held deliveries; it ends with the last of them."""
    held, looping = _endpoints_holding(), _endpoints_holding(hold_reason=HoldReason.LOOP)
    for endpoint in Endpoint.objects.filter(pk__in=held - _alerted(AlertKind.HELD)):
        gates.raise_alert(endpoint, AlertKind.HELD, HELD.format(name=endpoint.name))
    for kind, still in ((AlertKind.HELD, held), (AlertKind.LOOP, looping)):
        for endpoint_id in _alerted(kind) - still:
            gates.end_alerts(endpoint_id, kind)


def _endpoints_holding(**which: str) -> set[int]:
    rows = Delivery.objects.filter(state=DeliveryState.HELD, **which).order_by()
    return set(rows.values_list("endpoint_id", flat=True).distinct())


def _alerted(kind: AlertKind) -> set[int]:
    rows = Alert.objects.filter(kind=kind, ended_at=None, endpoint__isnull=False)
    return set(rows.values_list("endpoint_id", flat=True))


def _watch_workers() -> None:
    """Work is due, nothing stands in its way, and nobody has looked at it for a minute."""
    stalled = set(_unrouted().values_list("endpoint__environment_id", flat=True))
    stalled |= set(_unsent().values_list("endpoint__environment_id", flat=True))
    for environment in Environment.objects.filter(pk__in=stalled):
        gates.raise_environment_alert(environment, AlertKind.STALLED, STALLED)
    gates.end_environment_alerts(Environment.objects.exclude(pk__in=stalled), AlertKind.STALLED)


def _unrouted() -> QuerySet[Inbox]:
    long_ago = Now() - STALLED_AFTER
    due = Q(wake_at=None, received_at__lt=long_ago) | Q(wake_at__lt=long_ago)
    waiting = Message.objects.filter(due, endpoint=OuterRef("endpoint"), state=MessageState.RECEIVED)
    idle = Q(lease_until=None) | Q(lease_until__lt=long_ago)
    return Inbox.objects.filter(idle, Exists(waiting), served_at__lt=long_ago)


def _unsent() -> QuerySet[EndpointGate]:
    long_ago = Now() - STALLED_AFTER
    lanes = Lane.objects.filter(endpoint=OuterRef("endpoint"))
    due, busy = lanes.filter(due_at__lt=long_ago, deaths=0), lanes.filter(lease_until__gt=Now())
    is_open = Q(closed_until=None) | Q(closed_until__lt=long_ago)
    fetching = Q(token_refresh_until__gt=Now())
    return EndpointGate.objects.filter(
        is_open,
        ~fetching,
        Exists(due),
        ~Exists(busy),
        endpoint__status=EndpointStatus.ACTIVE,
        paused_at=None,
        circuit=Circuit.CLOSED,
        served_at__lt=long_ago,
    )
