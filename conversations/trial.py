"""What a rule would make of one message: worked out from facts that were kept. Nothing is sent or written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from conversations.models import Conversation, Message
from conversations.planning import Planned, snapshot
from conversations.queue import LaneClaim
from conversations.sender import RECORD, Job, Outgoing, outgoing
from endpoints.adapters.base import Reference
from endpoints.canonical import Value, to_json
from endpoints.configs import EndpointConfigs
from routing.compiled import RoutingRule, RuleSet
from routing.context import view
from routing.decision import Facts, Part, Route, context, decide, is_internal
from routing.explanation import ACTED, Account, Finding, explain

NOBODY = UUID(int=0)
KEPT = "conversation."
"""Begins the name of what is kept as a conversation variable, among all that comes of a message."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket of the conversation as a mapping knows it: how its system names it, and its shadow."""

    reference: Reference
    shadow: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """What one version of a rule makes of a message; no account where the message is not for it.

    `fields` are the outgoing ones by name, those of comments and files under the name of their part;
    `kept` the conversation variables that it writes, as they are once it has run.
    """

    account: Account | None = None
    fields: Mapping[str, Outgoing] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    kept: Mapping[str, Value] = field(default_factory=dict)

    @property
    def finding(self) -> Finding | None:
        """What the rule did, or what kept it from it."""
        return self.account.finding if self.account else None

    @property
    def matches(self) -> bool:
        """Whether the rule does anything with the message."""
        return self.finding in ACTED

    @property
    def effects(self) -> dict[str, Outgoing]:
        """All that would come of it: the outgoing fields, then what is kept, as `conversation.<variable>`."""
        kept = {f"{KEPT}{name}": value for name, value in self.kept.items()}
        return {**self.fields, **{name: Outgoing(name, value) for name, value in kept.items()}}

    @property
    def problem(self) -> str:
        """Why a variable or a field cannot be worked out; payload. Empty where all can."""
        if self.account and self.account.problem:
            return self.account.problem
        return next((one.problem for one in self.fields.values() if one.problem), "")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One outgoing field or conversation variable that differs; None where it is not written at all."""

    name: str
    before: Outgoing | None
    after: Outgoing | None


class Bench:
    """Tries one rule among the others that are in force for its source."""

    def __init__(self, others: Sequence[RoutingRule], configs: EndpointConfigs) -> None:
        self._others = others
        self._configs = configs
        self._sets: dict[int, RuleSet] = {}

    def try_out(
        self, rule: RoutingRule, message: Message, facts: Facts, tickets: Mapping[int, Ticket]
    ) -> Tried:
        """What `rule` makes of a message, decided with the others. `tickets` are the conversation's, by
        endpoint. Delays are not waited for."""
        facts = replace(facts, situation=None)
        asked = self._asked(rule, message, facts)
        account = explain(asked, facts).of(rule.rule_id)
        if account is None or account.finding not in ACTED:
            return Tried(account)
        kept = _kept(rule, asked, facts)
        if account.route is None:
            return Tried(account, kept=kept)
        fields = dict(self._fields(account.route, message, facts, tickets))
        return Tried(account, fields, account.route.variables, kept)

    def _asked(self, rule: RoutingRule, message: Message, facts: Facts) -> list[RoutingRule]:
        """The rule and those others whose conditions can hold, in the order in which they are asked."""
        rules = self._with(rule).candidates(message.endpoint_id, facts.message.entity_type)
        possible = {one.rule_id for one in rules.possible(view(context(facts)))}
        return [one for one in rules if one is rule or one.rule_id in possible]

    def _with(self, rule: RoutingRule) -> RuleSet:
        """The others and this rule, put together once."""
        if rule.version_id not in self._sets:
            others = (other for other in self._others if other.rule_id != rule.rule_id)
            self._sets[rule.version_id] = RuleSet((*others, rule))
        return self._sets[rule.version_id]

    def _fields(
        self, route: Route, message: Message, facts: Facts, tickets: Mapping[int, Ticket]
    ) -> Iterator[tuple[str, Outgoing]]:
        for part in route.parts:
            prefix = "" if part.name == RECORD else f"{part.name} "
            for one in self._outgoing(route, part, message, facts, tickets):
                yield f"{prefix}{one.name}", one

    def _outgoing(
        self, route: Route, part: Part, message: Message, facts: Facts, tickets: Mapping[int, Ticket]
    ) -> list[Outgoing]:
        if part.file is not None:
            return [Outgoing("name", part.file.name)]
        if part.comment is not None and facts.keeps_internal and is_internal(part.comment):
            return [Outgoing("stays here: internal", part.comment.text)]
        return outgoing(self._job(route, part, message, facts, tickets))

    def _job(
        self, route: Route, part: Part, message: Message, facts: Facts, tickets: Mapping[int, Ticket]
    ) -> Job:
        rule = route.rule
        assert rule.target_endpoint_id is not None
        endpoint = self._configs.with_entity(rule.target_endpoint_id, rule.target_entity)
        entity = endpoint.config.entity(rule.target_entity)
        assert entity is not None
        ticket = tickets.get(endpoint.id, Ticket(Reference("")))
        return Job(
            claim=LaneClaim(0, 0, endpoint.id, 0),
            delivery_id=0,
            conversation_id=NOBODY,
            attempt_id=NOBODY,
            look_up=False,
            part=part.name,
            effect_key="",
            endpoint=endpoint,
            entity=entity,
            rule=rule,
            canonical=to_json(facts.message),
            snapshot=snapshot(Planned(message, Conversation(), route, part, facts)),
            target=ticket.reference if endpoint.id in facts.tickets else None,
            shadow=ticket.shadow,
            partner=None,
            since=message.received_at,
            participants=facts.participants if rule.asks_participants else {},
        )


def _kept(rule: RoutingRule, asked: Sequence[RoutingRule], facts: Facts) -> dict[str, Value]:
    """What the rule leaves in the conversation variables that it writes; rules after it do not count."""
    written = [target for row in rule.conversation for target in row.targets]
    if not written:
        return {}
    after = decide(asked[: asked.index(rule) + 1], facts).variables
    return {name: after[name] for name in written if name in after}


def differences(before: Tried, after: Tried) -> list[FieldChange]:
    """What differs: the outgoing fields in the order in which they are sent, then conversation variables."""
    old, new = before.effects, after.effects
    changes = (FieldChange(name, old.get(name), new.get(name)) for name in {**new, **old})
    return [change for change in changes if change.before != change.after]
