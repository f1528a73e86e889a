"""Gives roles to people and groups by name: the form, and what each role may do."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from guardian.conf.settings import ANONYMOUS_USER_NAME
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from oneio.access import ROLES

NO_ROLE = "none"
PERSON, GROUP = "person", "group"
MEANINGS = {
    "viewer": "Sees where every ticket is, endpoints and rules; not what tickets say.",
    "operator": "Reads tickets; retries, skips and cancels; suspends and resumes endpoints.",
    "integrator": "Also changes endpoints, rules and translation tables.",
    "administrator": "Also gives roles.",
}


def kind_of(holder: Any) -> str:
    """Whether a role is held by a person or by a group."""
    return GROUP if isinstance(holder, Group) else PERSON


class RoleForm(forms.Form):
    """Who is to have which role. `holder` of the cleaned data is the user or group of that name."""

    kind = forms.ChoiceField(
        label="To",
        choices=[(PERSON, "Person"), (GROUP, "Group")],
        widget=UnfoldAdminSelectWidget,
        required=False,
        initial=PERSON,
    )
    name = forms.CharField(
        label="Name",
        max_length=150,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "User name, or name of the group"}),
    )
    role = forms.ChoiceField(
        label="Role",
        choices=[*((name, name.capitalize()) for name in ROLES), (NO_ROLE, "No role")],
        widget=UnfoldAdminSelectWidget,
    )

    def clean(self) -> dict[str, Any]:
        """Find who is meant."""
        cleaned = super().clean() or self.cleaned_data
        name, is_group = cleaned.get("name"), cleaned.get("kind") == GROUP
        if not name:
            return cleaned
        cleaned["holder"] = _group(name) if is_group else _person(name)
        if cleaned["holder"] is None:
            self.add_error("name", f"There is no {'group' if is_group else 'user'} of this name.")
        return cleaned


def _group(name: str) -> Group | None:
    return Group.objects.filter(name=name).first()


def _person(name: str) -> Any:
    if name == ANONYMOUS_USER_NAME:
        return None
    return get_user_model()._default_manager.filter(username=name).first()
