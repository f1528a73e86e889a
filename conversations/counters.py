"""Keeps with each message the numbers that rules took for it, so that the same message never counts twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from conversations.models import Message
from oneio.bulk import update_rows
from routing.compiled import RoutingRule
from routing.counters import Numbers


def numbers_for(message: Message) -> Callable[[RoutingRule], Mapping[str, int]]:
    """What each rule takes for this message: what it took before, if the message was routed before."""

    def take(rule: RoutingRule) -> Mapping[str, int]:
        message.body.numbers = dict(message.body.numbers or {})
        return Numbers(message.environment_id, rule.rule_id, rule.counters, message.body.numbers)

    return take


def keep(messages: Iterable[Message]) -> None:
    """Write down what was taken; in the transaction that took it."""
    update_rows([message.body for message in messages if message.body.numbers], "numbers")
