"""Filters of list pages: they offer only what the user may see."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from oneio import access
from oneio.models import Environment

if TYPE_CHECKING:
    DropdownFilter = SimpleListFilter
else:
    from unfold.contrib.filters.admin import DropdownFilter


class ReadableFilter(DropdownFilter):
    """One row of `offers` that the user may see; `parameter_name` is the look-up to it."""

    offers: type[Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """The rows to choose from."""
        return [(row.pk, str(row)) for row in self.rows(request)]

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        """What is offered, through the one door."""
        return access.readable(request.user, self.offers)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that hang on the chosen one; an id that is none finds nothing."""
        value = self.value()
        if not value or self.parameter_name is None:
            return queryset
        return queryset.filter(**{self.parameter_name: value}) if value.isdecimal() else queryset.none()


class EnvironmentFilter(ReadableFilter):
    """Rows of one environment."""

    title = "environment"
    parameter_name = "environment"
    offers = Environment

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        """Environments with their organization."""
        return super().rows(request).select_related("organization")


class AgeFilter(DropdownFilter):
    """Rows younger than a choice of times; `moment` is the field that says when."""

    title = "time"
    parameter_name = "since"
    moment: str
    AGES = {"1": "Last hour", "24": "Last 24 hours", "168": "Last 7 days", "720": "Last 30 days"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """Hours to choose from."""
        return list(self.AGES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the last so many hours."""
        value = self.value()
        if value not in self.AGES:
            return queryset
        return queryset.filter(**{f"{self.moment}__gte": timezone.now() - timedelta(hours=int(value))})
