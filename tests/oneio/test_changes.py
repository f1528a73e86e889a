"""Histories say which field was changed from what to what, and no secret."""

from typing import Any

import pytest
from django import forms

from oneio.admin.changes import sentence


class SomeForm(forms.Form):
    secret_names = frozenset({"token"})
    name = forms.CharField(label="Name")
    policy = forms.ChoiceField(choices=[("hold", "Hold it"), ("resend", "Send again")])
    limit = forms.IntegerField(required=False)
    token = forms.CharField(required=False)
    notes = forms.CharField(required=False)


BEFORE = {"name": "Jira", "policy": "hold", "limit": 5, "token": "old secret", "notes": ""}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "Jira Cloud"}, "Name: Jira → Jira Cloud"),
        ({"policy": "resend"}, "Policy: Hold it → Send again"),
        ({"limit": ""}, "Limit: 5 → empty"),
        ({"token": "new secret"}, "Token changed"),
        ({"notes": "x" * 100}, "Notes changed"),
        ({"name": "A", "token": "t"}, "Name: Jira → A; Token changed"),
        ({}, ""),
    ],
)
def test_changes_are_told_in_a_sentence(changed: dict[str, Any], told: str) -> None:
    form = SomeForm({**BEFORE, **changed}, initial=BEFORE)
    assert form.is_valid()

    assert sentence(form, []) == told
