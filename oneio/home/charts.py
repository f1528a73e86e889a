"""The charts of Home, from hourly counts: each title answers the question that its chart is for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from conversations.models import HourlyCount
from conversations.statistics import IN_TIME, hour_of
from endpoints.models import Endpoint
from oneio import access
from oneio.admin import display

HOURS = 24
HOUR = timedelta(hours=1)
_FIELDS = ("received", "troubled", "sent", "in_time", "failed")


@dataclass(slots=True)
class Flow:
    """Hourly counts of two days: by hour, and by endpoint and hour."""

    now: datetime
    by_hour: dict[datetime, Counter[str]] = field(default_factory=dict)
    by_endpoint: dict[tuple[int, datetime], Counter[str]] = field(default_factory=dict)

    def add(self, endpoint_id: int, hour: datetime, counts: Counter[str]) -> None:
        """Take one row in."""
        self.by_hour.setdefault(hour, Counter()).update(counts)
        self.by_endpoint.setdefault((endpoint_id, hour), Counter()).update(counts)

    def hours(self, back: int = 0) -> list[datetime]:
        """24 hours, the present one last; `back` days earlier."""
        last = hour_of(self.now) - timedelta(days=back)
        return [last - HOUR * index for index in reversed(range(HOURS))]

    def series(self, name: str, back: int = 0) -> list[int]:
        """One number for each of 24 hours."""
        return [self.by_hour.get(hour, Counter())[name] for hour in self.hours(back)]

    def last_hour(self, endpoint_id: int) -> tuple[int, int]:
        """Messages from an endpoint and deliveries to it in the last 60 minutes, as near as counts by the
        hour can tell: this hour's, and the part of the last one that lies within."""
        this = hour_of(self.now)
        share = 1 - (self.now - this) / HOUR
        here = self.by_endpoint.get((endpoint_id, this), Counter())
        before = self.by_endpoint.get((endpoint_id, this - HOUR), Counter())
        came_in, went_out = (round(here[name] + share * before[name]) for name in ("received", "sent"))
        return came_in, went_out

    def most_failures(self) -> int | None:
        """The endpoint that took the fewest tries; None when all were taken."""
        failed: Counter[int] = Counter()
        for (endpoint_id, hour), counts in self.by_endpoint.items():
            if hour in set(self.hours()):
                failed[endpoint_id] += counts["failed"]
        [(endpoint_id, number)] = failed.most_common(1) or [(0, 0)]
        return endpoint_id if number else None


def flow(request: HttpRequest, environment_ids: list[int], now: datetime) -> Flow:
    """The counts of these environments, in one query over a small table."""
    found = Flow(now)
    rows = access.readable(request.user, HourlyCount).filter(
        environment_id__in=environment_ids, hour__gt=hour_of(now) - timedelta(days=2)
    )
    for endpoint_id, hour, *counts in rows.values_list("endpoint_id", "hour", *_FIELDS):
        found.add(endpoint_id, hour, Counter(dict(zip(_FIELDS, counts, strict=True))))
    return found


def charts(found: Flow, endpoints: Iterable[Endpoint]) -> list[dict[str, str]]:
    """Title and data of each chart."""
    names = {endpoint.pk: endpoint.name for endpoint in endpoints}
    return [_messages(found), _failures(found, names), _in_time(found)]


def _messages(found: Flow) -> dict[str, str]:
    today, before = found.series("received"), found.series("received", back=1)
    title = f"{display.count(sum(today), 'message')} in 24 hours{_compared(sum(today), sum(before))}"
    lines = [
        _line("Today", today, "var(--color-primary-500)"),
        _line("The day before", before, "var(--color-base-400)") | {"borderDash": [3, 4], "borderWidth": 1.5},
    ]
    return _chart("line", title, "per hour; the day before dotted", found, lines)


def _failures(found: Flow, names: dict[int, str]) -> dict[str, str]:
    failed, troubled = found.series("failed"), found.series("troubled")
    parts = []
    if sum(failed):
        most = names.get(found.most_failures() or 0, "")
        tries = display.count(sum(failed), "try failed", "tries failed")
        parts.append(tries + (f", most to {most}" if most else ""))
    if sum(troubled):
        parts.append(f"{display.count(sum(troubled), 'message')} not understood")
    title = "; ".join(parts) or "Nothing failed in 24 hours"
    bars = [
        _bar("Failed tries", failed, "var(--color-red-600)"),
        _bar("Messages not understood", troubled, "var(--color-orange-500)"),
    ]
    return _chart("bar", title, "per hour", found, bars)


def _in_time(found: Flow) -> dict[str, str]:
    sent, soon = found.series("sent"), found.series("in_time")
    within = f"within {display.duration(IN_TIME)}"
    title = (
        f"{_percent(sum(soon), sum(sent))} % arrived {within}" if sum(sent) else "Nothing was delivered yet"
    )
    shares = [_percent(good, of) if of else None for good, of in zip(soon, sent, strict=True)]
    line = _line(f"Arrived {within}, %", shares, "var(--color-green-600)") | {"pointStyle": "circle"}
    return _chart("line", title, "of the message coming in, in percent", found, [line])


def _compared(today: int, before: int) -> str:
    if not before:
        return ""
    change = round((today - before) * 100 / before)
    if not change:
        return ", as many as the day before"
    return f", {abs(change)} % {'more' if change > 0 else 'fewer'} than the day before"


def _percent(part: int, whole: int) -> float:
    """With one decimal, and never rounded up to 100."""
    share = int(part * 1000 / whole) / 10
    return int(share) if share == int(share) else share


def _line(label: str, data: Iterable[Any], colour: str) -> dict[str, Any]:
    return {"label": label, "data": list(data), "borderColor": colour, "backgroundColor": colour}


def _bar(label: str, data: Iterable[Any], colour: str) -> dict[str, Any]:
    return {"label": label, "data": list(data), "backgroundColor": colour, "stack": "all"}


_TICKS = {"color": "#9ca3af"}
_OPTIONS = {
    "animation": False,
    "maintainAspectRatio": False,
    "maxBarThickness": 8,
    "interaction": {"mode": "index", "intersect": False},
    "plugins": {"legend": {"display": False}},
    "datasets": {"line": {"borderWidth": 2, "pointStyle": False, "spanGaps": True}},
    "scales": {
        "x": {"grid": {"display": False}, "ticks": _TICKS | {"maxRotation": 0, "autoSkipPadding": 16}},
        "y": {"beginAtZero": True, "ticks": _TICKS | {"precision": 0, "maxTicksLimit": 6}},
    },
}


def _chart(kind: str, title: str, unit: str, found: Flow, datasets: list[dict[str, Any]]) -> dict[str, str]:
    data = {"labels": [f"{timezone.localtime(hour):%H:%M}" for hour in found.hours()], "datasets": datasets}
    drawn = {"data": json.dumps(data), "options": json.dumps(_OPTIONS)}
    return {"kind": kind, "title": title, "unit": unit, **drawn}
