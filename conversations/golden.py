"""Golden tickets: keeps messages as test cases and checks what rules make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from conversations.explaining import Recalled, SeenNumbers, next_numbers
from conversations.models import GoldenTicket, Message, Participant
from conversations.participation import Tickets
from conversations.proving import ticket_of
from conversations.sender import Outgoing
from conversations.trial import Bench, Ticket, Tried
from endpoints.adapters.base import Reference
from endpoints.canonical import Value, encode, encode_attributes, from_json, to_json
from endpoints.configs import EndpointConfigs
from oneio.template_values import to_text
from routing import compiled, rules, trace, versions
from routing.comparison import as_moment
from routing.decision import Facts
from routing.models import RoutingRule

OWN_NAME_LENGTH = 4
"""A shorter id stands in too many texts by chance."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as expected, as plain JSON; None for what is missing."""

    name: str
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class Checked:
    """One test case with what differs; `problem` where the rule cannot be run at all."""

    case: GoldenTicket
    deviations: tuple[Deviation, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the rule makes of it what it must."""
        return not (self.deviations or self.problem)


def keep(message: Message, rule: RoutingRule, name: str, ignore: list[str], by: Any) -> GoldenTicket:
    """Keep a message as a test case of `rule`; what the rule makes of it now is what is expected.

    Raises Untraceable where too little is known of the message, compiled.RuleError if the rule cannot run.
    """
    given = _given(message)
    case = GoldenTicket(
        environment_id=rule.environment_id, rule=rule, name=name, given=given, ignore=ignore, created_by=by
    )
    case.expected = _result(Checking().tried(case))
    case.save()
    return case


def accept(case: GoldenTicket, *, drafts: bool = False) -> None:
    """From now on, what the rule makes of it today is what is expected. Raises compiled.RuleError."""
    case.expected = _result(Checking(drafts=drafts).tried(case))
    case.save()


def check(cases: Iterable[GoldenTicket], *, drafts: bool = False) -> list[Checked]:
    """What each rule's current version, or its draft where it has one, makes of its cases."""
    checking = Checking(drafts=drafts)
    return [checking.check(case) for case in cases]


def suggested(message: Message, rule: RoutingRule) -> list[str]:
    """The outgoing fields that hold a time, or the ticket's own id or number: they differ in each message."""
    case = GoldenTicket(environment_id=rule.environment_id, rule=rule, given=_given(message))
    names = (message.number.casefold(), message.external_id.casefold())
    own = {name for name in names if len(name) >= OWN_NAME_LENGTH}
    fields = Checking().tried(case).fields
    return [name for name, field in fields.items() if _is_own(field.value, own)]


class Checking:
    """Tries cases on the rules in force, or on drafts; each rule is loaded once."""

    def __init__(self, *, drafts: bool = False) -> None:
        self._drafts = drafts
        self._configs = EndpointConfigs()
        self._book = rules.RuleBook()
        self._loaded: dict[int, compiled.RoutingRule] = {}

    def check(self, case: GoldenTicket) -> Checked:
        """Compare what the rule makes of a case with what is expected."""
        try:
            actual = _result(self.tried(case))
        except compiled.RuleError as error:
            return Checked(case, problem=str(error))
        if "conversation" not in case.expected:
            del actual["conversation"]  # the case was kept before these were compared
        deviations = _deviations(_flat(case.expected), _flat(actual))
        return Checked(case, tuple(one for one in deviations if not _is_ignored(one.name, case.ignore)))

    def tried(self, case: GoldenTicket) -> Tried:
        """What the rule makes of a case. Raises compiled.RuleError."""
        given, rule = case.given, self._rule(case.rule)
        message = Message(
            endpoint_id=given["endpoint"], received_at=datetime.fromisoformat(given["received_at"])
        )
        facts = self._facts(given, message)
        others = self._book.of(case.environment_id).routing
        bench = Bench(others.candidates(given["endpoint"], facts.message.entity_type), self._configs)
        return bench.try_out(rule, message, facts, {int(k): _ticket(v) for k, v in given["tickets"].items()})

    def _rule(self, rule: RoutingRule) -> compiled.RoutingRule:
        if rule.pk not in self._loaded:
            draft = versions.find_draft(rule)
            version = draft if draft and self._drafts else rule.current_version or draft
            if version is None:
                raise compiled.RuleError("rule", "The rule has no version.")
            self._loaded[rule.pk] = rules.load(version)
        return self._loaded[rule.pk]

    def _facts(self, given: Mapping[str, Any], message: Message) -> Facts:
        def numbers(rule: compiled.RoutingRule) -> Mapping[str, int]:
            new = dict.fromkeys(rule.counters, 0)  # counters that did not exist when the case was kept
            return SeenNumbers(rule, given["taken"], new | given["next"])

        return trace.from_json(
            given["trace"], from_json(given["canonical"]), message.received_at, numbers=numbers
        )


def _given(message: Message) -> dict[str, Any]:
    """All that the decision on a message knew, so that nothing else is asked when it is made again."""
    recalled = Recalled(message)
    rows = Participant.objects.filter(conversation=message.conversation_id)
    participants = {row.endpoint_id: row for row in rows}
    facts = recalled.facts_with(Tickets(participants, EndpointConfigs()))
    tickets = {pk: ticket_of(row) for pk, row in participants.items()}
    return {
        "endpoint": message.endpoint_id,
        "received_at": message.received_at.isoformat(),
        "canonical": to_json(recalled.canonical),
        "trace": trace.to_json(facts, with_participants=True),
        "taken": message.body.numbers or {},
        "next": next_numbers(message.environment_id),
        "tickets": {
            str(pk): {
                "id": one.reference.external_id,
                "number": one.reference.number,
                "link": one.reference.link,
                "shadow": one.shadow,
            }
            for pk, one in tickets.items()
        },
    }


def _ticket(told: Mapping[str, Any]) -> Ticket:
    return Ticket(Reference(told["id"], told["number"], told["link"]), told["shadow"])


def _result(tried: Tried) -> dict[str, Any]:
    return {
        "result": tried.finding.value if tried.finding else "not asked",
        "fields": {name: _field(one) for name, one in tried.fields.items()},
        "variables": encode_attributes(tried.variables),
        "conversation": encode_attributes(tried.kept),
    }


def _field(one: Outgoing) -> Any:
    return {"fails": one.problem} if one.problem else encode(one.value)


def _flat(result: Mapping[str, Any]) -> dict[str, Any]:
    variables = {
        f"{kind}.{name}": value
        for kind in ("variables", "conversation")
        for name, value in result.get(kind, {}).items()
    }
    return {"result": result.get("result"), **result.get("fields", {}), **variables}


def _deviations(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Deviation]:
    found = (Deviation(name, expected.get(name), actual.get(name)) for name in {**expected, **actual})
    return [one for one in found if one.expected != one.actual]


def _is_ignored(name: str, ignore: Iterable[str]) -> bool:
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in ignore)


def _is_own(value: Value, own: set[str]) -> bool:
    text = to_text(value).strip().casefold()
    return isinstance(value, datetime) or as_moment(text) is not None or any(word in text for word in own)
