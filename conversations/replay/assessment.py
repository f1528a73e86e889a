"""Judges what sending something once more would do. Pure: what is known goes in, a finding comes out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conversations.models import DeliveryState, HoldReason, ReplayFinding
from endpoints.canonical import Attributes, CanonicalMessage, Value, encode
from routing import changes
from routing.changes import Shadow, same

ON_THE_WAY = frozenset(
    {DeliveryState.DELAYED, DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.VERIFYING}
)

SENT = frozenset({ReplayFinding.SEND, ReplayFinding.DUPLICATE, ReplayFinding.ANEW})
"""What is sent as planned, or when a person wants it."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A delivery with the same effect. `unsure`: nobody knows whether one of its tries arrived."""

    state: str
    hold_reason: str = ""
    unsure: bool = False

    @property
    def may_have_arrived(self) -> bool:
        """Whether sending it again could do twice what it did; a held one is looked up first if it can be."""
        if self.state == DeliveryState.HELD:
            return self.hold_reason == HoldReason.UNKNOWN
        return self.state == DeliveryState.DELIVERED or self.unsure


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute of the target's ticket: what it has, what it would get, and whether that is older."""

    name: str
    there: Value
    ours: Value
    newer_there: bool = False

    def to_json(self) -> dict[str, Any]:
        """As it is stored with the plan."""
        return {
            "name": self.name,
            "there": encode(self.there),
            "ours": encode(self.ours),
            "newer": self.newer_there,
        }


@dataclass(frozen=True, slots=True)
class Later:
    """What happened to the target's ticket after the message was received: `told`, the attributes that its
    own system told since; `written`, whether we have written there what a later message said."""

    told: Collection[str] = ()
    written: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants although the plan leaves it out."""

    create_anew: bool = False
    overwrite_newer: bool = False

    def include(self, finding: str, *, overwrites: bool) -> bool:
        """Whether something found to be so is sent."""
        always = finding in (ReplayFinding.SEND, ReplayFinding.ANEW)
        wanted = always or (finding == ReplayFinding.DUPLICATE and self.create_anew)
        return wanted and (self.overwrite_newer or not overwrites)


def standing(earlier: Sequence[Earlier]) -> ReplayFinding:
    """What became of the same effect before: on its way, there, or still to be had."""
    if any(one.state in ON_THE_WAY for one in earlier):
        return ReplayFinding.UNDER_WAY
    if any(one.may_have_arrived for one in earlier):
        return ReplayFinding.DUPLICATE
    return ReplayFinding.SEND


def changes_of(shadow: Shadow, sending: Attributes, later: Later) -> list[Change]:
    """What each attribute would become, and which would lose a value that is newer than the message."""
    return [
        Change(name, shadow.known.get(name), value, _is_newer(shadow, name, value, later))
        for name, value in sending.items()
    ]


def _is_newer(shadow: Shadow, name: str, value: Value, later: Later) -> bool:
    if name not in shadow.known or same(shadow.known[name], value):
        return False
    return name in later.told or (later.written and name in shadow.written)


def everything_in(message: CanonicalMessage) -> Mapping[str, Value]:
    """What a message tells, as if all of it were new."""
    return changes.heard(Shadow(), message.attributes, message.codes)[1]
