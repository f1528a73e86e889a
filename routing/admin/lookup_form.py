"""The form of a rule's lookup; what cannot be asked is said beside the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from routing import compiled, rules
from routing.models import Lookup

if TYPE_CHECKING:
    LookupModelForm = forms.ModelForm[Lookup]
    LookupModelFormSet = forms.BaseModelFormSet[Lookup, LookupModelForm]
else:
    from unfold.contrib.inlines.forms import NonrelatedInlineModelFormSet as LookupModelFormSet

    LookupModelForm = forms.ModelForm


class LookupForm(LookupModelForm):
    """One question to an endpoint: of an entity type, or of another record of that system."""

    limit = forms.IntegerField(min_value=1, max_value=100, initial=10, widget=UnfoldAdminIntegerFieldWidget)
    timeout_seconds = forms.IntegerField(
        min_value=1, max_value=60, initial=10, widget=UnfoldAdminIntegerFieldWidget
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what cannot be asked."""
        cleaned = super().clean() or {}
        entity = cleaned.get("entity_type")
        if bool(entity) is bool(cleaned.get("record")):
            self.add_error("record", "Choose an entity type or name a record, one of both.")
        if entity and entity.endpoint != cleaned.get("endpoint"):
            self.add_error("entity_type", "This entity type is of another endpoint. Choose one of its own.")
        if not self.errors:
            self._check(Lookup(**{name: cleaned[name] for name in self._meta.fields or cleaned}))
        return cleaned

    def _check(self, row: Lookup) -> None:
        try:
            rules.lookup(row)
        except compiled.RuleError as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))


class LookupFormSet(LookupModelFormSet):
    """All lookups of a draft."""

    def clean(self) -> None:
        """Each name once: mappings read the answers by it."""
        super().clean()
        seen: set[str] = set()
        for form in self.forms:
            name = str(form.cleaned_data.get("name") or "").casefold() if form.is_valid() else ""
            if name in seen and form not in self.deleted_forms:
                form.add_error("name", "Another lookup of this rule has this name. Choose a different one.")
            seen |= {name} - {""}
