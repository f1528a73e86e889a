"""Scheduled work and its failures, to look at only. Arguments and results are not shown."""

from __future__ import annotations

from typing import Any

import django_q.admin  # noqa: F401 (registers its own pages first, so that they can be replaced)
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_q.models import Failure, OrmQ, Schedule, Success

from oneio.admin import display
from oneio.admin.base import UnfoldAdmin

for _model in (Schedule, Failure, Success, OrmQ):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class LookOnly(UnfoldAdmin):
    """Superusers look; nobody changes."""

    compressed_fields = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Superusers only: scheduled work belongs to no tenant."""
        return bool(request.user.is_active and request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers only."""
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(Schedule)
class ScheduleAdmin(LookOnly):
    """What runs again and again."""

    list_display = ["name", "func", "every", "next_at"]
    fields = ["name", "func", "schedule_type", "minutes", "repeats", "next_run"]
    empty_title = "No scheduled work yet"
    empty_text = "The workers plan their own upkeep here when they start for the first time."

    @admin.display(description="Every")
    def every(self, row: Schedule) -> str:
        """How often."""
        return f"{row.minutes} min" if row.minutes else str(row.get_schedule_type_display())

    @admin.display(description="Next")
    def next_at(self, row: Schedule) -> SafeString:
        """When it runs next."""
        return display.when(row.next_run)


@admin.register(Failure)
class FailureAdmin(LookOnly):
    """Scheduled work that failed. It is repeated by its schedule; tickets do not depend on it."""

    list_display = ["name", "func", "started_at", "stopped_at"]
    fields = ["name", "func", "started", "stopped", "attempt_count"]
    empty_title = "Nothing has failed"
    empty_text = "Scheduled work that fails is listed here."

    @admin.display(description="Started")
    def started_at(self, row: Failure) -> SafeString:
        """When it began."""
        return display.when(row.started)

    @admin.display(description="Stopped")
    def stopped_at(self, row: Failure) -> SafeString:
        """When it failed."""
        return display.when(row.stopped)
