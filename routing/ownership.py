"""Decides whose value counts when both sides changed an attribute since they last agreed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from endpoints.canonical import Attributes, CanonicalMessage, Value
from oneio.template_values import to_text
from routing.changes import Shadow, same

if TYPE_CHECKING:
    from routing.mapping_rows import MappingRow

Owner: TypeAlias = Literal["source", "target", "newest", "append"]
Side: TypeAlias = Literal["source", "target"]
OWNERS = frozenset({"source", "target", "newest", "append"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """An attribute that both sides changed, and whose value was lost by it: `winner` has its value there."""

    attribute: str
    theirs: Value
    ours: Value
    winner: Side


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is sent in the end, and what a person should know of."""

    attributes: Mapping[str, Value]
    conflicts: tuple[Conflict, ...] = ()


def decide(
    shadow: Shadow,
    sending: Attributes,
    moved: Collection[str],
    owners: Mapping[str, Owner],
    before: Callable[[], Attributes],
    changed: Callable[[], datetime | None],
) -> Settlement:
    """What is sent in the end where the target changed attributes, too.

    `before` works out what would have been sent before the source's change, `changed` when that was; both
    are asked only if it matters.
    """
    edited = changed_there(shadow, sending, moved) & owners.keys()
    if not edited:
        return Settlement(sending)
    return settle(shadow, sending, unagreed(shadow, edited, before()), owners, changed())


def owners_of(rows: Iterable[MappingRow], named: Callable[[str], str]) -> dict[str, Owner]:
    """Whose value counts for each attribute that rows replace, under the name that `named` gives it; what
    rows add to is not among them, for it holds the target's text."""
    replaced = list(rows)
    added = {named(row.target) for row in replaced if row.kind == "append"}
    owners = {named(target): row.owner for row in replaced for target in row.targets}
    return {name: owner for name, owner in owners.items() if name not in added}


def changed_at(message: CanonicalMessage) -> datetime | None:
    """When the source was changed, by its own clock."""
    updated = message.attributes.get("updated_at")
    return message.occurred_at or (updated if isinstance(updated, datetime) else None)


def changed_there(shadow: Shadow, sending: Attributes, moved: Collection[str]) -> frozenset[str]:
    """Of what is about to be sent because its source moved: what the target has changed since we wrote it."""
    return frozenset(
        name
        for name in sending
        if name in moved and name in shadow.written and not same(shadow.written[name], shadow.known.get(name))
    )


def unagreed(shadow: Shadow, names: Collection[str], before: Attributes) -> frozenset[str]:
    """Those of `names` of which the source did not know the target's value: `before` is what would have been
    sent before the source's change."""
    return frozenset(
        name for name in names if name not in before or not same(before[name], shadow.known.get(name))
    )


def settle(
    shadow: Shadow,
    sending: Attributes,
    contested: Collection[str],
    owners: Mapping[str, Owner],
    changed_at: datetime | None,
) -> Settlement:
    """Decide on each contested attribute by its owner; without one the source's value counts.

    `changed_at`: when the source was changed. When the target was is its `updated_at`, unless our own write
    moved that. Where the newest is to count and the times cannot tell, the target's value stays.
    """
    attributes = dict(sending)
    conflicts = []
    for name in sorted(contested):
        theirs, ours = shadow.known.get(name), sending[name]
        owner = owners.get(name, "source")
        winner: Side | None = _newest(shadow, changed_at) if owner == "newest" else _FIXED.get(owner)
        if owner == "append":
            attributes[name] = _both(theirs, ours)
        elif winner != "source":
            del attributes[name]
        if owner == "source" or (owner == "newest" and winner is None):
            conflicts.append(Conflict(name, theirs, ours, winner or "target"))
    return Settlement(attributes, tuple(conflicts))


def _newest(shadow: Shadow, changed_at: datetime | None) -> Side | None:
    there = shadow.known.get("updated_at")
    if not isinstance(there, datetime) or changed_at is None or there == changed_at:
        return None
    if "updated_at" in shadow.written and same(shadow.written["updated_at"], there):
        return None
    return "source" if changed_at > there else "target"


def _both(theirs: Value, ours: Value) -> Value:
    """Both texts, theirs first; nothing is added that stands there already."""
    held, more = to_text(theirs).rstrip(), to_text(ours).strip()
    return held if more in held else f"{held}\n{more}"


_FIXED: Mapping[str, Side] = {"source": "source", "target": "target"}
