"""What only a person can do: held deliveries by cause, open alerts, messages nobody could read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from conversations.models import NEEDS_YOU, Delivery, DeliveryState, HoldReason, Message
from conversations.statistics import first_key
from endpoints.models import Alert, Endpoint
from oneio import access
from oneio.admin import display, switch
from oneio.admin.page import url_of
from oneio.home.cards import Traffic

LOOK_BACK = timedelta(days=7)


def held_badge(request: HttpRequest) -> str:
    """How many deliveries need a person in the chosen environment, for the menu; empty when none does."""
    found = access.readable(request.user, Delivery).filter(state=DeliveryState.HELD)
    environment = switch.chosen(request)
    held = (found.filter(environment=environment) if environment else found)[:100].count()
    return "99+" if held == 100 else str(held or "")


def needs_you(
    request: HttpRequest, environment_ids: list[int], endpoints: list[Endpoint], waiting: dict[int, Traffic]
) -> list[dict[str, Any]]:
    """What only a person can do, the oldest first."""
    alerts = access.readable(request.user, Alert).filter(environment_id__in=environment_ids, ended_at=None)
    lines = [_alert_line(alert) for alert in alerts.select_related("endpoint")]
    lines += [
        _held_line(endpoint, reason, number, since)
        for endpoint in endpoints
        for reason, (number, since) in waiting.get(endpoint.pk, Traffic()).held.items()
    ]
    lines += _broken_messages(request, endpoints)
    return sorted(lines, key=lambda line: line["since"])


def _alert_line(alert: Alert) -> dict[str, Any]:
    name = alert.endpoint.name if alert.endpoint else "oneio"
    url = url_of(alert.endpoint) if alert.endpoint else ""
    return {
        "what": f"{name}: {alert.get_kind_display().lower()}",
        "to_do": alert.what_to_do,
        "since": alert.since,
        "url": url,
        "button": "Open endpoint",
    }


def _held_line(endpoint: Endpoint, reason: str, number: int, since: datetime) -> dict[str, Any]:
    query = f"?reason={reason}&endpoint={endpoint.pk}"
    return {
        "what": f"{display.count(number, 'delivery', 'deliveries')} to {endpoint.name}: "
        f"{HoldReason(reason).label.lower()}",
        "to_do": "Later messages of these tickets wait behind them. Open one to see what to do.",
        "since": since,
        "url": reverse("needs_you") + query,
        "button": "Open group",
    }


def _broken_messages(request: HttpRequest, endpoints: list[Endpoint]) -> list[dict[str, Any]]:
    recent = access.readable(request.user, Message).filter(
        endpoint_id__in=[endpoint.pk for endpoint in endpoints],
        state__in=NEEDS_YOU,
        body_id__gte=first_key(timezone.now() - LOOK_BACK),
    )
    found = recent.aggregate(number=Count("pk"), since=Min("received_at"))
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
