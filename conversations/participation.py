"""What rules may ask about a conversation: its tickets in other systems, and how it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from conversations.models import Conversation, Participant
from endpoints.canonical import Value
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from routing.changes import from_json
from routing.context import FoldedNames


class Tickets(Mapping[str, Mapping[str, Any]]):
    """A conversation's tickets by the short name of their endpoint, read only when a rule asks for one."""

    def __init__(self, participants: Mapping[int, Participant], configs: EndpointConfigs) -> None:
        self._participants = participants
        self._configs = configs
        self._read: dict[str, dict[str, Any]] = {}

    def __getitem__(self, slug: str) -> dict[str, Any]:
        if slug not in self._read:
            one = self._by_slug[slug]
            self._read[slug] = ticket_document(one.external_id, one.number, one.link, one.shadow)
        return self._read[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_slug)

    def __len__(self) -> int:
        return len(self._participants)

    @cached_property
    def _by_slug(self) -> dict[str, Participant]:
        return {self._configs.get(number).slug: one for number, one in self._participants.items()}


def join(conversation: Conversation, endpoint: LoadedEndpoint, entity: str) -> Participant:
    """A new participant: the endpoint is to have a ticket of this conversation. Lock the conversation."""
    participant = Participant(
        organization_id=endpoint.organization_id,
        environment_id=endpoint.environment_id,
        conversation=conversation,
        endpoint_id=endpoint.id,
        entity_type_id=endpoint.entity_ids[entity],
    )
    participant.save()
    return participant


def state_of(
    conversation: Conversation, tickets: Collection[int], received_at: datetime, *, is_new: bool
) -> dict[str, Value]:
    """How the conversation stands; `tickets` are the endpoints where it has or gets one."""
    created_at: object = conversation.created_at  # the database tells it with the first write
    started_at = created_at if isinstance(created_at, datetime) else received_at
    return {"is_new": is_new, "started_at": started_at, "tickets": len(tickets)}


def ticket_document(
    external_id: str | None, number: str, link: str, shadow: Mapping[str, Any]
) -> dict[str, Any]:
    """One of a conversation's tickets as paths read it."""
    return {
        "exists": True,
        "external_id": external_id,
        "number": number,
        "link": link,
        "attributes": FoldedNames(from_json(shadow).known),
    }
