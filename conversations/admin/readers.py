"""The list of who read what tickets say, for administrators."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.paginator import InfinitePaginator

from conversations.models import PayloadView
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, ReadOnlyMixin
from oneio.admin.filters import AgeFilter, EnvironmentFilter


class SeenFilter(AgeFilter):
    """Entries by when they were made."""

    moment = "first_seen_at"


@admin.register(PayloadView)
class PayloadViewAdmin(ReadOnlyMixin, EnvironmentAdmin):
    """Who read what, and when."""

    to_view = Permission.ADMINISTER
    list_display = ["person", "what", "seen", "environment_name"]
    list_display_links = None
    list_filter = ["subject", EnvironmentFilter, SeenFilter]
    search_fields = ["person", "key"]
    search_help_text = "User name, or the number of a message or delivery"
    ordering = ["-id"]
    paginator = InfinitePaginator
    show_full_result_count = False
    sortable_by = ()
    list_disable_select_all = True
    empty_title = "Nobody has read a payload yet"
    empty_text = "Who opens a message, a delivery or a conversation and may read what it says is listed here."

    def get_queryset(self, request: Any) -> Any:
        """Entries with their environment."""
        return super().get_queryset(request).select_related("environment__organization")

    @admin.display(description="Read")
    def what(self, entry: PayloadView) -> SafeString:
        """What was read, as a link."""
        address = reverse(f"admin:conversations_{entry.subject}_change", args=[entry.key])
        return display.link(address, f"{entry.get_subject_display()} {entry.key}")

    @admin.display(description="When")
    def seen(self, entry: PayloadView) -> SafeString:
        """When it was read, first in its hour."""
        return display.when(entry.first_seen_at)

    @admin.display(description="Environment")
    def environment_name(self, entry: PayloadView) -> SafeString:
        """Which environment it lies in."""
        return display.environment_bar(entry.environment, named=False)
