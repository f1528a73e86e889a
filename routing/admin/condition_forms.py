"""The rows in which a rule's conditions are written: one condition or group each, indented in its group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from routing import compiled
from routing.models import Condition, ConditionGroup
from routing.operators import OPERATORS

if TYPE_CHECKING:
    ConditionModelForm = forms.ModelForm[Condition]
    ConditionModelFormSet = forms.BaseModelFormSet[Condition, ConditionModelForm]
else:
    from unfold.contrib.inlines.forms import NonrelatedInlineModelFormSet as ConditionModelFormSet

    ConditionModelForm = forms.ModelForm

SEPARATOR = ";"
EMPTY_GROUP = "Nothing is indented below this group. Add conditions or remove it."
LAST = 32767
"""The position of a row that says none: behind all others."""
_KINDS = {
    "any": "Any value",
    "text": "Text",
    "number": "Numbers",
    "date": "Dates and times",
    "list": "Lists",
    "change": "Changes",
}


def operator_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """The operators by kind, and below them the groups, which are chosen in the same place."""
    kinds = groupby(OPERATORS.values(), key=lambda operator: operator.kind)
    offered = [(_KINDS[kind], [(one.name, one.label) for one in operators]) for kind, operators in kinds]
    groups = [(group.value, f"{group.label} the indented ones below") for group in ConditionGroup]
    return [*offered, ("Groups", groups)]


class ConditionForm(ConditionModelForm):
    """One condition, or the head of a group; several values are separated by semicolons."""

    indent = forms.IntegerField(
        label="Within",
        min_value=0,
        max_value=compiled.MAX_DEPTH,
        initial=0,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="0 stands for itself, 1 belongs to the group above it, 2 to a group in that, and so on.",
    )
    operator = forms.ChoiceField(choices=operator_choices, initial="equals", widget=UnfoldAdminSelectWidget)
    value = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "several: separate with ;"}),
    )

    class Meta:
        model = Condition
        fields = ["indent", "path", "operator", "value", "position"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "position" in self.fields:
            self.fields["position"].required = False
        if self.instance.pk is None:
            self.initial["position"] = None
            return
        self.initial["indent"] = depth_of(self.instance)
        if self.instance.values:
            self.initial["value"] = f"{SEPARATOR} ".join(self.instance.values)
        if self.instance.group:
            self.initial["operator"] = self.instance.group

    def has_changed(self) -> bool:
        """A row in which nothing but its place was set is an empty row."""
        changed = set(self.changed_data)
        return bool(changed - {"position"} if self.instance.pk is None else changed)

    def clean(self) -> dict[str, Any]:
        """Split several values, and see whether the condition can run."""
        cleaned = super().clean() or self.cleaned_data
        chosen = cleaned.get("operator", "")
        self.instance.group = chosen if chosen in compiled.GROUPS else ""
        if self.instance.group:
            cleaned.update(path="", operator="", value="")
            self.instance.values = []
        elif chosen in OPERATORS:
            self._clean_condition(cleaned)
        return cleaned

    def clean_position(self) -> int:
        """Where the row stands; at the end if it does not say."""
        position: int | None = self.cleaned_data["position"]
        return LAST if position is None else position

    def clean_indent(self) -> int:
        """How deep the row stands."""
        return self.cleaned_data["indent"] or 0

    def _clean_condition(self, cleaned: dict[str, Any]) -> None:
        operator = OPERATORS[cleaned["operator"]]
        text = cleaned.get("value", "") if operator.takes != "none" else ""
        several = operator.takes in ("values", "pair")
        self.instance.values = _parts(text, operator.takes) if several else []
        cleaned["value"] = "" if several else text
        if "path" not in self.errors:
            self._try(cleaned)

    def _try(self, cleaned: dict[str, Any]) -> None:
        values = tuple(self.instance.values)
        try:
            compiled.Condition(cleaned.get("path", ""), cleaned["operator"], cleaned["value"], values)
        except compiled.RuleError as error:
            field = "value" if error.field == "values" else error.field
            self.add_error(field if field in self.fields else None, str(error))


class ConditionFormSet(ConditionModelFormSet):
    """All conditions of a draft, nested as they are indented."""

    def clean(self) -> None:
        """Whatever is indented must stand below a group, and no group may be empty."""
        super().clean()
        above: ConditionForm | None = None
        for form in self._standing():
            self._check(form, above)
            above = form
        if above is not None and above.instance.group:
            above.add_error("operator", EMPTY_GROUP)

    def save(self, commit: bool = True) -> Any:
        """Save the rows, then nest them; in between none has a parent that may be deleted."""
        known = [form.instance.pk for form in self.initial_forms]
        self.get_queryset().filter(pk__in=known).update(parent=None)
        for form in self.forms:
            form.instance.parent = None
        saved = super().save(commit)
        self._nest()
        return saved

    def _check(self, form: ConditionForm, above: ConditionForm | None) -> None:
        depth = form.cleaned_data["indent"]
        allowed = 0 if above is None else above.cleaned_data["indent"] + bool(above.instance.group)
        if depth > allowed:
            form.add_error("indent", f"There is no group above to belong to. Write {allowed} or less.")
        elif above is not None and above.instance.group and depth < allowed:
            above.add_error("operator", EMPTY_GROUP)

    def _nest(self) -> None:
        groups: list[Condition] = []
        for position, form in enumerate(self._standing()):
            row = form.instance
            del groups[form.cleaned_data["indent"] :]
            row.parent, row.position = (groups[-1] if groups else None), position
            row.version.conditions.filter(pk=row.pk).update(parent=row.parent, position=position)
            if row.group:
                groups.append(row)

    def _standing(self) -> Iterator[ConditionForm]:
        """The forms whose rows stay or are new, in their order."""
        living = [
            form
            for form in cast(list[ConditionForm], self.forms)
            if form not in self.deleted_forms
            and "indent" in getattr(form, "cleaned_data", {})
            and (form.instance.pk is not None or form.has_changed())
        ]
        yield from sorted(living, key=lambda form: form.cleaned_data.get("position", LAST))


def depth_of(row: Condition) -> int:
    """In how many groups a condition stands."""
    depth = 0
    while row.parent is not None and depth <= compiled.MAX_DEPTH:
        row, depth = row.parent, depth + 1
    return depth


def in_order(rows: list[Condition]) -> list[Condition]:
    """The rows as they are read: each group directly before what belongs to it."""
    children: dict[int | None, list[Condition]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row)
    found: list[Condition] = []
    waiting = children.pop(None, [])[::-1]
    while waiting:
        row = waiting.pop()
        found.append(row)
        waiting += children.pop(row.pk, [])[::-1]
    return found


def _parts(text: str, takes: str) -> list[str]:
    """The values between the separators; of a pair, an empty one counts."""
    parts = [part.strip() for part in text.split(SEPARATOR)]
    return parts if takes == "pair" else [part for part in parts if part]
