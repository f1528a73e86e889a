"""Recalls the decision on a stored message from its trace: the facts of then, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from conversations.lookups import WAITING_SINCE
from conversations.models import Message
from endpoints.canonical import CanonicalMessage, from_json
from routing import history, trace
from routing.compiled import RoutingRule, RuleSet
from routing.decision import Facts
from routing.explanation import Explained, explain
from routing.models import Counter


class Untraceable(Exception):
    """Nothing is kept by which the decision could be explained. The text says why."""


class Recalled:
    """One message with what its decision knew; `message.body` is loaded. Nothing here writes anything.

    Raises Untraceable where nothing was decided, or what the message said is gone.
    """

    def __init__(self, message: Message, peeked: Mapping[str, int] | None = None) -> None:
        body = message.body
        if body.emptied_at:
            raise Untraceable("What this message said was deleted (retention), and its trace with it.")
        if body.trace is None or body.canonical is None:
            raise Untraceable("No rule was asked about this message.")
        if WAITING_SINCE in body.trace:
            raise Untraceable("The message waits for what its rules look up elsewhere.")
        self.message = message
        self.told: dict[str, Any] = body.trace
        self._peeked = peeked

    @property
    def is_decided(self) -> bool:
        """Whether rules were asked; they are not about echoes and bare files."""
        return "state" in self.told

    @cached_property
    def canonical(self) -> CanonicalMessage:
        """What the message said."""
        return from_json(self.message.body.canonical)

    @cached_property
    def facts(self) -> Facts:
        """What the decision knew."""
        return self.facts_with(None)

    def facts_with(self, participants: Mapping[str, Mapping[str, Any]] | None) -> Facts:
        """The same, with these tickets where none were kept, because no rule of then asked for them."""
        return trace.from_json(
            self.told, self.canonical, self.message.received_at, self._numbers(), participants
        )

    @property
    def rules(self) -> RuleSet:
        """The rules that were in force for this message's endpoint."""
        message = self.message
        return history.rules_at(message.environment_id, self.told["revision"], message.endpoint_id)

    def explained(self) -> Explained:
        """What each rule of then did, and why."""
        return explain(
            self.rules.candidates(self.message.endpoint_id, self.canonical.entity_type), self.facts
        )

    def _numbers(self) -> Callable[[RoutingRule], Mapping[str, int]]:
        taken = self.message.body.numbers or {}
        peeked = self._peeked if self._peeked is not None else next_numbers(self.message.environment_id)
        return lambda rule: SeenNumbers(rule, taken, peeked)


class SeenNumbers(Mapping[str, int]):
    """The numbers that a rule took for a message; where it took none, what it would get next. Takes none."""

    def __init__(self, rule: RoutingRule, taken: Mapping[str, int], peeked: Mapping[str, int]) -> None:
        self._names = rule.counters
        self._rule_id = rule.rule_id
        self._taken = taken
        self._peeked = peeked

    def __getitem__(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(name)
        taken = self._taken.get(f"{self._rule_id}:{name}")
        return self._peeked[name] if taken is None else taken

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def next_numbers(environment_id: int) -> dict[str, int]:
    """The number that each counter would give next; none is given."""
    rows = Counter.objects.filter(environment_id=environment_id).values_list("name", "value")
    return {name: value + 1 for name, value in rows}
