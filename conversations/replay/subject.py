"""One message that is to be sent once more: what it would lead to, at which targets, and what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from django.db.models import Exists, OuterRef, Q

from conversations.explaining import Recalled, Untraceable
from conversations.models import (
    REPLACED,
    Attempt,
    Delivery,
    DeliveryState,
    Message,
    MessageState,
    Participant,
    ReplayFinding,
    ReplayRules,
)
from conversations.participation import Tickets, join
from conversations.planning import Planned, key_of, snapshot
from conversations.replay.assessment import Later, everything_in
from conversations.sender import RECORD, WRITE_BACK
from endpoints.canonical import CanonicalMessage, from_json
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from endpoints.outcomes import Result
from routing import history
from routing.compiled import RoutingRule, RuleSet
from routing.decision import FILE, Facts, Route, decide
from routing.mapping import MappingError
from routing.rules import RuleBook

LATER_MESSAGES = 50
"""How many messages of the target, the latest, are asked what it told since."""
DECIDED = frozenset(
    {
        MessageState.ROUTED,
        MessageState.UNMATCHED,
        MessageState.PROCESSED,
        MessageState.DROPPED,
        MessageState.ECHO,
    }
)
Numbers = Callable[[RoutingRule], Mapping[str, int]]
Place: TypeAlias = tuple[int, int, str]
"""Rule, target and part: what tells an effect from the others of its message."""


class Cannot(Exception):
    """A message cannot be sent once more. The text says why, where the finding does not say it all."""

    def __init__(self, finding: ReplayFinding, problem: str = "") -> None:
        super().__init__(problem)
        self.finding = finding


@dataclass(slots=True)
class Tools:
    """What one process knows of rules and endpoints."""

    book: RuleBook = field(default_factory=RuleBook)
    configs: EndpointConfigs = field(default_factory=EndpointConfigs)
    _then: dict[tuple[int, int, int], RuleSet] = field(default_factory=dict)

    def rules_then(self, message: Message, revision: int) -> RuleSet:
        """The rules that were in force when the message was decided on."""
        place = (message.environment_id, revision, message.endpoint_id)
        if place not in self._then:
            self._then[place] = history.rules_at(*place)
        return self._then[place]


@dataclass(frozen=True, slots=True)
class Effect:
    """One part of the message for one target, because of one rule; `earlier`: the deliveries of the same."""

    planned: Planned
    target: LoadedEndpoint
    snapshot: Mapping[str, Any]
    earlier: Sequence[Any]

    @property
    def rule(self) -> RoutingRule:
        """The version that is used."""
        return self.planned.route.rule

    @property
    def part(self) -> str:
        """Which part of the message."""
        return self.planned.part.name

    @property
    def place(self) -> Place:
        """What tells it from the other effects of the message."""
        return self.rule.rule_id, self.target.id, self.part

    def key(self, anew: int = 0) -> str:
        """The effect key."""
        return key_of(self.planned, anew)


class Subject:
    """A message with its conversation as it is now; `fresh`: the ticket as its system told it just now.

    `message` is loaded with body and conversation. `locked`: the participants stay as they are until the
    transaction ends; lock the conversation first.
    """

    def __init__(
        self, message: Message, tools: Tools, fresh: Mapping[str, Any] | None = None, *, locked: bool = False
    ) -> None:
        self.message = message
        self.tools = tools
        self.fresh = fresh
        rows = Participant.objects.filter(conversation=message.conversation_id).order_by("pk")
        rows = rows.select_for_update(no_key=True) if locked else rows
        self.participants: dict[int, Participant] = {row.endpoint_id: row for row in rows}

    def effects(self, rules: str, numbers: Numbers | None = None) -> list[Effect]:
        """What the message leads to by these rules. Without `numbers` no counter counts. Raises Cannot."""
        recalled = self._recalled()
        facts = self._facts(recalled, numbers)
        found = self._rules(recalled, rules).candidates(self.message.endpoint_id, facts.message.entity_type)
        try:
            routes = self._routes(found, facts)
        except MappingError as problem:
            raise Cannot(ReplayFinding.MAPPING, str(problem)) from None
        if not routes:
            raise Cannot(ReplayFinding.NO_RULE)
        return [effect for route in routes for effect in self._of_route(route, facts)]

    def later(self, target: LoadedEndpoint) -> Later:
        """What happened to the target's ticket since the message."""
        conversation, after = self.message.conversation_id, self.message.pk
        heard = Message.objects.filter(endpoint=target.id, conversation=conversation, pk__gt=after)
        heard = heard.exclude(state=MessageState.PROCESSED, reason=REPLACED)
        told = {
            name
            for one in heard.select_related("body").order_by("-pk")[:LATER_MESSAGES]
            for name in (one.body.canonical or {}).get("attributes", {})
        }
        written = Delivery.objects.filter(
            conversation=conversation,
            endpoint=target.id,
            part=RECORD,
            state=DeliveryState.DELIVERED,
            message__gt=after,
        )
        # What was read again just now is newer than whatever we have written.
        return Later(told, written=self.fresh is None and written.exists())

    def earlier(self, planned: Planned) -> list[Any]:
        """The deliveries of the same effect, oldest first; with `unsure` and their contents."""
        rule = planned.route.rule
        place = (rule.rule_id, rule.target_endpoint_id, planned.part.name)
        return [row for row in self._deliveries if (row.rule_id, row.endpoint_id, row.part) == place]

    def files_at(self, endpoint_id: int) -> list[Any]:
        """The deliveries that carry files of the conversation to this endpoint, whichever message did."""
        files = [row for row in self._deliveries if row.part.startswith(f"{FILE}:")]
        return [row for row in files if row.endpoint_id == endpoint_id]

    def forget(self, endpoint_id: int) -> None:
        """See it as if this endpoint had no ticket of the conversation yet; nothing is written."""
        there = self.participants.get(endpoint_id)
        if there is not None:
            self.participants[endpoint_id] = Participant(
                organization_id=there.organization_id,
                environment_id=there.environment_id,
                conversation_id=there.conversation_id,
                endpoint_id=endpoint_id,
                entity_type_id=there.entity_type_id,
            )

    def invite(self, effect: Effect) -> None:
        """Make the target take part in the conversation."""
        if effect.target.id not in self.participants:
            conversation = self.message.conversation
            assert conversation is not None
            self.participants[effect.target.id] = join(conversation, effect.target, effect.rule.target_entity)

    def _recalled(self) -> Recalled:
        if self.message.state not in DECIDED or self.message.conversation_id is None:
            raise Cannot(ReplayFinding.NOT_ROUTED)
        try:
            recalled = Recalled(self.message)
        except Untraceable as problem:
            gone = self.message.body.emptied_at is not None
            raise Cannot(ReplayFinding.EXPIRED if gone else ReplayFinding.NOT_ROUTED, str(problem)) from None
        if not recalled.is_decided:
            raise Cannot(ReplayFinding.NO_RULE, "It told nothing new, so no rule was asked.")
        return recalled

    def _rules(self, recalled: Recalled, rules: str) -> RuleSet:
        if rules == ReplayRules.RAN:
            return self.tools.rules_then(self.message, recalled.told["revision"])
        return self.tools.book.of(self.message.environment_id).routing

    def _facts(self, recalled: Recalled, numbers: Numbers | None) -> Facts:
        """What was known then; nothing waits, and what was read again takes the place of what was told."""
        facts = recalled.facts_with(Tickets(self.participants, self.tools.configs))
        facts = replace(facts, situation=None, numbers=numbers or facts.numbers)
        if self.fresh is None:
            return facts
        now = from_json(self.fresh)
        return replace(facts, message=_brought_up_to_date(facts.message, now), changed=everything_in(now))

    def _routes(self, rules: Sequence[RoutingRule], facts: Facts) -> list[Route]:
        """By each rule what it carried over then, or what it would now that targets have tickets."""
        there = {key for key, row in self.participants.items() if row.external_id is not None}
        then = decide(rules, facts).routes
        now = decide(rules, replace(facts, tickets=facts.tickets | there)).routes
        known = {route.rule.rule_id for route in then}
        return [*then, *(route for route in now if route.rule.rule_id not in known)]

    def _of_route(self, route: Route, facts: Facts) -> list[Effect]:
        target = route.rule.target_endpoint_id
        assert target is not None
        conversation = self.message.conversation
        assert conversation is not None
        endpoint = self.tools.configs.with_entity(target, route.rule.target_entity)
        planned = [Planned(self.message, conversation, route, part, facts) for part in route.parts]
        return [Effect(one, endpoint, self._snapshot(one), self.earlier(one)) for one in planned]

    def _snapshot(self, planned: Planned) -> dict[str, Any]:
        return {**snapshot(planned), **({"message": self._told} if self.fresh else {})}

    @cached_property
    def _told(self) -> dict[str, Any]:
        """The message with what was read again."""
        assert self.fresh is not None
        return {**(self.message.body.canonical or {}), **{name: self.fresh[name] for name in _READ_AGAIN}}

    @cached_property
    def _deliveries(self) -> list[Any]:
        """Those of the message, and the files of its conversation, whichever message offered them."""
        unknown = Attempt.objects.filter(delivery=OuterRef("pk"), result=Result.UNKNOWN)
        rows = Delivery.objects.filter(conversation=self.message.conversation_id)
        rows = rows.filter(Q(message=self.message) | Q(part__startswith=f"{FILE}:")).exclude(part=WRITE_BACK)
        return list(rows.annotate(unsure=Exists(unknown)).select_related("content").order_by("anew", "pk"))


_READ_AGAIN = ("attributes", "codes", "native", "link", "occurred_at")


def _brought_up_to_date(message: CanonicalMessage, now: CanonicalMessage) -> CanonicalMessage:
    return replace(message, **{name: getattr(now, name) for name in _READ_AGAIN})
