"""Routes what an endpoint sent: a batch in the order received, in one short transaction.

Reads each message, finds its conversation, decides by the rules and puts deliveries into lanes. Locks are
always taken in the order inbox, conversations, participants, lanes, each by id.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now

from conversations import counters, deliveries, filing, queue
from conversations.asking import Asker
from conversations.filing import Filing
from conversations.finding import Acquaintance, OverlapsOurOwnWork, Replaced, look
from conversations.lookups import Answers
from conversations.models import (
    FILE_KEPT,
    REPLACED,
    Conversation,
    Message,
    MessageBody,
    MessageState,
    Participant,
)
from conversations.participation import Tickets, state_of
from conversations.planning import Plans
from conversations.queue import InboxClaim, LeaseLost
from conversations.reading import is_test, read
from endpoints.adapters.base import Adapter, Unreadable
from endpoints.canonical import (
    CanonicalMessage,
    Comment,
    Operation,
    decode_attributes,
    encode_attributes,
    to_json,
)
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from oneio.blame import place_of
from oneio.bulk import Writes, fetch_pairs
from routing import changes, trace
from routing.decision import Decision, Facts, Fate, decide
from routing.files import CarriedFile
from routing.mapping import MappingError
from routing.rules import RuleBook, Rules

log = logging.getLogger(__name__)
POSTPONE = timedelta(seconds=1)
REASON_LENGTH = 40
_BODY: Any = Message._meta.get_field("body")
_WAITING = """
    ON two.id = ANY(ARRAY[one.response_id])
    WHERE one.endpoint_id = %s AND one.state = 'received' AND (one.wake_at IS NULL OR one.wake_at <= now())
    ORDER BY one.id LIMIT %s
"""


def route_next(book: RuleBook, configs: EndpointConfigs, asker: Asker | None = None) -> bool:
    """Route one batch of the endpoint whose turn it is. False when nothing waits anywhere.

    `asker` gets the answers to lookups; without one, rules make do with the answers that are kept."""
    claim = queue.claim_inbox()
    if claim is None:
        return False
    if claim.solo:
        _count_death(claim)
    try:
        # What a crash of the database loses is routed again, to the same end: nothing is sent before a claim
        # is on the disk, and by then all that was committed before it is, too.
        with transaction.atomic():
            now, revision = queue.lock_inbox(claim, waits_for_disk=False)
            endpoint = configs.get(claim.endpoint_id)
            rules = book.of(endpoint.environment_id, revision)
            rest = Batch(endpoint, rules, _waiting(claim), configs, now, asker).route()
            queue.release_inbox(claim, rest)
    except LeaseLost:
        pass  # whoever took over does the same work from the start
    except (OperationalError, InterfaceError):
        _let_go(claim)
        raise
    except Exception as error:  # noqa: BLE001 (one message must not stop the others)
        _isolate(claim, error)
    return True


def route_again(messages: Iterable[Message]) -> int:
    """Route messages whose routing failed, or that could not be read, once more. Returns how many."""
    failed = Message.objects.filter(
        pk__in=[message.pk for message in messages],
        state__in=[MessageState.HELD, MessageState.FAULTY],
        body__emptied_at=None,
    )
    return failed.update(state=MessageState.RECEIVED, reason="", wake_at=None, routed_at=None, deaths=0)


def _let_go(claim: InboxClaim) -> None:
    """After a deadlock the next round may try at once; without a connection the lease runs out."""
    with suppress(Error, LeaseLost), transaction.atomic():
        queue.lock_inbox(claim)
        queue.release_inbox(claim)


def _isolate(claim: InboxClaim, error: Exception) -> None:
    """A batch failed inside oneio: route its messages one at a time, and hold the one that fails alone."""
    log.error("Routing failed inside oneio: %s", place_of(error))
    with suppress(LeaseLost), transaction.atomic():
        queue.lock_inbox(claim)
        if claim.solo:
            Message.objects.filter(pk__in=[message.pk for message in _waiting(claim)]).update(
                state=MessageState.HELD,
                reason=type(error).__name__[:REASON_LENGTH],
                routed_at=Now(),
                wake_at=None,
            )
        queue.release_inbox(claim, solo=not claim.solo)


def _waiting(claim: InboxClaim) -> list[Message]:
    limit = 1 if claim.solo else queue.ROUTING_BATCH
    pairs = fetch_pairs(Message, MessageBody, _WAITING, [claim.endpoint_id, limit])
    for message, body in pairs:
        # Assigned, each would refer to the other, and all that they hold would wait for the collector.
        _BODY.set_cached_value(message, body)
    return [message for message, _ in pairs]


def _count_death(claim: InboxClaim) -> None:
    """In solo mode the one message to be routed is counted before it is touched, so that a crash shows."""
    for message in _waiting(claim):
        row = Message.objects.filter(pk=message.pk)
        if message.deaths >= queue.CRASHES_MEAN_HELD:
            row.update(state=MessageState.HELD, reason="crashed", wake_at=None, routed_at=Now())
        else:
            row.update(deaths=F("deaths") + 1)


@dataclass(slots=True)
class Heard:
    """One message that was read, with where it belongs and what is new in it."""

    message: Message
    canonical: CanonicalMessage
    conversation: Conversation
    participant: Participant
    shadow_before: dict[str, Any]
    changed: dict[str, object] = field(default_factory=dict)
    comments: tuple[Comment, ...] = ()
    files: tuple[CarriedFile, ...] = ()


class Batch:
    """Some messages of one endpoint, routed together."""

    def __init__(
        self,
        endpoint: LoadedEndpoint,
        rules: Rules,
        messages: Sequence[Message],
        configs: EndpointConfigs,
        now: datetime,
        asker: Asker | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.asker = asker
        self.survivors: list[int] = []
        self.adapter: Adapter = endpoint.adapter
        self.rules = rules
        self.messages = messages
        self.plans = Plans(configs, now)
        self.now = now

    def route(self) -> Writes:
        """Decide on every message and write down all that follows. Returns what is still to be sent."""
        readable = self._read_all()
        seen = look(self.endpoint, readable)
        read_ones = self._new_ones(readable, seen.events)
        self.acquaintance = Acquaintance(self.endpoint, read_ones, seen, self.now)
        self.answers = Answers(self.endpoint, self.rules, read_ones, self.plans.configs, self.now, self.asker)
        self.waiting = self.plans.remember_delayed(self.acquaintance.known_conversations())
        self.filing = Filing(self.endpoint, read_ones)
        for message, canonical in read_ones:
            self._route_one(message, canonical)
        return self._save()

    def _read_all(self) -> list[tuple[Message, CanonicalMessage]]:
        readable = []
        for message in self.messages:
            try:
                canonical = read(message, self.adapter)
            except Unreadable as problem:
                self._end(message, MessageState.FAULTY, "unreadable", str(problem))
                continue
            self._note(message, canonical)
            if is_test(message):
                self._end(message, MessageState.TEST, "asked_for")
                continue
            readable.append((message, canonical))
        return readable

    def _note(self, message: Message, canonical: CanonicalMessage) -> None:
        message.entity_type = canonical.entity_type
        message.operation = canonical.operation
        message.external_id = canonical.external_id
        message.number = canonical.number
        message.event_id = canonical.event_id[:255]
        message.body.canonical = to_json(canonical)

    def _new_ones(
        self, readable: list[tuple[Message, CanonicalMessage]], events: set[str]
    ) -> list[tuple[Message, CanonicalMessage]]:
        """Without those whose event id the sender has used before: for an earlier message, or among these."""
        fresh = []
        for message, canonical in readable:
            if message.event_id and message.event_id in events:
                self._end(message, MessageState.DUPLICATE, "same_event")
                continue
            events.add(message.event_id)
            fresh.append((message, canonical))
        return fresh

    def _route_one(self, message: Message, canonical: CanonicalMessage) -> None:
        if until := self.answers.wait_of(message):
            self.answers.set_aside(message, until)
            self.survivors.append(message.pk)
            self.acquaintance.postpone(message, canonical)
            return
        try:
            conversation, participant = self.acquaintance.introduce(message, canonical)
        except OverlapsOurOwnWork:
            message.wake_at = self.now + POSTPONE
            return
        except Replaced as gone:
            message.conversation = gone.conversation
            self._end(message, MessageState.PROCESSED, REPLACED)
            return
        message.conversation = conversation
        heard = self._hear(message, canonical, conversation, participant)
        if heard is None:
            self._keep_trace(message, {"echo": True})
            self._end(message, MessageState.ECHO, "nothing_new")
        else:
            self._decide(heard)

    def _hear(
        self,
        message: Message,
        canonical: CanonicalMessage,
        conversation: Conversation,
        participant: Participant,
    ) -> Heard | None:
        """Bring the sender's shadow up to date. None when the message tells nothing new."""
        before = participant.shadow
        shadow, changed = changes.heard(changes.from_json(before), canonical.attributes, canonical.codes)
        participant.shadow = changes.to_json(shadow)
        comments = self.acquaintance.new_comments(participant, canonical)
        files = self.acquaintance.new_attachments(participant, canonical)
        own_create = bool(canonical.effect_key) and canonical.operation is Operation.CREATE
        own = own_create and self.acquaintance.is_ours(participant, canonical.effect_key)
        if own or changes.is_echo(canonical.operation, changed, comments, files):
            return None
        carried = self.filing.note(message, conversation, files)
        if canonical.operation is Operation.ATTACH:
            canonical = _as_known(canonical, shadow)
            message.body.canonical = to_json(canonical)
        return Heard(message, canonical, conversation, participant, before, dict(changed), comments, carried)

    def _facts(self, heard: Heard) -> Facts:
        conversation = heard.conversation
        participants = self.acquaintance.participants_of(conversation)
        tickets = self.plans.tickets(conversation, participants)
        return Facts(
            message=heard.canonical,
            changed=heard.changed,  # type: ignore[arg-type]
            new_comments=heard.comments,
            tickets=tickets,
            variables=decode_attributes(conversation.variables),
            received_at=heard.message.received_at,
            participants=Tickets(participants, self.plans.configs),
            state=state_of(
                conversation,
                tickets,
                heard.message.received_at,
                is_new=len(participants) == 1 and not heard.shadow_before,
            ),
            keeps_internal=self.endpoint.keeps_internal,
            situation=self.plans.situation(heard.message, participants),
            numbers=counters.numbers_for(heard.message),
            files=heard.files,
            lookups=self.answers.found(heard.message),
            **self._earlier_files(conversation),
        )

    def _earlier_files(self, conversation: Conversation) -> dict[str, Any]:
        """What the conversation kept of files, asked for only where a rule carries them."""
        if not self.rules.carry_earlier_files or self.acquaintance.is_new(conversation):
            return {}
        return {"earlier_files": filing.earlier(conversation), "files_sent": filing.sent(conversation)}

    def _decide(self, heard: Heard) -> None:
        facts = self._facts(heard)
        candidates = self.rules.routing.candidates(self.endpoint.id, heard.canonical.entity_type)
        if gaps := self.answers.gaps(heard.message):
            heard.message.body.problem = f"Decided without an answer: {'; '.join(gaps)}."
        known = trace.to_json(facts, with_participants=candidates.asks_participants)
        self._keep_trace(heard.message, known)
        try:
            decision = decide(candidates, facts)
        except MappingError as problem:
            heard.participant.shadow = heard.shadow_before  # routed again, it must still be news
            self.acquaintance.unhear()
            self._end(heard.message, MessageState.HELD, "mapping_failed", str(problem))
            return
        self._follow(heard, facts, decision)

    def _keep_trace(self, message: Message, told: dict[str, Any]) -> None:
        """What explains the decision later: by what it was found, the rules in force, what was known."""
        found = {"found": self.acquaintance.found[message.pk], "revision": self.rules.revision}
        message.body.trace = {**found, **told}

    def _follow(self, heard: Heard, facts: Facts, decision: Decision) -> None:
        heard.conversation.variables = encode_attributes(decision.variables)
        state, reason = _STATES[decision.fate], decision.reason
        if heard.canonical.operation is Operation.ATTACH and decision.fate is Fate.UNMATCHED:
            state, reason = MessageState.PROCESSED, FILE_KEPT
        self._end(heard.message, state, reason)
        for route in decision.routes:
            self.plans.add(heard.message, heard.conversation, route, facts)

    def _end(self, message: Message, state: MessageState, reason: str, problem: str = "") -> None:
        message.state = state
        message.reason = reason[:REASON_LENGTH]
        message.routed_at = self.now
        message.wake_at = None
        if problem:
            message.body.problem = problem

    def _save(self) -> Writes:
        writes = Writes()
        self.plans.invite(self.acquaintance)
        self.acquaintance.save(writes)
        self.filing.save(writes)
        self.plans.save(writes)
        if self.waiting:
            writes.send()
            deliveries.wake(self.waiting)
        counters.keep(self.messages)
        _spare(self.survivors, self.messages)
        writes.update([message.body for message in self.messages], "canonical", "problem", "trace")
        writes.update(
            self.messages,
            "state",
            "reason",
            "entity_type",
            "operation",
            "external_id",
            "number",
            "event_id",
            "conversation",
            "routed_at",
            "wake_at",
        )
        return writes


def _spare(set_aside: Sequence[int], messages: Iterable[Message]) -> None:
    """Looking at a message that goes on waiting has killed nobody: that does not count as a death."""
    counted = [message.pk for message in messages if message.deaths and message.pk in set_aside]
    if counted:
        Message.objects.filter(pk__in=counted).update(deaths=F("deaths") - 1)


def _as_known(canonical: CanonicalMessage, shadow: changes.Shadow) -> CanonicalMessage:
    """A message that brings a file, with what is known of its ticket where it does not say it itself:
    conditions on the ticket hold for its files, too."""
    attributes = {**shadow.known, **canonical.attributes}
    return replace(canonical, attributes=attributes, codes={**shadow.codes, **canonical.codes})


_STATES = {
    Fate.ROUTED: MessageState.ROUTED,
    Fate.UNMATCHED: MessageState.UNMATCHED,
    Fate.PROCESSED: MessageState.PROCESSED,
    Fate.DROPPED: MessageState.DROPPED,
}
