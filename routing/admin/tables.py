"""Translation tables with their rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, RoleInline, TenantForm
from oneio.admin.filters import EnvironmentFilter
from routing.models import TranslationRow, TranslationTable, UnmappedPolicy


class TranslationTableForm(TenantForm):
    """A table; the default is needed only where it is used."""

    constraint_words = {
        "translation_table_name_once": (
            "name",
            "Another table of this environment has this name. Choose a different one.",
        )
    }

    class Meta:
        model = TranslationTable
        fields = ["name", "environment", "unmapped", "default"]

    def clean(self) -> dict[str, Any]:
        """A default that is used must be given."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("unmapped") == UnmappedPolicy.DEFAULT and not cleaned.get("default"):
            self.add_error("default", "Say which value is used for those without a row.")
        return cleaned


class RowInline(RoleInline):
    """The pairs of a table, in order."""

    model = TranslationRow
    fields = ["source", "target", "position"]
    ordering = ["position", "id"]
    ordering_field = "position"
    hide_ordering_field = True
    extra = 1
    verbose_name = "row"
    verbose_name_plural = "rows: the first that fits counts, whatever its case"


@admin.register(TranslationTable)
class TranslationTableAdmin(EnvironmentAdmin):
    """What one system says and what another calls it."""

    form = TranslationTableForm
    inlines = [RowInline]
    list_display = ["name", "row_count", "unmapped", "environment_name"]
    list_filter = [EnvironmentFilter]
    list_select_related = ["environment__organization"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = [("name", "environment"), ("unmapped", "default")]
    empty_title = "No translation table yet"
    empty_text = "A table says what one system calls a value and what another calls it, such as priorities."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Tables with the number of their rows."""
        found: QuerySet[Any] = super().get_queryset(request).annotate(row_total=Count("rows"))
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A table stays in its environment."""
        return ["environment"] if obj else []

    @admin.display(description="Rows")
    def row_count(self, table: Any) -> int:
        """How many rows it has."""
        return int(table.row_total)

    @admin.display(description="Environment")
    def environment_name(self, table: TranslationTable) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(table.environment, named=False)
