"""The page of one version of a rule, to look at only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from oneio.admin import display
from oneio.admin.filters import EnvironmentFilter
from oneio.admin.page import WorkPage
from routing.admin import words
from routing.models import RuleVersion


@admin.register(RuleVersion)
class RuleVersionAdmin(WorkPage):
    """All versions of all rules."""

    list_display = ["named", "path", "published", "reason", "environment_name"]
    list_filter = [EnvironmentFilter]
    search_fields = ["rule__name", "reason"]
    ordering = ["-id"]
    page_template = "routing/version.html"
    empty_title = "No versions yet"
    empty_text = "Each published state of a rule is kept here with its reason."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Versions with all that the list shows of them."""
        found: QuerySet[Any] = words.loaded_versions(request).order_by("-id")
        return found

    def page_context(self, request: HttpRequest, row: RuleVersion) -> dict[str, Any]:
        """Everything the version holds."""
        return {"body": words.version_body(row)}

    @admin.display(description="Version")
    def named(self, version: RuleVersion) -> str:
        """Rule and number."""
        return str(version)

    @admin.display(description="From → to")
    def path(self, version: RuleVersion) -> SafeString:
        """From where to where it carries tickets."""
        return words.path_of(version)

    @admin.display(description="Published")
    def published(self, version: RuleVersion) -> SafeString:
        """When it was published."""
        return display.when(version.published_at)

    @admin.display(description="Environment")
    def environment_name(self, version: RuleVersion) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(version.environment, named=False)
