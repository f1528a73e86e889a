"""Finds whose message it is: its conversation and participant, or that it must wait for our own work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from conversations.models import (
    UNDER_WAY,
    Conversation,
    Delivery,
    Message,
    MessageState,
    Participant,
    RemoteItem,
)
from endpoints.canonical import Attachment, CanonicalMessage, Comment
from endpoints.configs import LoadedEndpoint
from oneio.bulk import insert_rows, update_rows


class OverlapsOurOwnWork(Exception):
    """What the message tells may be our own doing, whose outcome we do not know yet: look again later."""


@dataclass(slots=True)
class UnderWay:
    """Requests of ours to this endpoint whose outcome is open, with when each was first tried."""

    creates: list[datetime] = field(default_factory=list)
    comments: dict[UUID, list[datetime]] = field(default_factory=lambda: defaultdict(list))


class Acquaintance:
    """Who takes part in which conversation, for one batch of one endpoint's messages."""

    def __init__(
        self, endpoint: LoadedEndpoint, messages: Sequence[tuple[Message, CanonicalMessage]]
    ) -> None:
        self.endpoint = endpoint
        canonicals = [canonical for _, canonical in messages]
        # First: a request that ends after this look has left its ids where the next looks find them.
        self._under_way = self._load_under_way()
        self._lock_all(canonicals)
        self._load_participants()
        self._items = self._load_items(canonicals)
        self._postponed = self._load_postponed(messages)
        self._new_conversations: list[Conversation] = []
        self._new_participants: list[Participant] = []

    def introduce(self, message: Message, canonical: CanonicalMessage) -> tuple[Conversation, Participant]:
        """The conversation and the sender's participant, made where this ticket is new to us. Raises
        OverlapsOurOwnWork."""
        key = (canonical.entity_type, canonical.external_id)
        if any(message.pk > earlier for earlier in self._postponed[key]):
            raise OverlapsOurOwnWork
        participant = self._known.get(key) or self._by_our_mark(canonical)
        if self._is_unclear(message, canonical, participant):
            self._postponed[key].append(message.pk)
            raise OverlapsOurOwnWork
        participant = participant or self._make(canonical)
        self._known[key] = participant
        self._describe(participant, canonical)
        return self._conversations[participant.conversation_id], participant

    def participants_of(self, conversation: Conversation) -> dict[int, Participant]:
        """Endpoint id → participant."""
        return self._participants[conversation.pk]

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
            RemoteItem(
                organization_id=participant.organization_id,
                participant=participant,
                kind=kind,
                remote_id=remote_id,
            )
        )
        return True

    def is_ours(self, participant: Participant, effect_key: str) -> bool:
        """Whether the ticket was made by our own delivery with this effect key."""
        return Delivery.objects.filter(
            endpoint_id=self.endpoint.id, effect_key=effect_key, conversation_id=participant.conversation_id
        ).exists()

    def save(self) -> None:
        """Write new conversations and participants, what was heard, and the senders' shadows."""
        insert_rows(self._new_conversations)
        insert_rows(self._new_participants)
        new = {participant.pk for participant in self._new_participants}
        heard = [participant for participant in self._known.values() if participant.pk not in new]
        update_rows(heard, "shadow", "external_id", "number", "link")
        insert_rows(self._heard, ignore_conflicts=True)
        changed = [c for c in self._conversations.values() if c not in self._new_conversations]
        update_rows(changed, "variables")
        Conversation.objects.filter(pk__in=[c.pk for c in changed]).update(last_activity_at=Now())

    def _lock_all(self, canonicals: list[CanonicalMessage]) -> None:
        """Lock the conversations, then this endpoint's participants in them, each in the order of ids."""
        ids = {canonical.external_id for canonical in canonicals}
        keys = {canonical.effect_key for canonical in canonicals if canonical.effect_key}
        ours = Delivery.objects.filter(endpoint_id=self.endpoint.id, effect_key__in=keys) if keys else None
        self._by_effect = dict(ours.values_list("effect_key", "conversation_id")) if ours else {}
        own = Participant.objects.filter(endpoint_id=self.endpoint.id)
        known = own.filter(external_id__in=ids).values_list("conversation_id", flat=True)
        self._conversations = _lock_conversations([*known, *self._by_effect.values()])
        self._own = self._lock_own(own, ids) if self._conversations else []
        late = [row.conversation_id for row in self._own if row.conversation_id not in self._conversations]
        self._conversations |= _lock_conversations(late)

    def _lock_own(self, own: QuerySet[Participant], external_ids: set[str]) -> list[Participant]:
        wanted = Q(external_id__in=external_ids) | Q(conversation__in=list(self._conversations))
        return list(own.filter(wanted).select_for_update(no_key=True).order_by("pk"))

    def _load_participants(self) -> None:
        names = {pk: name for name, pk in self.endpoint.entity_ids.items()}
        self._known = {
            (names[row.entity_type_id], row.external_id): row for row in self._own if row.external_id
        }
        self._participants: dict[UUID, dict[int, Participant]] = defaultdict(dict)
        own = {participant.pk: participant for participant in self._own}
        for row in Participant.objects.filter(conversation__in=list(self._conversations)).order_by("pk"):
            self._participants[row.conversation_id][row.endpoint_id] = own.get(row.pk, row)

    def _load_items(self, canonicals: list[CanonicalMessage]) -> dict[UUID, set[tuple[str, str]]]:
        self._heard: list[RemoteItem] = []
        items: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
        ids = {comment.id for canonical in canonicals for comment in canonical.comments}
        ids |= {file.id for canonical in canonicals for file in canonical.attachments}
        if ids:
            rows = RemoteItem.objects.filter(participant__endpoint_id=self.endpoint.id, remote_id__in=ids)
            for participant_id, kind, remote_id in rows.values_list("participant_id", "kind", "remote_id"):
                items[participant_id].add((kind, remote_id))
        return items

    def _load_under_way(self) -> UnderWay:
        under_way = UnderWay()
        uncreated = Participant.objects.filter(
            endpoint_id=self.endpoint.id, conversation_id=OuterRef("conversation_id"), external_id=None
        )
        rows = Delivery.objects.filter(
            endpoint_id=self.endpoint.id, state__in=UNDER_WAY, first_tried_at__isnull=False
        ).annotate(creates=Exists(uncreated))
        for conversation_id, since, creates in rows.values_list(
            "conversation_id", "first_tried_at", "creates"
        ):
            assert since is not None
            (under_way.creates if creates else under_way.comments[conversation_id]).append(since)
        return under_way

    def _load_postponed(
        self, messages: Sequence[tuple[Message, CanonicalMessage]]
    ) -> dict[tuple[str, str], list[int]]:
        postponed: dict[tuple[str, str], list[int]] = defaultdict(list)
        rows = Message.objects.filter(
            endpoint_id=self.endpoint.id,
            state=MessageState.RECEIVED,
            wake_at__gt=Now(),
            external_id__in={canonical.external_id for _, canonical in messages},
        )
        for entity, external_id, pk in rows.values_list("entity_type", "external_id", "pk"):
            postponed[entity, external_id].append(pk)
        return postponed

    def _by_our_mark(self, canonical: CanonicalMessage) -> Participant | None:
        """The participant that was waiting for its id, if the ticket bears the mark of our create."""
        conversation = self._by_effect.get(canonical.effect_key) if canonical.effect_key else None
        participant = self._participants[conversation].get(self.endpoint.id) if conversation else None
        return participant if participant and participant.external_id is None else None

    def _is_unclear(
        self, message: Message, canonical: CanonicalMessage, participant: Participant | None
    ) -> bool:
        """A ticket or comment that one of our open requests may have made before this message was sent."""
        if participant is None:
            return any(since <= message.received_at for since in self._under_way.creates)
        if not canonical.comments:
            return False
        open_ones = self._under_way.comments[participant.conversation_id]
        return any(since <= message.received_at for since in open_ones)

    def _make(self, canonical: CanonicalMessage) -> Participant:
        conversation = Conversation(
            organization_id=self.endpoint.organization_id, environment_id=self.endpoint.environment_id
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
        participant = Participant(
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


def _lock_conversations(ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    if not ids:
        return {}
    rows = Conversation.objects.filter(pk__in=ids).select_for_update(no_key=True).order_by("pk")
    return {row.pk: row for row in rows}
