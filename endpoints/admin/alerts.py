"""Alerts: what is wrong, since when, and what to do about it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from endpoints.admin import gate_words
from endpoints.models import Alert
from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, ReadOnlyMixin
from oneio.admin.filters import DropdownFilter, EnvironmentFilter


class OpenFilter(DropdownFilter):
    """Alerts that are open, or over."""

    title = "state"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """Open or over."""
        return [("1", "Open"), ("0", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The alerts of that state."""
        return queryset.filter(ended_at__isnull=self.value() == "1") if self.value() else queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyMixin, EnvironmentAdmin):
    """What a person should know."""

    list_display = ["state", "what", "endpoint_name", "what_to_do", "began", "environment_name"]
    list_filter = [OpenFilter, EnvironmentFilter]
    list_select_related = ["endpoint", "environment__organization"]
    fields = ["kind", "endpoint", "environment", "since", "ended_at", "what_to_do"]
    empty_title = "No alerts"
    empty_text = (
        "When a system rejects our password, stops answering or tickets go in circles, it is said here."
    )

    @admin.display(description="State")
    def state(self, alert: Alert) -> SafeString:
        """Open or over."""
        if alert.ended_at is None:
            return display.chip("Open", "red", "error", "It is still so.")
        return display.chip("Over", "grey", "check", f"Ended {display.relative(alert.ended_at)}.")

    @admin.display(description="What")
    def what(self, alert: Alert) -> str:
        """Its kind in words."""
        return alert.get_kind_display()

    @admin.display(description="Endpoint")
    def endpoint_name(self, alert: Alert) -> SafeString:
        """Which system it is about."""
        if alert.endpoint is None:
            return display.NOTHING
        return format_html(
            '<span class="oi-line">{}{}</span>', gate_words.mark(alert.endpoint), alert.endpoint
        )

    @admin.display(description="Since")
    def began(self, alert: Alert) -> SafeString:
        """Since when."""
        return display.when(alert.since)

    @admin.display(description="Environment")
    def environment_name(self, alert: Alert) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(alert.environment, named=False)
