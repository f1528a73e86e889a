"""Counts what a replay leads to, by target, finding and state."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Count, QuerySet

from conversations.models import ReplayItem


class Line(NamedTuple):
    """So many things of one sort."""

    endpoint_id: int | None
    finding: str
    overwrites: bool
    state: str
    number: int


def lines_of(items: QuerySet[ReplayItem]) -> list[Line]:
    """One line per sort, in one query."""
    by = ("endpoint_id", "finding", "overwrites", "state")
    counted = items.order_by().values(*by).annotate(number=Count("pk")).order_by(*by)
    return [Line(*row) for row in counted.values_list(*by, "number")]
