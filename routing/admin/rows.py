"""Conditions and mappings as rows edited on the rule's page; they belong to its draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Case, QuerySet, When
from django.http import HttpRequest

from oneio.admin.base import RoleMixin, UnfoldTabularInline, may, offered
from routing import versions
from routing.admin.condition_forms import ConditionForm, ConditionFormSet, in_order
from routing.admin.forms import MappingForm
from routing.admin.lookup_form import LookupForm, LookupFormSet
from routing.models import AttachmentMapping, Condition, Lookup, Mapping, MappingCategory

if TYPE_CHECKING:
    UnrelatedInline = UnfoldTabularInline
else:
    from unfold.contrib.inlines.admin import NonrelatedTabularInline as UnrelatedInline


class VariableForm(MappingForm):
    """A mapping whose value later mappings and templates can use."""

    category = MappingCategory.VARIABLE


class ConversationForm(MappingForm):
    """A mapping whose value stays with the ticket."""

    category = MappingCategory.CONVERSATION


class DraftRows(RoleMixin, UnrelatedInline):
    """Rows of a rule's draft."""

    tab = True
    extra = 0
    hide_title = True
    ordering_field = "position"
    hide_ordering_field = True
    from_environment: ClassVar[tuple[str, ...]] = ()
    """The fields that offer what the rule's own environment holds."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Offer nothing of other environments."""
        formset = super().get_formset(request, obj, **kwargs)
        for name in self.from_environment:
            field: Any = formset.form.base_fields.get(name)
            if field is not None and obj is not None:
                field.queryset = field.queryset.filter(environment_id=obj.environment_id)
                # Without the buttons that would leave the page.
                field.widget = getattr(field.widget, "widget", field.widget)
        return formset

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only what lies in environments that the user may change."""
        return super().formfield_for_foreignkey(db_field, request, **offered(db_field, request, kwargs))

    def get_form_queryset(self, obj: Any) -> QuerySet[Any]:
        """The rows of the draft, in order."""
        draft = versions.find_draft(obj)
        rows: QuerySet[Any] = self.rows_of(draft) if draft else self.model._base_manager.none()
        return rows.order_by("position", "id")

    def rows_of(self, draft: Any) -> QuerySet[Any]:
        """Which rows of the draft these are."""
        raise LookupError(f"{type(self).__name__} does not say which rows it shows.")

    def save_new_instance(self, parent: Any, instance: Any) -> None:
        """A new row belongs to the draft."""
        instance.version = versions.find_draft(parent)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change the rule."""
        return may(request, self.to_change, obj)


class ConditionInline(DraftRows):
    """When the rule applies."""

    model = Condition
    form = ConditionForm
    formset = ConditionFormSet  # type: ignore[assignment]
    extra = 1
    fields = ["indent", "path", "operator", "value", "position"]
    verbose_name = "condition"
    verbose_name_plural = "conditions"

    def get_form_queryset(self, obj: Any) -> QuerySet[Any]:
        """The rule's own conditions, each group directly before what belongs to it."""
        draft = versions.find_draft(obj)
        if draft is None:
            return Condition._base_manager.none()
        own: QuerySet[Any] = draft.conditions.filter(mapping=None)
        places = [When(pk=row.pk, then=place) for place, row in enumerate(in_order(list(own)))]
        return own.order_by(Case(*places)) if places else own


class MappingInline(DraftRows):
    """What the target gets."""

    model = Mapping
    form = MappingForm
    fields = list(MappingForm.Meta.fields)
    from_environment = ("table", "counter")
    verbose_name = "mapping"
    verbose_name_plural = "mappings"

    def rows_of(self, draft: Any) -> QuerySet[Any]:
        """The mappings of this category."""
        found: QuerySet[Any] = draft.mappings.filter(category=self.form.category)
        return found


class VariableInline(MappingInline):
    """Values worked out before the others."""

    form = VariableForm
    verbose_name_plural = "runtime variables"


class AttachmentInline(DraftRows):
    """Which files go to the target; none without a row."""

    model = AttachmentMapping
    fields = [
        "from_message",
        "from_conversation",
        "allowed_extensions",
        "blocked_extensions",
        "without_extension",
        "content_types",
        "max_bytes",
    ]
    ordering_field = ""
    max_num = 1
    verbose_name = "attachments"
    verbose_name_plural = "attachments"

    def get_form_queryset(self, obj: Any) -> QuerySet[Any]:
        """The draft's own."""
        return versions.files_of_draft(obj)


class LookupInline(DraftRows):
    """What the rule asks other systems before it decides."""

    model = Lookup
    form = LookupForm
    formset = LookupFormSet  # type: ignore[assignment]
    fields = [
        "name",
        "endpoint",
        "entity_type",
        "record",
        "mode",
        "criteria",
        "attributes",
        "limit",
        "cache_seconds",
        "timeout_seconds",
    ]
    from_environment = ("endpoint", "entity_type")
    verbose_name = "lookup"
    verbose_name_plural = "lookups"

    def rows_of(self, draft: Any) -> QuerySet[Any]:
        """All of the draft."""
        rows: QuerySet[Any] = draft.lookups.all()
        return rows


class ConversationInline(MappingInline):
    """Values that stay with the ticket."""

    form = ConversationForm
    verbose_name_plural = "conversation variables"
