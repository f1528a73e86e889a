"""Forms of a rule and of the rows of its draft; what cannot run is said beside the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from endpoints.canonical import Operation
from endpoints.models import EntityType
from oneio.admin.base import TenantForm
from routing import compiled, rules, versions
from routing.models import (
    Mapping,
    MappingCategory,
    MappingKind,
    MissingPolicy,
    Ownership,
    RoutingRule,
    RuleAction,
    RuleVersion,
)

if TYPE_CHECKING:
    MappingModelForm = forms.ModelForm[Mapping]
    EntityField = forms.ModelChoiceField[EntityType]
else:
    MappingModelForm = forms.ModelForm
    EntityField = forms.ModelChoiceField


class EntityChoice(EntityField):
    """An entity type of an endpoint, chosen as one."""

    widget = UnfoldAdminSelectWidget

    def label_from_instance(self, obj: Any) -> str:
        """Environment, endpoint and entity type."""
        return f"{obj.endpoint} – {obj.name} ({obj.environment})"


class IdentityForm(TenantForm):
    """What a rule keeps while its content changes."""

    constraint_words = {
        "rule_name_once": ("name", "Another rule of this environment has this name. Choose a different one."),
        "rule_slug_once": (
            "slug",
            "Another rule of this environment has this short name. Choose a different one.",
        ),
    }

    class Meta:
        model = RoutingRule
        fields = ["name", "slug", "use_case", "owner", "enabled", "test_before_publish"]

    def clean(self) -> Any:
        """A rule that works in Production is somebody's."""
        cleaned = super().clean()
        moved = {"owner", "enabled"}.intersection(self.changed_data)
        if moved and self.instance.current_version_id and cleaned and cleaned.get("enabled"):
            self.instance.owner = cleaned.get("owner")
            try:
                versions.check_owner(self.instance)
            except versions.TransitionRefused as refused:
                self.add_error("owner", str(refused))
        return cleaned


class DraftForm(IdentityForm):
    """A rule together with its draft."""

    source = EntityChoice(
        queryset=None, label="From", help_text="Messages about this entity type of this endpoint are taken."
    )
    target = EntityChoice(
        queryset=None,
        label="To",
        required=False,
        empty_label="Nowhere",
        help_text="Where they go. Choose Nowhere for a rule that only processes or drops.",
    )
    action = forms.ChoiceField(
        label="What it does",
        choices=RuleAction.choices,
        initial=RuleAction.ROUTE,
        widget=UnfoldAdminSelectWidget,
    )
    operations = forms.MultipleChoiceField(
        label="Carries over",
        choices=[(operation.value, operation.value.capitalize()) for operation in Operation],
        initial=["create", "update", "comment"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What must have happened to the ticket at its sender.",
    )
    message_type = forms.CharField(
        label="Message type",
        required=False,
        max_length=60,
        widget=UnfoldAdminTextInputWidget,
        help_text="Only for targets that expect one; empty otherwise.",
    )
    priority = forms.IntegerField(
        initial=0, widget=UnfoldAdminIntegerFieldWidget, help_text="Rules with a higher number come first."
    )
    write_back = forms.BooleanField(
        label="Write the target's number back",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="After a create, write the new ticket's number onto the ticket it came from.",
    )
    CONTENT = ("action", "operations", "message_type", "priority", "write_back")

    def __init__(self, *args: Any, entities: Any, draft: RuleVersion | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("source", "target"):
            self._choice(name).queryset = entities
        if draft is not None:
            self.initial.update({name: getattr(draft, name) for name in self.CONTENT})
            self.initial.update(source=draft.source_entity_id, target=draft.target_entity_id)

    def complete(self) -> None:
        """A new rule lives where its source does."""
        source = self.cleaned_data.get("source")
        if source is not None and self.instance.environment_id is None:
            self.instance.environment_id = source.environment_id
            self.instance.organization_id = source.organization_id
        super().complete()

    def clean(self) -> dict[str, Any]:
        """Source, action and target must fit together."""
        cleaned = super().clean() or self.cleaned_data
        source, target = cleaned.get("source"), cleaned.get("target")
        routes = cleaned.get("action") == RuleAction.ROUTE
        if routes and target is None and "target" not in self.errors:
            self.add_error("target", "A rule that routes needs a target. Choose where the tickets go.")
        if not routes and target is not None:
            self.add_error("target", "A rule that sends nothing has no target. Choose Nowhere.")
        if source is not None and target is not None:
            self._check_pair(source, target)
        return cleaned

    def content(self) -> dict[str, Any]:
        """What the draft holds besides source and target."""
        return {name: self.cleaned_data[name] for name in self.CONTENT}

    def _check_pair(self, source: EntityType, target: EntityType) -> None:
        if source.endpoint_id == target.endpoint_id:
            self.add_error("target", "This is where the tickets come from. Choose another endpoint.")
        if source.environment_id != target.environment_id:
            self.add_error("target", "This is in another environment. Choose an endpoint of the same one.")

    def _choice(self, name: str) -> EntityChoice:
        field = self.fields[name]
        assert isinstance(field, EntityChoice)
        return field


class MappingForm(MappingModelForm):
    """One mapping; `text` is its template or its constant, whichever its kind needs."""

    category: str = MappingCategory.OUTBOUND
    text = forms.CharField(
        label="Template or constant",
        required=False,
        widget=UnfoldAdminExpandableTextareaWidget(attrs={"rows": 1}),
    )

    ownership = forms.ChoiceField(
        label="If both changed it",
        choices=Ownership.choices,
        required=False,
        initial=Ownership.SOURCE,
        widget=UnfoldAdminSelectWidget,
    )
    missing = forms.ChoiceField(
        label="Without a source",
        choices=MissingPolicy.choices,
        required=False,
        initial=MissingPolicy.SKIP,
        widget=UnfoldAdminSelectWidget,
    )

    class Meta:
        model = Mapping
        # What every mapping needs comes first; the rest is reached by scrolling.
        fields = [
            *(
                "source",
                "kind",
                "table",
                "text",
                "target",
                "formatters",
                "further_sources",
                "further_targets",
            ),
            *("separator", "counter", "only_on", "missing", "default", "ownership", "position"),
        ]
        widgets = {
            "formatters": UnfoldAdminExpandableTextareaWidget(attrs={"rows": 1}),
            **{name: UnfoldAdminTextInputWidget() for name in ("further_sources", "further_targets")},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["text"] = self.instance.template or self.instance.constant

    def clean_missing(self) -> str:
        """A row that says nothing leaves its target as it is."""
        return self.cleaned_data["missing"] or MissingPolicy.SKIP

    def clean_ownership(self) -> str:
        """A row that says nothing overwrites what the target changed."""
        return self.cleaned_data["ownership"] or Ownership.SOURCE

    def clean_formatters(self) -> list[Any]:
        """No formatters are an empty list."""
        return self.cleaned_data["formatters"] or []

    def clean(self) -> dict[str, Any]:
        """See whether the mapping can run."""
        cleaned = super().clean() or self.cleaned_data
        constant = cleaned.get("kind") == MappingKind.CONSTANT
        self.instance.category = self.category
        self.instance.template = "" if constant else cleaned.get("text", "")
        self.instance.constant = cleaned.get("text", "") if constant else ""
        if {"kind", "target"} <= cleaned.keys() and not self.errors:
            self._try(cleaned)
        return cleaned

    def _try(self, cleaned: dict[str, Any]) -> None:
        try:
            self._compile(cleaned)
        except compiled.RuleError as error:
            field = "text" if error.field in ("template", "constant") else error.field
            self.add_error(field if field in self.fields else None, str(error))

    def _compile(self, cleaned: dict[str, Any]) -> None:
        named = {field: cleaned[field] for field in self.Meta.fields if field not in ("text", "position")}
        mapping = Mapping(
            **named, position=0, template=self.instance.template, constant=self.instance.constant
        )
        row = rules.mapping_row(mapping)
        if self.category == MappingCategory.OUTBOUND:
            compiled.check_outbound(row)
        elif any("." in target for target in row.targets):
            raise compiled.RuleError("target", "A variable has a plain name, without dots.")
