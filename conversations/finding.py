"""Finds whose message it is: its conversation and participant, or that it must wait for our own work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from conversations import references
from conversations.models import Conversation, Delivery, Message, Participant, RemoteItem, ReplacedTicket
from endpoints.canonical import Attachment, CanonicalMessage, Comment
from endpoints.configs import LoadedEndpoint
from oneio.bulk import Writes, fetch_rows, new_row
from oneio.statements import Array, bigints, every, texts, uuids

_EFFECTS = """
    SELECT effect_key, conversation_id FROM conversations_delivery
    WHERE endpoint_id = %s AND effect_key = ANY(%s)
"""
# Two ways to the same rows, each by its index: with OR between them the whole table would be read. What is
# locked is looked at again: it may have changed meanwhile.
_OWN = """
    WHERE id = ANY(ARRAY(
        SELECT id FROM conversations_participant
        WHERE endpoint_id = %s AND entity_type_id = ANY(%s) AND external_id = ANY(%s)
        UNION ALL
        SELECT id FROM conversations_participant WHERE endpoint_id = %s AND conversation_id = ANY(%s)
    )) AND (entity_type_id = ANY(%s) AND external_id = ANY(%s) OR conversation_id = ANY(%s))
    ORDER BY id FOR NO KEY UPDATE
"""
_ITEMS = """
    SELECT i.participant_id, i.kind, i.remote_id FROM conversations_participant p
    JOIN conversations_remoteitem i ON i.participant_id = p.id
    WHERE p.id = ANY(%s) AND i.kind IN ('comment', 'attachment') AND i.remote_id = ANY(%s)
"""
# One look at one moment: a request of ours that has ended by then has left its ids where tickets are known.
# Entity types are named, because they come before the external id in the index.
_LOOK = """
    SELECT 'under way', d.conversation_id, NULL::bigint, NULL, NULL, d.first_tried_at, EXISTS (
        SELECT FROM conversations_participant p
        WHERE p.conversation_id = d.conversation_id AND p.endpoint_id = d.endpoint_id
          AND p.external_id IS NULL
    )
    FROM conversations_delivery d
    WHERE d.endpoint_id = %s AND d.state IN ('sending', 'verifying') AND d.first_tried_at IS NOT NULL
    UNION ALL
    SELECT 'known', conversation_id, entity_type_id, NULL, external_id, NULL, NULL
    FROM conversations_participant
    WHERE endpoint_id = %s AND entity_type_id = ANY(%s) AND external_id = ANY(%s)
    UNION ALL
    SELECT 'known', conversation_id, entity_type_id, NULL, external_id, NULL, NULL
    FROM conversations_replacedticket
    WHERE endpoint_id = %s AND entity_type_id = ANY(%s) AND external_id = ANY(%s)
    UNION ALL
    SELECT 'postponed', NULL, id, entity_type, external_id, NULL, NULL
    FROM conversations_message
    WHERE endpoint_id = %s AND state = 'received' AND wake_at > now() AND external_id = ANY(%s)
    UNION ALL
    SELECT 'event', NULL, NULL, NULL, event_id, NULL, NULL
    FROM conversations_message
    WHERE endpoint_id = %s AND event_id <> '' AND event_id = ANY(%s) AND id <> ALL(%s)
"""
_LOCKED = "WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"

_NOBODY = UUID(int=0)


class OverlapsOurOwnWork(Exception):
    """What the message tells may be our own doing, whose outcome we do not know yet: look again later."""


class Replaced(Exception):
    """The ticket takes part in this conversation no more: it has another one in its place."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__()
        self.conversation = conversation


class Found(StrEnum):
    """By what a message's conversation was found."""

    KNOWN = "known"
    MARK = "mark"
    REFERENCE = "reference"
    NEW = "new"


class Ticket(NamedTuple):
    """A ticket of this endpoint that a conversation knows, by its participant or as one that was replaced."""

    conversation_id: UUID
    entity_type_id: int
    external_id: str


@dataclass(slots=True)
class UnderWay:
    """Requests of ours to this endpoint whose outcome is open, with when each was first tried."""

    creates: list[datetime] = field(default_factory=list)
    comments: dict[UUID, list[datetime]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Look:
    """What was there about a batch of messages at one moment: what is under way, the tickets that are known,
    the messages that wait before them by ticket, and those of their event ids that came before."""

    under_way: UnderWay = field(default_factory=UnderWay)
    known: list[Ticket] = field(default_factory=list)
    postponed: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    events: set[str] = field(default_factory=set)


def look(endpoint: LoadedEndpoint, messages: Sequence[tuple[Message, CanonicalMessage]]) -> Look:
    """Look around for messages of an endpoint whose inbox is locked; nothing more is locked by it."""
    own = [endpoint.id, *_keys(endpoint, [canonical for _, canonical in messages])]
    _, _, external_ids = own
    events = texts({message.event_id for message, _ in messages} - {""})
    ours = bigints(message.pk for message, _ in messages)
    asked = [endpoint.id, *own, *own, endpoint.id, external_ids, endpoint.id, events, ours]
    seen = Look()
    for what, conversation_id, number, entity, text, since, creates in every(_LOOK, asked):
        if what == "known":
            seen.known.append(Ticket(conversation_id, number, text))
        elif what == "postponed":
            seen.postponed[entity, text].append(number)
        elif what == "event":
            seen.events.add(text)
        elif creates:
            seen.under_way.creates.append(since)
        else:
            seen.under_way.comments[conversation_id].append(since)
    return seen


class Acquaintance:
    """Who takes part in which conversation, for one batch of one endpoint's messages."""

    def __init__(
        self,
        endpoint: LoadedEndpoint,
        messages: Sequence[tuple[Message, CanonicalMessage]],
        seen: Look,
        now: datetime,
    ) -> None:
        """`seen` is the look around for these messages, maybe for more."""
        self.endpoint = endpoint
        self.now = now
        self.found: dict[int, Found] = {}
        canonicals = [canonical for _, canonical in messages]
        self._under_way, self._postponed = seen.under_way, seen.postponed
        external_ids = {canonical.external_id for canonical in canonicals}
        self._lock_all(canonicals, [ticket for ticket in seen.known if ticket.external_id in external_ids])
        self._load_participants()
        self._items = self._load_items(canonicals)
        self._new_conversations: list[Conversation] = []
        self._new_participants: list[Participant] = []

    def introduce(self, message: Message, canonical: CanonicalMessage) -> tuple[Conversation, Participant]:
        """The conversation and the sender's participant, made where this ticket is new to us. Raises
        OverlapsOurOwnWork or Replaced."""
        self._heard_before = len(self._heard)
        key = (canonical.entity_type, canonical.external_id)
        if any(message.pk > earlier for earlier in self._postponed[key]):
            raise OverlapsOurOwnWork
        if key not in self._known and key in self._replaced:
            raise Replaced(self._conversations[self._replaced[key]])
        participant = self._known.get(key) or self._by_our_mark(canonical)
        if self._is_unclear(message, canonical, participant):
            self._postponed[key].append(message.pk)
            raise OverlapsOurOwnWork
        how = Found.KNOWN if key in self._known else Found.MARK
        if participant is None:
            participant, how = self._by_reference(canonical), Found.REFERENCE
        if participant is None:
            participant, how = self._make(canonical), Found.NEW
        self.found[message.pk] = how
        self._known[key] = participant
        self._describe(participant, canonical)
        return self._conversations[participant.conversation_id], participant

    def postpone(self, message: Message, canonical: CanonicalMessage) -> None:
        """Let the message's later ones of the same ticket wait for it."""
        self._postponed[canonical.entity_type, canonical.external_id].append(message.pk)

    def is_new(self, conversation: Conversation) -> bool:
        """Whether this batch began the conversation."""
        return conversation in self._new_conversations

    def participants_of(self, conversation: Conversation) -> dict[int, Participant]:
        """Endpoint id → participant."""
        return self._participants[conversation.pk]

    def known_conversations(self) -> list[UUID]:
        """The conversations that were there before this batch; locked."""
        return list(self._conversations)

    def invite(self, conversation: Conversation, endpoint: LoadedEndpoint, entity: str) -> Participant:
        """The participant at a target, made without an id where the ticket is yet to be created there."""
        present = self._participants[conversation.pk].get(endpoint.id)
        return present or self._join(conversation, endpoint, entity, None)

    def new_comments(self, participant: Participant, canonical: CanonicalMessage) -> tuple[Comment, ...]:
        """The comments that we neither wrote there nor heard of before; they are remembered as heard."""
        return tuple(one for one in canonical.comments if self._is_news(participant, "comment", one.id))

    def new_attachments(
        self, participant: Participant, canonical: CanonicalMessage
    ) -> tuple[Attachment, ...]:
        """The files that we neither put there nor heard of before; they are remembered as heard."""
        return tuple(one for one in canonical.attachments if self._is_news(participant, "attachment", one.id))

    def _is_news(self, participant: Participant, kind: str, remote_id: str) -> bool:
        if (kind, remote_id) in self._items[participant.pk]:
            return False
        self._items[participant.pk].add((kind, remote_id))
        self._heard.append(
            new_row(
                RemoteItem,
                organization_id=participant.organization_id,
                participant=participant,
                kind=kind,
                remote_id=remote_id,
            )
        )
        return True

    def unhear(self) -> None:
        """Have the comments and files of the message introduced last be news again: it could not be decided
        on, and will be routed once more."""
        for item in self._heard[self._heard_before :]:
            self._items[item.participant_id].discard((item.kind, item.remote_id))
        del self._heard[self._heard_before :]

    def is_ours(self, participant: Participant, effect_key: str) -> bool:
        """Whether the ticket was made by our own delivery with this effect key."""
        return Delivery.objects.filter(
            endpoint_id=self.endpoint.id, effect_key=effect_key, conversation_id=participant.conversation_id
        ).exists()

    def save(self, writes: Writes) -> None:
        """Write new conversations and participants, what was heard, and the senders' shadows."""
        writes.insert(self._new_conversations)
        writes.insert(self._new_participants)
        new = {participant.pk for participant in self._new_participants}
        heard = [participant for participant in self._known.values() if participant.pk not in new]
        writes.update(heard, "shadow", "external_id", "number", "link")
        writes.insert(self._heard, ignore_conflicts=True)
        made = {conversation.pk for conversation in self._new_conversations}
        changed = [one for one in self._conversations.values() if one.pk not in made]
        for conversation in changed:
            conversation.last_activity_at = self.now
        writes.update(changed, "variables", "last_activity_at")

    def _lock_all(self, canonicals: Sequence[CanonicalMessage], known: Sequence[Ticket]) -> None:
        """Lock the conversations, then this endpoint's participants in them, each in the order of ids."""
        marks = {canonical.effect_key for canonical in canonicals if canonical.effect_key}
        self._by_effect: dict[str, UUID] = (
            dict(every(_EFFECTS, [self.endpoint.id, texts(marks)])) if marks else {}
        )
        self._named = references.conversations_named(self.endpoint.references, canonicals)
        conversations = [ticket.conversation_id for ticket in known]
        self._conversations = _lock_conversations(
            [*conversations, *self._by_effect.values(), *self._named.values()]
        )
        self._own: list[Participant] = []
        if self._conversations:
            keys, theirs = _keys(self.endpoint, canonicals), uuids(self._conversations)
            own = [self.endpoint.id, *keys, self.endpoint.id, theirs, *keys, theirs]
            self._own = fetch_rows(Participant, _OWN, own)
        late = [row.conversation_id for row in self._own if row.conversation_id not in self._conversations]
        self._conversations |= _lock_conversations(late)
        self._gone = {(ticket.entity_type_id, ticket.external_id) for ticket in known} - {
            (row.entity_type_id, row.external_id) for row in self._own
        }

    def _load_participants(self) -> None:
        names = {pk: name for name, pk in self.endpoint.entity_ids.items()}
        self._known = {
            (names[row.entity_type_id], row.external_id): row for row in self._own if row.external_id
        }
        self._replaced = self._load_replaced(names)
        self._participants: dict[UUID, dict[int, Participant]] = defaultdict(dict)
        own = {participant.pk: participant for participant in self._own}
        if not self._conversations:
            return
        present = "WHERE conversation_id = ANY(%s) ORDER BY id"
        for row in fetch_rows(Participant, present, [uuids(self._conversations)]):
            self._participants[row.conversation_id][row.endpoint_id] = own.get(row.pk, row)

    def _load_replaced(self, names: Mapping[int, str]) -> dict[tuple[str, str], UUID]:
        """The conversations of tickets that take part no more; asked once all is locked, and only where a
        ticket that is known is none of a participant."""
        if not self._gone:
            return {}
        rows = ReplacedTicket.objects.filter(
            endpoint=self.endpoint.id, external_id__in=[external_id for _, external_id in self._gone]
        )
        found = rows.values_list("entity_type_id", "external_id", "conversation_id")
        return {(names[entity], external_id): conversation for entity, external_id, conversation in found}

    def _load_items(self, canonicals: list[CanonicalMessage]) -> dict[UUID, set[tuple[str, str]]]:
        self._heard: list[RemoteItem] = []
        self._heard_before = 0
        items: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
        ids = {comment.id for canonical in canonicals for comment in canonical.comments}
        ids |= {file.id for canonical in canonicals for file in canonical.attachments}
        if ids and self._own:
            own = uuids(participant.pk for participant in self._own)
            for participant_id, kind, remote_id in every(_ITEMS, [own, texts(ids)]):
                items[participant_id].add((kind, remote_id))
        return items

    def _by_our_mark(self, canonical: CanonicalMessage) -> Participant | None:
        """The participant that was waiting for its id, if the ticket bears the mark of our create."""
        conversation = self._by_effect.get(canonical.effect_key) if canonical.effect_key else None
        participant = self._participants[conversation].get(self.endpoint.id) if conversation else None
        return participant if participant and participant.external_id is None else None

    def _by_reference(self, canonical: CanonicalMessage) -> Participant | None:
        """The sender's participant in the conversation of a ticket that the message names; made there if
        the sender takes no part in it yet."""
        for name in references.names_in(canonical, self.endpoint.references):
            conversation = self._conversations.get(self._named.get(name, _NOBODY))
            if conversation is None:
                continue
            present = self._participants[conversation.pk].get(self.endpoint.id)
            if present is None:
                return self._join(conversation, self.endpoint, canonical.entity_type, canonical.external_id)
            if present.external_id is None and present.entity_type_id == self._entity_id(canonical):
                return present
        return None

    def _entity_id(self, canonical: CanonicalMessage) -> int:
        return self.endpoint.entity_ids[canonical.entity_type]

    def _is_unclear(
        self, message: Message, canonical: CanonicalMessage, participant: Participant | None
    ) -> bool:
        """What one of our open requests may have made before this message was sent: a ticket, a comment or
        a file."""
        if participant is None:
            return any(since <= message.received_at for since in self._under_way.creates)
        if not (canonical.comments or canonical.attachments):
            return False
        open_ones = self._under_way.comments[participant.conversation_id]
        return any(since <= message.received_at for since in open_ones)

    def _make(self, canonical: CanonicalMessage) -> Participant:
        conversation = new_row(
            Conversation,
            organization_id=self.endpoint.organization_id,
            environment_id=self.endpoint.environment_id,
        )
        self._new_conversations.append(conversation)
        self._conversations[conversation.pk] = conversation
        return self._join(conversation, self.endpoint, canonical.entity_type, canonical.external_id)

    def _join(
        self,
        conversation: Conversation,
        endpoint: LoadedEndpoint,
        entity: str,
        external_id: str | None,
    ) -> Participant:
        participant = new_row(
            Participant,
            organization_id=endpoint.organization_id,
            environment_id=endpoint.environment_id,
            conversation=conversation,
            endpoint_id=endpoint.id,
            entity_type_id=endpoint.entity_ids[entity],
            external_id=external_id,
        )
        self._new_participants.append(participant)
        self._participants[conversation.pk][endpoint.id] = participant
        return participant

    def _describe(self, participant: Participant, canonical: CanonicalMessage) -> None:
        participant.external_id = canonical.external_id
        participant.number = canonical.number or participant.number
        participant.link = canonical.link or participant.link


def _keys(endpoint: LoadedEndpoint, canonicals: Sequence[CanonicalMessage]) -> list[Array]:
    """By what the endpoint's participants with these tickets are found: entity types and ids there."""
    external_ids = texts({canonical.external_id for canonical in canonicals})
    return [bigints(endpoint.entity_ids.values()), external_ids]


def _lock_conversations(ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    if not ids:
        return {}
    return {row.pk: row for row in fetch_rows(Conversation, _LOCKED, [uuids(ids)])}
