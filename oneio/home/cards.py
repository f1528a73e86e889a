"""Endpoint cards: is each system fine, how much flows, what waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest
from django.utils.safestring import SafeString

from conversations.models import UNFINISHED, Delivery, DeliveryState
from endpoints.admin import gate_words
from endpoints.models import Circuit, Endpoint
from oneio import access
from oneio.admin import display
from oneio.admin.page import url_of
from oneio.home.charts import Flow
from oneio.models import Environment

MANY_WAITING = 100
LONG_DELAY = timedelta(minutes=2)


@dataclass(slots=True)
class Traffic:
    """What is on its way to one endpoint."""

    waiting: int = 0
    oldest: datetime | None = None
    held: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def delay(self, now: datetime) -> timedelta:
        """How long the oldest has been waiting."""
        return now - self.oldest if self.oldest else timedelta(0)


def health(endpoint: Endpoint, traffic: Traffic, now: datetime) -> SafeString:
    """Operational, Warning, Error or N/A, with why on hover."""
    gate = getattr(endpoint, "gate", None)
    why = gate_words.obstacle(gate, now) if gate else ""
    if endpoint.suspended:
        return display.chip("N/A", "grey", "pause_circle", f"{endpoint.name} is suspended.")
    if gate is not None and (gate.paused_at is not None or gate.circuit != Circuit.CLOSED):
        return display.chip("Error", "red", "error", why)
    if traffic.waiting > MANY_WAITING or traffic.delay(now) > LONG_DELAY:
        return display.chip("Warning", "amber", "warning", f"{traffic.waiting} waiting. {why}")
    return display.chip("Operational", "green", "check_circle", "What is sent to it arrives.")


def sections(
    environments: Iterable[Environment],
    endpoints: Iterable[Endpoint],
    waiting: dict[int, Traffic],
    flow: Flow,
    now: datetime,
) -> list[dict[str, Any]]:
    """The cards of each environment."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for endpoint in endpoints:
        of = waiting.get(endpoint.pk, Traffic())
        found[endpoint.environment_id].append(_card(endpoint, of, flow, now))
    return [{"environment": row, "cards": found[row.pk]} for row in environments]


def traffic(request: HttpRequest, environment_ids: list[int]) -> dict[int, Traffic]:
    """Unfinished deliveries by endpoint, in one query over the partial index."""
    found = access.readable(request.user, Delivery).filter(
        environment_id__in=environment_ids, state__in=UNFINISHED
    )
    grouped = found.order_by().values("endpoint_id", "state", "hold_reason")
    waiting: dict[int, Traffic] = defaultdict(Traffic)
    for row in grouped.annotate(number=Count("pk"), oldest=Min("created_at"), since=Min("state_since")):
        of = waiting[row["endpoint_id"]]
        if row["state"] == DeliveryState.HELD:
            of.held[row["hold_reason"]] = (row["number"], row["since"])
        else:
            of.waiting += row["number"]
            of.oldest = min(filter(None, [of.oldest, row["oldest"]]))
    return waiting


def _card(endpoint: Endpoint, waiting: Traffic, flow: Flow, now: datetime) -> dict[str, Any]:
    gate = getattr(endpoint, "gate", None)
    came_in, went_out = flow.last_hour(endpoint.pk)
    return {
        "endpoint": endpoint,
        "url": url_of(endpoint),
        "mark": gate_words.mark(endpoint),
        "kind": gate_words.kind_label(endpoint.kind),
        "health": health(endpoint, waiting, now),
        "came_in": came_in,
        "went_out": went_out,
        "waiting": waiting.waiting,
        "oldest": display.duration(waiting.delay(now)) if waiting.oldest else "",
        "held": sum(number for number, _ in waiting.held.values()),
        "last_success": gate.last_success_at if gate else None,
    }
