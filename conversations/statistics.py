"""Counts per endpoint and hour what came in and what arrived, so that Home is fast with many messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Max, Q
from django.db.models.functions import TruncHour

from conversations.models import NEEDS_YOU, Attempt, HourlyCount, Message
from endpoints.outcomes import Result

IN_TIME = timedelta(seconds=30)
SETTLED_AFTER = timedelta(minutes=10)
LOOK_BACK = timedelta(hours=48)
KEPT_FOR = timedelta(days=35)
_COUNTED = ("received", "troubled", "sent", "in_time", "failed")


def count_hours(now: datetime) -> int:
    """Count the hours that are not settled at `now`, and those missed while no worker ran. Returns how many
    rows were written; doing it again, or twice at once, changes nothing."""
    begin = _first_unsettled(now)
    rows: dict[tuple[int, datetime], HourlyCount] = {}
    for found in (_came_in(begin), _went_out(begin)):
        _add(rows, found)
    HourlyCount.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["endpoint", "hour"],
        update_fields=_COUNTED,
    )
    HourlyCount.objects.filter(hour__lt=now - KEPT_FOR).delete()
    return len(rows)


def first_key(moment: datetime) -> UUID:
    """The lowest UUIDv7 that can have been made at `moment`: keys begin with their time, and so their index
    finds what is younger."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _first_unsettled(now: datetime) -> datetime:
    latest: datetime | None = HourlyCount.objects.aggregate(latest=Max("hour"))["latest"]
    unsettled = hour_of(now - SETTLED_AFTER)
    return max(min(latest or now - LOOK_BACK, unsettled), hour_of(now - LOOK_BACK))


def _came_in(begin: datetime) -> Iterable[dict[str, Any]]:
    found = Message.objects.filter(body_id__gte=first_key(begin), received_at__gte=begin).order_by()
    counted: Iterable[dict[str, Any]] = (
        found.annotate(hour=TruncHour("received_at", tzinfo=UTC))
        .values("hour", "organization_id", "environment_id", "endpoint_id")
        .annotate(received=Count("pk"), troubled=Count("pk", filter=Q(state__in=NEEDS_YOU)))
    )
    return counted


def _went_out(begin: datetime) -> Iterable[dict[str, Any]]:
    tries = Attempt.objects.filter(pk__gte=first_key(begin), started_at__gte=begin, purpose="send")
    arrived = Q(result=Result.CONFIRMED)
    soon = arrived & Q(ended_at__lte=F("delivery__message__received_at") + IN_TIME)
    counted: Iterable[dict[str, Any]] = (
        tries.order_by()
        .annotate(hour=TruncHour("started_at", tzinfo=UTC))
        .values(
            "hour",
            "organization_id",
            environment_id=F("delivery__environment_id"),
            endpoint_id=F("delivery__endpoint_id"),
        )
        .annotate(
            sent=Count("pk", filter=arrived),
            in_time=Count("pk", filter=soon),
            failed=Count("pk", filter=~arrived & ~Q(result__in=["", Result.NOT_EXECUTED])),
        )
    )
    return counted


def _add(rows: dict[tuple[int, datetime], HourlyCount], found: Iterable[dict[str, Any]]) -> None:
    for counts in found:
        key = (counts["endpoint_id"], counts["hour"])
        fresh = HourlyCount(
            organization_id=counts["organization_id"],
            environment_id=counts["environment_id"],
            endpoint_id=counts["endpoint_id"],
            hour=counts["hour"],
        )
        row = rows.setdefault(key, fresh)
        for name in _COUNTED:
            setattr(row, name, counts.get(name, getattr(row, name)))
