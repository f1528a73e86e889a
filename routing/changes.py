"""What changed, what is an echo and what is left to send: decided on a ticket's shadow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from endpoints.canonical import Attributes, Operation, Value, decode_attributes, encode_attributes
from oneio.template_values import to_text
from routing.comparison import as_moment, as_number

BOOKKEEPING = frozenset({"updated_at"})
"""Attributes that every write moves, ours too: a message that moves nothing else changes nothing."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A ticket in one system as we know it.

    `known` is the last known value of each attribute, whoever wrote it, `codes` the code behind it where
    the system told one; `written` is the last value that we sent there.
    """

    known: Mapping[str, Value] = field(default_factory=dict)
    written: Mapping[str, Value] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)


def to_json(shadow: Shadow) -> dict[str, Any]:
    """The shadow as plain JSON types."""
    return {
        "known": encode_attributes(shadow.known),
        "written": encode_attributes(shadow.written),
        "codes": dict(shadow.codes),
    }


def from_json(data: Mapping[str, Any]) -> Shadow:
    """The inverse of `to_json`; an empty mapping is the shadow of a ticket never heard of."""
    return Shadow(
        known=decode_attributes(data.get("known", {})),
        written=decode_attributes(data.get("written", {})),
        codes=data.get("codes", {}),
    )


def heard(
    shadow: Shadow, attributes: Attributes, codes: Mapping[str, str]
) -> tuple[Shadow, dict[str, Value]]:
    """The shadow after the system told these attributes, and what changed: name to previous value.

    A value is unchanged if it, or the code behind it, is what we knew. Of a ticket never heard of,
    everything that has a value is a change from None.
    """
    changed = {
        name: shadow.known.get(name)
        for name, value in attributes.items()
        if name not in BOOKKEEPING and not _is_known(shadow, name, value, codes.get(name))
    }
    kept = {name: code for name, code in shadow.codes.items() if name not in attributes}
    told = {name: codes[name] for name in attributes if name in codes}
    return Shadow({**shadow.known, **attributes}, shadow.written, {**kept, **told}), changed


def is_echo(
    operation: Operation,
    changed: Mapping[str, Value],
    new_comments: Collection[Any] = (),
    new_attachments: Collection[Any] = (),
) -> bool:
    """Whether a message tells nothing new: nothing changed, no new comment or file, nothing deleted."""
    return operation is not Operation.DELETE and not (changed or new_comments or new_attachments)


def to_send(shadow: Shadow, outbound: Attributes, moved: Collection[str]) -> dict[str, Value]:
    """What of `outbound` must be sent to the ticket that the shadow is of.

    `moved` are the targets whose source attributes this message changes (`mapping.moved`). What the ticket
    is known to have is never sent. The rest is sent if its source moved, or if it is not what we sent last:
    that catches up what was missed while no rule matched, and leaves alone what a person changed at the
    target while this message is about something else.
    """
    return {
        name: value
        for name, value in outbound.items()
        if not _is_known(shadow, name, value, None)
        and (name in moved or not _is_written(shadow, name, value))
    }


def alternating(states: Sequence[Attributes], shown: int = 6) -> dict[str, list[Value]]:
    """The attributes of which a value came back after another one, in states of a ticket oldest first; each
    with its last values."""
    found: dict[str, list[Value]] = {}
    for name in dict.fromkeys(name for state in states for name in state):
        values = _without_repeats([state[name] for state in states if name in state])
        if len({to_text(value) for value in values}) < len(values):
            found[name] = values[-shown:]
    return found


def _without_repeats(values: list[Value]) -> list[Value]:
    return [value for place, value in enumerate(values) if place == 0 or not same(value, values[place - 1])]


def wrote(shadow: Shadow, attributes: Attributes) -> Shadow:
    """The shadow after the system has taken these attributes from us."""
    codes = {name: code for name, code in shadow.codes.items() if name not in attributes}
    return Shadow({**shadow.known, **attributes}, {**shadow.written, **attributes}, codes)


def same(one: Value, other: Value) -> bool:
    """Whether two values say the same.

    Line endings, trailing whitespace and the order of lists do not count; numbers compare by value and
    times by instant, also when one side is written as text; None and what is empty are the same.
    """
    if _is_empty(one) or _is_empty(other):
        return _is_empty(one) and _is_empty(other)
    if isinstance(one, list) and isinstance(other, list):
        return _same_elements(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one.get(name), other.get(name)) for name in one.keys() | other.keys())
    return _same_single(one, other)


def _same_single(one: Value, other: Value) -> bool:
    for kind, read in ((datetime, _moment), (int | Decimal, _number)):
        if _is_a(one, kind) or _is_a(other, kind):
            found = read(one)
            return found is not None and found == read(other)
    return _normal(one) == _normal(other)


def _is_a(value: Value, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _moment(value: Value) -> datetime | None:
    return as_moment(to_text(value))


def _number(value: Value) -> Decimal | None:
    return as_number(to_text(value))


def _normal(value: Value) -> str:
    return "\n".join(line.rstrip() for line in to_text(value).splitlines()).rstrip()


def _is_empty(value: Value) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _same_elements(one: list[Value], other: list[Value]) -> bool:
    rest = list(other)
    for item in one:
        match = next((place for place, candidate in enumerate(rest) if same(item, candidate)), None)
        if match is None:
            return False
        del rest[match]
    return not rest


def _is_known(shadow: Shadow, name: str, value: Value, code: str | None) -> bool:
    known, known_code = shadow.known.get(name), shadow.codes.get(name)
    if same(value, known) or (code is not None and code == known_code):
        return True
    return (code is not None and same(code, known)) or (known_code is not None and same(value, known_code))


def _is_written(shadow: Shadow, name: str, value: Value) -> bool:
    return name in shadow.written and same(value, shadow.written[name])
