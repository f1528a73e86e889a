"""Says in a sentence which fields a person changed; values only of fields that hold no secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

LONGEST = 60


def sentence(form: Any, formsets: Iterable[Any]) -> str:
    """“Base URL: https://a → https://b; Password changed”; empty when nothing was."""
    secret = set(getattr(form, "secret_names", ()))
    parts = [_field(form, name, secret) for name in form.changed_data]
    for formset in formsets:
        noun = formset.model._meta.verbose_name
        parts += [f"{noun} {row} added" for row in formset.new_objects]
        parts += [_row(noun, row, names) for row, names in formset.changed_objects]
        parts += [f"{noun} {row} deleted" for row in formset.deleted_objects]
    return "; ".join(parts)


def _field(form: Any, name: str, secret: set[str]) -> str:
    field = form.fields[name]
    label = str(field.label or name.replace("_", " ")).capitalize()
    if name in secret:
        return f"{label} changed"
    before = _text(field, form.get_initial_for_field(field, name))
    after = _text(field, form.cleaned_data.get(name))
    if max(len(before), len(after)) > LONGEST or "\n" in before + after:
        return f"{label} changed"
    return f"{label}: {before or 'empty'} → {after or 'empty'}"


def _text(field: Any, value: Any) -> str:
    """A value as its form shows it: of a choice, its words."""
    if value is None:
        return ""
    value = field.prepare_value(value)
    choices = {str(key): str(words) for key, words in getattr(field, "choices", ()) or ()}
    return choices.get(str(value), str(value))


def _row(noun: Any, row: Any, names: list[str]) -> str:
    return f"{noun} {row}: {', '.join(name.replace('_', ' ') for name in names)} changed"
