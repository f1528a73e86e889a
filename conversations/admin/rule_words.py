"""Says in words what each rule did with a message, and which condition was in its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from endpoints.canonical import Value
from oneio.admin.display import Tone
from oneio.paths import Missing
from routing.condition_tree import Group
from routing.conditions import Verdict
from routing.decision import Facts, Part
from routing.explanation import Account, Explained, Finding
from routing.wording import node_in_words

_LOOKS: Mapping[Finding, tuple[Tone, str, str]] = {
    Finding.CARRIES: ("green", "check_circle", "Matched"),
    Finding.PROCESSES: ("green", "check_circle", "Matched"),
    Finding.DROPS: ("grey", "filter_alt", "Dropped it"),
    Finding.WAITS: ("blue", "schedule", "Waits"),
    Finding.FAILED: ("red", "error", "Failed"),
}
_OTHERWISE: tuple[Tone, str, str] = ("grey", "cancel", "No")
_SENTENCES: Mapping[Finding, str] = {
    Finding.PROCESSES: "It sets variables of the conversation and sends nothing.",
    Finding.DROPS: "Its conditions hold, and it says that such messages are dropped: no rule sends anything.",
    Finding.CONDITION: "A condition does not hold.",
    Finding.OVERRULED: "Its conditions hold, but another rule dropped the message.",
    Finding.OPERATION: "Its conditions hold, but it takes {operations} only, and this was a {operation}.",
    Finding.NO_TICKET: "Its conditions hold, but {target} had no ticket of this conversation, and a"
    " {operation} creates none.",
    Finding.NO_CREATE: "Its conditions hold, but {target} had no ticket of this conversation, and the rule"
    " does not create any.",
    Finding.NOTHING_NEW: "Its conditions hold, but the message brought nothing new that it carries: it takes"
    " {operations}.",
    Finding.FAILED: "Its conditions hold, but one of its variables could not be worked out.",
    Finding.NOT_REACHED: "Its conditions hold, but a rule before it failed, so it was not asked.",
}
_WAITS = {
    "time": "Its conditions hold, and it waits until {until}.",
    "variable": "Its conditions hold, and it waits until a conversation variable has a certain value.",
    "target": "Its conditions hold, and it waits until the id of the ticket at {target} is known.",
    "order": "Its conditions hold, and it waits behind an earlier message of this ticket.",
}


@dataclass(frozen=True, slots=True)
class Failing:
    """A condition that does not hold, in words, and what it found; payload."""

    words: SafeString
    actual: Value = None
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule as the page shows it; `problem` and `variables` are payload."""

    account: Account
    tone: Tone
    icon: str
    word: str
    sentence: str
    failing: tuple[Failing, ...] = ()

    @property
    def variables(self) -> Mapping[str, Any]:
        """The runtime variables that it worked out."""
        return self.account.route.variables if self.account.route else {}


def lines(explained: Explained, facts: Facts, names: Mapping[int, str]) -> list[RuleLine]:
    """Every rule in the order in which they were asked; `names` are those of endpoints, by id."""
    return [_line(account, facts, names) for account in explained.accounts]


def failing_conditions(verdict: Verdict) -> tuple[Failing, ...]:
    """What does not hold: one condition, each of several of which one would be enough, or a group that must
    not hold."""
    return tuple(_failing(verdict))


def _line(account: Account, facts: Facts, names: Mapping[int, str]) -> RuleLine:
    tone, icon, word = _LOOKS.get(account.finding, _OTHERWISE)
    sentence = _sentence(account, facts, names.get(account.rule.target_endpoint_id or 0, "the target"))
    return RuleLine(account, tone, icon, word, sentence, failing_conditions(account.verdict))


def _sentence(account: Account, facts: Facts, target: str) -> str:
    rule, route = account.rule, account.route
    if route is not None and account.finding is Finding.CARRIES:
        there = rule.target_endpoint_id in facts.tickets
        return f"Its conditions hold. {_carried(route.parts, there, target)}"
    wait = route.wait if route else None
    words = _WAITS[wait.reason] if wait else _SENTENCES[account.finding]
    return words.format(
        operations=" and ".join(sorted(operation.value for operation in rule.operations)),
        operation=facts.message.operation.value,
        target=target,
        until=localtime(wait.until).strftime("%Y-%m-%d %H:%M") if wait and wait.until else "",
    )


def _carried(parts: tuple[Part, ...], has_ticket: bool, target: str) -> str:
    record = any(not (part.comment or part.file) for part in parts)
    done = [f"{'updates' if has_ticket else 'creates'} the ticket at {target}"] if record else []
    for kind, number in (
        ("comment", sum(part.comment is not None for part in parts)),
        ("file", sum(part.file is not None for part in parts)),
    ):
        if number:
            done.append(f"carries {number} {kind}{'s' if number > 1 else ''} to {target}")
    return f"It {' and '.join(done)}."


def _failing(verdict: Verdict) -> Iterator[Failing]:
    if verdict.failed is None:
        return
    if isinstance(verdict.failed, Group) and verdict.branches:
        for branch in verdict.branches:
            yield from _failing(branch)
        return
    words = SafeString(node_in_words(verdict.failed, _code, _strong))
    actual: Value | Missing = verdict.actual
    if isinstance(actual, Missing):
        yield Failing(words, is_missing=True)
    else:
        yield Failing(words, actual)


def _code(path: str) -> str:
    return format_html('<code class="oi-code">{}</code>', path)


def _strong(value: str) -> str:
    return format_html("<strong>{}</strong>", value)


_SHORT: Mapping[Finding, str] = {
    Finding.CARRIES: "matches",
    Finding.WAITS: "matches, and waits",
    Finding.PROCESSES: "sets variables",
    Finding.DROPS: "drops it",
    Finding.CONDITION: "a condition does not hold",
    Finding.OVERRULED: "another rule drops it",
    Finding.OPERATION: "not for this operation",
    Finding.NO_TICKET: "no ticket at the target",
    Finding.NO_CREATE: "creates no ticket",
    Finding.NOTHING_NEW: "nothing new that it carries",
    Finding.FAILED: "a variable cannot be worked out",
    Finding.NOT_REACHED: "a rule before it fails",
}


def short(finding: Finding | None) -> str:
    """What a rule did, in few words."""
    return _SHORT[finding] if finding else "not asked"
