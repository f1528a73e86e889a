"""Translation tables with their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from oneio.admin import display
from oneio.admin.base import EnvironmentAdmin, RoleInline, TenantForm
from oneio.admin.filters import EnvironmentFilter
from routing.admin.condition_forms import SEPARATOR
from routing.models import TranslationRow, TranslationTable, UnmappedPolicy

if TYPE_CHECKING:
    RowModelForm = forms.ModelForm[TranslationRow]
else:
    RowModelForm = forms.ModelForm

CELLS = {"sources": "source", "targets": "target"}
"""The cells of a table of several values, and the field in which they are written."""


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
        fields = ["name", "environment", "unmapped", "default", "inputs", "outputs"]
        widgets = {side: UnfoldAdminTextInputWidget() for side in ("inputs", "outputs")}
        help_texts = {
            "inputs": "For a table of several values: what they are, parted by commas. Else empty.",
            "outputs": "And what they give, parted by commas.",
        }

    def clean(self) -> dict[str, Any]:
        """A default that is used must be given."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("unmapped") == UnmappedPolicy.DEFAULT and not cleaned.get("default"):
            self.add_error("default", "Say which value is used for those without a row.")
        if bool(cleaned.get("inputs")) != bool(cleaned.get("outputs")):
            self.add_error("outputs", "Name what goes in and what comes out, or neither.")
        self._keep_width(cleaned)
        return cleaned

    def _keep_width(self, cleaned: dict[str, Any]) -> None:
        """A rule that names so many sources and targets could not run with more or fewer columns."""
        for side in ("inputs", "outputs"):
            before, after = self.initial.get(side) or [], cleaned.get(side) or []
            if self.instance.pk and len(before) != len(after) and self.instance.mappings.exists():
                self.add_error(side, "Rules use this table. Make a new table with these columns instead.")


class RowForm(RowModelForm):
    """One row; the cells of a table of several values are parted by semicolons."""

    class Meta:
        model = TranslationRow
        fields = ["source", "target", "position"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for cells, field in CELLS.items():
            if getattr(self.instance, cells):
                self.initial[field] = f"{SEPARATOR} ".join(getattr(self.instance, cells))

    def clean(self) -> dict[str, Any]:
        """Part the cells, as many as the table has columns."""
        cleaned = super().clean() or self.cleaned_data
        table: TranslationTable = cleaned["table"]
        for (cells, field), columns in zip(CELLS.items(), (table.inputs, table.outputs), strict=True):
            parts = [part.strip() for part in cleaned.get(field, "").split(SEPARATOR)] if columns else []
            setattr(self.instance, cells, parts)
            if len(parts) != len(columns):
                named = f"{SEPARATOR} ".join(columns)
                self.add_error(field, f"Write {len(columns)} values with {SEPARATOR} between: {named}.")
            cleaned[field] = "" if columns else cleaned.get(field, "")
        if not table.inputs and not cleaned["source"]:
            self.add_error("source", "Say which value this row is for.")
        return cleaned


class RowInline(RoleInline):
    """The pairs of a table, in order."""

    model = TranslationRow
    form = RowForm
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
    fields = [("name", "environment"), ("unmapped", "default"), ("inputs", "outputs")]
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
