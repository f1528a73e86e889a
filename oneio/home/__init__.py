"""The home page: is everything flowing, what needs a person, what was changed. A handful of queries."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from conversations.models import NEEDS_YOU, UNFINISHED, Delivery, DeliveryState, HoldReason, Message
from endpoints.admin import gate_words
from endpoints.models import Alert, Circuit, Endpoint
from oneio import access
from oneio.admin import display
from oneio.models import Environment
from routing.models import RoutingRule, TranslationTable

MANY_WAITING = 100
LONG_DELAY = timedelta(minutes=2)
HOURS = 24
CHANGES_SHOWN = 8


@dataclass(slots=True)
class Traffic:
    """What is on its way to one endpoint."""

    waiting: int = 0
    oldest: datetime | None = None
    held: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def delay(self, now: datetime) -> timedelta:
        """How long the oldest has been waiting."""
        return now - self.oldest if self.oldest else timedelta(0)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: adds what templates/admin/index.html shows."""
    now = timezone.now()
    environments = list(access.environments(request.user).select_related("organization"))
    chosen = [row for row in environments if str(row.pk) == request.GET.get("environment")] or environments
    ids = [row.pk for row in chosen]
    endpoints = list(
        access.readable(request.user, Endpoint)
        .filter(environment_id__in=ids)
        .select_related("gate__endpoint")
    )
    traffic = _traffic(request, ids)
    context |= {
        "title": "Home",
        "environments": environments,
        "only": chosen[0].pk if len(chosen) == 1 and len(environments) > 1 else None,
        "sections": [_section(row, endpoints, traffic, now) for row in chosen],
        "needs_you": _needs_you(request, ids, endpoints, traffic),
        "chart": _chart(request, ids, now),
        "changes": _changes(request, endpoints, ids),
        "is_new": not endpoints,
        "may_set_up": bool(getattr(request.user, "is_superuser", False)),
    }
    return context


def held_badge(request: HttpRequest) -> str:
    """How many deliveries need a person, for the menu; empty when none does."""
    held = access.readable(request.user, Delivery).filter(state=DeliveryState.HELD)[:100].count()
    return "99+" if held == 100 else str(held or "")


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


def _section(
    environment: Environment, endpoints: Iterable[Endpoint], traffic: dict[int, Traffic], now: datetime
) -> dict[str, Any]:
    cards = [
        _card(endpoint, traffic.get(endpoint.pk, Traffic()), now)
        for endpoint in endpoints
        if endpoint.environment_id == environment.pk
    ]
    return {"environment": environment, "cards": cards}


def _card(endpoint: Endpoint, traffic: Traffic, now: datetime) -> dict[str, Any]:
    gate = getattr(endpoint, "gate", None)
    return {
        "endpoint": endpoint,
        "url": _page("endpoints_endpoint", endpoint.pk),
        "mark": gate_words.mark(endpoint),
        "kind": gate_words.kind_label(endpoint.kind),
        "health": health(endpoint, traffic, now),
        "waiting": traffic.waiting,
        "oldest": display.duration(traffic.delay(now)) if traffic.oldest else "",
        "held": sum(number for number, _ in traffic.held.values()),
        "last_success": gate.last_success_at if gate else None,
    }


def _traffic(request: HttpRequest, environment_ids: list[int]) -> dict[int, Traffic]:
    """Unfinished deliveries by endpoint, in one query over the partial index."""
    found = access.readable(request.user, Delivery).filter(
        environment_id__in=environment_ids, state__in=UNFINISHED
    )
    grouped = found.order_by().values("endpoint_id", "state", "hold_reason")
    traffic: dict[int, Traffic] = defaultdict(Traffic)
    for row in grouped.annotate(number=Count("pk"), oldest=Min("created_at"), since=Min("state_since")):
        of = traffic[row["endpoint_id"]]
        if row["state"] == DeliveryState.HELD:
            of.held[row["hold_reason"]] = (row["number"], row["since"])
        else:
            of.waiting += row["number"]
            of.oldest = min(filter(None, [of.oldest, row["oldest"]]))
    return traffic


def _needs_you(
    request: HttpRequest, environment_ids: list[int], endpoints: list[Endpoint], traffic: dict[int, Traffic]
) -> list[dict[str, Any]]:
    """What only a person can do, the oldest first."""
    alerts = access.readable(request.user, Alert).filter(environment_id__in=environment_ids, ended_at=None)
    lines = [_alert_line(alert) for alert in alerts.select_related("endpoint")]
    lines += [
        _held_line(endpoint, reason, number, since)
        for endpoint in endpoints
        for reason, (number, since) in traffic.get(endpoint.pk, Traffic()).held.items()
    ]
    lines += _broken_messages(request, environment_ids)
    return sorted(lines, key=lambda line: line["since"])


def _alert_line(alert: Alert) -> dict[str, Any]:
    name = alert.endpoint.name if alert.endpoint else "oneio"
    url = _page("endpoints_endpoint", alert.endpoint_id) if alert.endpoint_id else ""
    return {
        "what": f"{name}: {alert.get_kind_display().lower()}",
        "to_do": alert.what_to_do,
        "since": alert.since,
        "url": url,
        "button": "Open endpoint",
    }


def _held_line(endpoint: Endpoint, reason: str, number: int, since: datetime) -> dict[str, Any]:
    query = f"?state=held&reason={reason}&endpoint={endpoint.pk}"
    return {
        "what": f"{display.count(number, 'delivery', 'deliveries')} to {endpoint.name}: "
        f"{HoldReason(reason).label.lower()}",
        "to_do": "Later messages of these tickets wait behind them. Open one to see what to do.",
        "since": since,
        "url": reverse("admin:conversations_delivery_changelist") + query,
        "button": "Open group",
    }


def _broken_messages(request: HttpRequest, environment_ids: list[int]) -> list[dict[str, Any]]:
    recent = _recent(request, environment_ids, timezone.now() - timedelta(days=7))
    found = recent.filter(state__in=NEEDS_YOU).aggregate(number=Count("pk"), since=Min("received_at"))
    if not found["number"]:
        return []
    return [
        {
            "what": f"{display.count(found['number'], 'message')} could not be understood or routed",
            "to_do": "Open one to see what is wrong with it.",
            "since": found["since"],
            "url": reverse("admin:conversations_message_changelist") + "?state=needs-you",
            "button": "Open group",
        }
    ]


def _recent(request: HttpRequest, environment_ids: list[int], since: datetime) -> QuerySet[Message]:
    """Messages since a moment, found by the index of their Response IDs, which begin with the time."""
    first = UUID(int=int(since.timestamp() * 1000) << 80)
    return access.readable(request.user, Message).filter(
        environment_id__in=environment_ids, body_id__gte=first
    )


def _chart(request: HttpRequest, environment_ids: list[int], now: datetime) -> dict[str, Any]:
    """Messages per hour of the last day, and how many of them need a person."""
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    failed = Q(state__in=NEEDS_YOU)
    per_hour = {
        row["hour"]: (row["number"], row["failed"])
        for row in _recent(request, environment_ids, begin)
        .order_by()
        .annotate(hour=TruncHour("received_at"))
        .values("hour")
        .annotate(number=Count("pk"), failed=Count("pk", filter=failed))
    }
    hours = [begin + timedelta(hours=index) for index in range(HOURS)]
    counts = [per_hour.get(hour, (0, 0)) for hour in hours]
    total = sum(number for number, _ in counts)
    return {"title": f"{display.count(total, 'message')} in 24 hours", "data": _chart_data(hours, counts)}


def _chart_data(hours: list[datetime], counts: list[tuple[int, int]]) -> str:
    labels = [timezone.localtime(hour).strftime("%H:00") for hour in hours]
    fine = [number - failed for number, failed in counts]
    broken = [failed for _, failed in counts]
    return json.dumps(
        {
            "labels": labels,
            "datasets": [
                {
                    "label": "Messages",
                    "data": fine,
                    "backgroundColor": "var(--color-primary-500)",
                    "stack": "all",
                },
                {
                    "label": "Need a person",
                    "data": broken,
                    "backgroundColor": "var(--color-red-600)",
                    "stack": "all",
                },
            ],
        }
    )


def _changes(request: HttpRequest, endpoints: list[Endpoint], environment_ids: list[int]) -> list[LogEntry]:
    """Who changed which endpoint, rule or table, latest first; only of those the user may see."""
    visible = {
        Endpoint: [row.pk for row in endpoints],
        RoutingRule: _ids(request, RoutingRule, environment_ids),
        TranslationTable: _ids(request, TranslationTable, environment_ids),
    }
    wanted = Q(pk__in=[])
    for model, kind in ContentType.objects.get_for_models(*visible).items():
        wanted |= Q(content_type=kind, object_id__in=[str(pk) for pk in visible[model]])  # type: ignore[index]
    return list(LogEntry.objects.filter(wanted).select_related("user", "content_type")[:CHANGES_SHOWN])


def _ids(request: HttpRequest, model: Any, environment_ids: list[int]) -> list[int]:
    found = access.readable(request.user, model).filter(environment_id__in=environment_ids)
    return list(found.order_by().values_list("pk", flat=True))


def _page(name: str, pk: Any) -> str:
    return reverse(f"admin:{name}_change", args=[pk])
