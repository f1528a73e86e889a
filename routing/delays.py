"""Delays: what a rule waits for before it carries a message over. Pure: times are handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from routing.condition_tree import Condition
from routing.conditions import hold
from routing.context import view
from routing.errors import RuleError, choice

DelayKind: TypeAlias = Literal["time", "variable", "target"]
WaitReason: TypeAlias = Literal["time", "variable", "target", "order"]
DELAY_KINDS: tuple[DelayKind, ...] = ("time", "variable", "target")
"""In the order in which they are looked at."""


@dataclass(frozen=True, slots=True)
class Delay:
    """One thing that a rule waits for. Raises RuleError if its kind lacks what it needs.

    `time`: until `seconds` after the message was received; `variable`: until `condition` holds for the
    conversation; `target`: until the id of the target's ticket is known.
    """

    kind: DelayKind
    seconds: int = 0
    condition: Condition | None = None

    def __post_init__(self) -> None:
        choice("kind", self.kind, frozenset(DELAY_KINDS))
        if (self.kind == "time") is not (self.seconds > 0):
            raise RuleError("seconds", "A delay by time needs how many seconds, the others need none.")
        if (self.kind == "variable") is not (self.condition is not None):
            raise RuleError("path", "A delay by conversation variable needs a condition on it.")
        if self.condition is not None and self.condition.located.root != "conversation":
            raise RuleError(
                "path", "A delay looks at conversation variables only. Name one, such as approved."
            )


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a message must wait.

    `identified`: endpoints where the id of the conversation's ticket is known. `delayed`: endpoints for
    which an earlier message of the conversation waits already.
    """

    now: datetime
    received_at: datetime
    identified: frozenset[int] = frozenset()
    delayed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a message waits; `until` when, where only time can end it."""

    reason: WaitReason
    until: datetime | None = None


def wait_of(
    delays: Sequence[Delay], target: int | None, situation: Situation, document: Mapping[str, Any]
) -> Wait | None:
    """The first thing that keeps a message from `target`; None if nothing does.

    Time comes first, then conversation variables, then the target's id, then earlier messages that wait.
    """
    seen = view(document)
    for delay in sorted(delays, key=lambda delay: DELAY_KINDS.index(delay.kind)):
        until = situation.received_at + timedelta(seconds=delay.seconds)
        if delay.kind == "time" and situation.now < until:
            return Wait("time", until)
        if delay.condition is not None and not hold((delay.condition,), seen):
            return Wait("variable")
        if delay.kind == "target" and target not in situation.identified:
            return Wait("target")
    return Wait("order") if target in situation.delayed else None
