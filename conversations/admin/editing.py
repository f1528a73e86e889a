"""The form in which a person edits what a held delivery sends: one field for each outgoing attribute."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from conversations import jobs, sender
from conversations.models import Delivery
from conversations.sender import Outgoing
from endpoints.canonical import Value, decode, decode_attributes, encode
from endpoints.configs import EndpointConfigs
from oneio.template_values import to_text
from routing.comparison import as_moment, as_number
from routing.rules import RuleBook

REASON_LENGTH = 200


def outgoing_of(delivery: Delivery) -> list[Outgoing]:
    """What the rule would send with this delivery; nothing where the rule cannot be run."""
    endpoint = EndpointConfigs().get(delivery.endpoint_id)
    job = jobs.rehearse(delivery, endpoint, RuleBook().of(delivery.environment_id))
    return sender.outgoing(job) if job else []


class EditForm(forms.Form):
    """What differs from the rule's own value is sent instead of it."""

    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget,
        help_text="Why; it stays in the history of this delivery, in plain text.",
    )

    def __init__(self, outgoing: list[Outgoing], kept: dict[str, Any] | None, data: Any = None) -> None:
        edited = decode_attributes(kept or {})
        self.outgoing = {f"value-{number}": one for number, one in enumerate(outgoing)}
        super().__init__(data, initial={key: _shown(edited.get(one.name, one.value))
                                        for key, one in self.outgoing.items()})  # fmt: skip
        fields = {key: _field(one, one.name in edited) for key, one in self.outgoing.items()}
        self.fields = fields | self.fields

    def clean(self) -> dict[str, Any]:
        """Text back into values of the kind that the rule makes."""
        for key, one in self.outgoing.items():
            if key in self.cleaned_data:
                try:
                    self.cleaned_data[key] = _read(self.cleaned_data[key], one.value)
                except ValueError as error:
                    self.add_error(key, str(error))
        return self.cleaned_data

    def overrides(self) -> dict[str, Value]:
        """Attribute to value, for those that are not what the rule makes."""
        return {
            one.name: self.cleaned_data[key]
            for key, one in self.outgoing.items()
            if _shown(self.cleaned_data[key]) != _shown(one.value)
        }

    def edited(self) -> list[str]:
        """The names of the attributes that were changed in this form."""
        return [
            one.name
            for key, one in self.outgoing.items()
            if _shown(self.cleaned_data[key]) != self.initial[key]
        ]


def _field(one: Outgoing, edited: bool) -> forms.CharField:
    words = one.problem or ("Edited; the rule says: " + (_shown(one.value) or "nothing") if edited else "")
    return forms.CharField(
        label=one.name,
        required=False,
        strip=False,
        help_text=words,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": min(_shown(one.value).count("\n") + 1, 10)}),
    )


def _shown(value: Value) -> str:
    text = json.dumps(encode(value), ensure_ascii=False) if isinstance(value, list | dict) else to_text(value)
    return text.replace("\r\n", "\n")


def _read(text: str, like: Value) -> Value:
    """The value that a person wrote. Raises ValueError, with a sentence, if it is of another kind."""
    text = text.replace("\r\n", "\n")
    if text == _shown(like):
        return like
    if like is None or isinstance(like, str):
        return text
    return _read_as(like, text) if text.strip() else None


def _read_as(like: Value, text: str) -> Value:
    match like:
        case bool():
            return _truth(text)
        case datetime():
            return _or_complain(as_moment(text), "Write a time with its zone, such as 2026-05-01T12:00Z.")
        case int() | Decimal():
            return _or_complain(as_number(text), "Write a number.")
        case _:
            return _structure(text)


def _structure(text: str) -> Value:
    try:
        return decode(json.loads(text))
    except (ValueError, KeyError):
        raise ValueError("Write it as JSON, in the form in which it stood here.") from None


def _truth(text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ValueError("Write true or false.")
    return text.strip().lower() == "true"


def _or_complain(value: Value, sentence: str) -> Value:
    if value is None:
        raise ValueError(sentence)
    return value
