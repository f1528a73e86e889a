"""Tests a rule on real messages: what its draft would have made of each, beside what counts now.

Only reads. What a message's decision knew comes from its trace; what a target holds is as it is today.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet

from conversations import audit
from conversations.explaining import Recalled, Untraceable, next_numbers
from conversations.models import Message, MessageState, Participant
from conversations.participation import Tickets
from conversations.trial import Bench, FieldChange, Ticket, Tried, differences
from endpoints.adapters.base import Reference
from endpoints.configs import EndpointConfigs
from oneio import access
from oneio.access import Permission
from routing import proof, rules
from routing.models import RoutingRule, RuleVersion

LAST = (10, 100, 500)
SECONDS = 10.0
"""How long one test may take; it then says how far it came."""
AT_ONCE = 25
TICKETS_AT_ONCE = 50
_UNDECIDED = (MessageState.RECEIVED, MessageState.FAULTY, MessageState.DUPLICATE, MessageState.TEST)


class Change(StrEnum):
    """How the draft's result on a message differs from that of the current version."""

    FAILS = "fails"
    MATCHES_NOW = "matches_now"
    NO_LONGER = "no_longer"
    DIFFERS = "differs"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Compared:
    """One message: by the current version, by the draft, and what differs."""

    message: Message
    before: Tried
    after: Tried
    changes: tuple[FieldChange, ...]

    @property
    def change(self) -> Change:
        """In one word; what newly fails comes first."""
        if self.after.problem and not self.before.problem:
            return Change.FAILS
        if self.after.matches != self.before.matches:
            return Change.MATCHES_NOW if self.after.matches else Change.NO_LONGER
        return Change.DIFFERS if self.changes or self.after.finding != self.before.finding else Change.SAME


@dataclass(slots=True)
class RuleTest:
    """What came of testing a rule. `of` messages were to be tested; `left` is the last one looked at where
    the time was over before."""

    rule: RoutingRule
    draft: RuleVersion
    of: int
    compared: list[Compared] = field(default_factory=list)
    unknown: int = 0
    left: int | None = None

    @property
    def tested(self) -> int:
        """How many messages were looked at."""
        return len(self.compared) + self.unknown

    @property
    def counts(self) -> Mapping[Change, int]:
        """How many messages each sort of change concerns."""
        return Counter(one.change for one in self.compared)

    @property
    def matches(self) -> int:
        """How many messages the draft does something with."""
        return sum(one.after.matches for one in self.compared)

    @property
    def matched(self) -> int:
        """How many the current version does something with."""
        return sum(one.before.matches for one in self.compared)

    @property
    def failing(self) -> int:
        """How many the draft cannot work out."""
        return sum(bool(one.after.problem) for one in self.compared)


def carry_out(user: Any, rule: RoutingRule, draft: RuleVersion, messages: Any, last: int) -> RuleTest:
    """Test, and note who did, with what result, and who read these messages. Raises RuleError."""
    seen = proof.fingerprint(draft)
    test = run(rule, draft, messages, last)
    audit.payload_read(user, *(one.message for one in test.compared))
    if draft.published_at is None:
        proof.note_test(draft, seen, user, test.tested, test.failing)
    return test


def chosen(user: Any, rule: RoutingRule, tickets: list[str], before: int | None) -> Any:
    """The messages of the rule's environment that may be read; those of named tickets, of whatever system."""
    found = access.readable(user, Message, Permission.READ_PAYLOAD).filter(environment=rule.environment_id)
    if before is not None:
        found = found.filter(pk__lt=before)
    if not tickets:
        return found
    spelled = {word for ticket in tickets for word in (ticket, ticket.upper(), ticket.lower())}
    own = Q(number__in=spelled) | Q(external_id__in=spelled)
    others = Q(conversation__participants__number__in=spelled)
    return found.filter(pk__in=found.filter(own | others).values("pk"))


def run(
    rule: RoutingRule,
    draft: RuleVersion,
    messages: QuerySet[Message],
    last: int,
    seconds: float = SECONDS,
) -> RuleTest:
    """Try the draft on the latest of these messages, newest first, for `seconds` at most.

    Raises compiled.RuleError where the draft cannot run.
    """
    deadline = time.monotonic() + seconds
    pair = Pair(rule, draft)
    keys = list(pair.concerned(messages).values_list("pk", flat=True)[:last])
    test = RuleTest(rule, draft, len(keys))
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        for compared in pair.compare(messages.filter(pk__in=some)):
            if compared is None:
                test.unknown += 1
            else:
                test.compared.append(compared)
        if time.monotonic() > deadline and some[-1] != keys[-1]:
            test.left = some[-1]
            break
    return test


class Pair:
    """A rule's current version and its draft, compiled, with the other rules that are in force."""

    def __init__(self, rule: RoutingRule, draft: RuleVersion) -> None:
        in_force = rules.RuleBook().of(rule.environment_id)
        self.draft = rules.load(draft)
        self.current = in_force.by_id.get(rule.pk)
        self.configs = EndpointConfigs()
        others = in_force.routing.candidates(self.draft.source_endpoint_id, self.draft.source_entity)
        self.bench = Bench(others, self.configs)
        self.peeked = next_numbers(rule.environment_id)

    def concerned(self, messages: QuerySet[Message]) -> QuerySet[Message]:
        """The messages of the source that were decided on, latest first."""
        found = messages.filter(
            endpoint=self.draft.source_endpoint_id,
            entity_type__iexact=self.draft.source_entity,
            body__trace__isnull=False,
        )
        return found.exclude(state__in=_UNDECIDED).exclude(state=MessageState.ECHO).order_by("-pk")

    def compare(self, messages: QuerySet[Message]) -> Iterator[Compared | None]:
        """Each message with both results; None for one of which too little is kept."""
        loaded = messages.select_related("body", "endpoint").defer(
            "body__raw", "body__headers", "body__parameters"
        )
        found = list(loaded.order_by("-pk"))
        tickets = _tickets([message.conversation_id for message in found])
        for message in found:
            yield self._compare(message, tickets.get(message.conversation_id, {}))

    def _compare(self, message: Message, participants: dict[int, Participant]) -> Compared | None:
        try:
            recalled = Recalled(message, self.peeked)
        except Untraceable:
            return None
        if not recalled.is_decided:
            return None
        facts = recalled.facts_with(Tickets(participants, self.configs))
        known = {pk: ticket_of(one) for pk, one in participants.items()}
        before = self.bench.try_out(self.current, message, facts, known) if self.current else Tried()
        after = self.bench.try_out(self.draft, message, facts, known)
        return Compared(message, before, after, tuple(differences(before, after)))


def ticket_of(participant: Participant) -> Ticket:
    """A participant as mappings know it."""
    reference = Reference(participant.external_id or "", participant.number, participant.link)
    return Ticket(reference, participant.shadow)


def candidate(rule: RoutingRule) -> RuleVersion | None:
    """What is tested: the draft, or the current version of a rule that has none."""
    draft = RuleVersion.objects.filter(rule=rule, published_at=None).first()
    return draft or rule.current_version


def _tickets(conversations: Sequence[Any]) -> dict[Any, dict[int, Participant]]:
    found: dict[Any, dict[int, Participant]] = {}
    for row in Participant.objects.filter(conversation__in=[pk for pk in conversations if pk]):
        found.setdefault(row.conversation_id, {})[row.endpoint_id] = row
    return found
