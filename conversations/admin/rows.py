"""Loads what pages show: a fixed number of queries whatever the number of rows, and no payload."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest

from conversations.admin import looks
from conversations.models import Attempt, Conversation, Delivery, Participant, ReplacedTicket
from endpoints.models import EndpointGate
from oneio import access
from oneio.access import Permission
from oneio.admin.base import allowed


def tickets(request: HttpRequest, term: str) -> QuerySet[Participant]:
    """The participants whose number or id, in whatever system, is `term`; numbers in either case. A ticket
    that was replaced leads to the one in its place."""
    found = Q(number__in={term, term.upper()}) | Q(external_id__in={term, term.lower()})
    replaced = access.readable(request.user, ReplacedTicket).filter(found)
    for conversation_id, endpoint_id in replaced.values_list("conversation_id", "endpoint_id"):
        found |= Q(conversation=conversation_id, endpoint=endpoint_id)
    return access.readable(request.user, Participant).filter(found)


def with_participants(path: str = "") -> Prefetch[Any]:
    """Prefetch the participants of conversations, without their shadows."""
    rows = Participant._base_manager.defer("shadow").select_related("endpoint", "entity_type")
    return Prefetch(f"{path}participants", queryset=rows.order_by("id"))


def with_replaced(path: str = "") -> Prefetch[Any]:
    """Prefetch the tickets of conversations that others took the place of, without what is known of them."""
    rows = ReplacedTicket._base_manager.defer("memory")
    return Prefetch(f"{path}replaced_tickets", queryset=rows.order_by("id"))


def with_deliveries(path: str = "", *, contents: bool = False) -> Prefetch[Any]:
    """Prefetch deliveries in order, with their endpoint, its gate, and the rule; and what they carry."""
    rows = Delivery._base_manager.select_related(
        "endpoint__gate__endpoint", "rule", "entity_type", "conversation", *(["content"] if contents else [])
    ).defer("conversation__variables")
    return Prefetch(f"{path}deliveries", queryset=rows.order_by("id"))


def others_of(participant: Participant) -> QuerySet[Participant]:
    """The other tickets of the conversation of a ticket that was loaded already."""
    found: QuerySet[Participant] = participant.conversation.participants.exclude(pk=participant.pk)
    return found.defer("shadow").select_related("endpoint").order_by("id")


def senders_of(conversation: Conversation) -> set[int]:
    """The endpoints that have told us about their ticket of a conversation that was loaded already."""
    return set(conversation.messages.order_by().values_list("endpoint_id", flat=True).distinct())


def with_attempts(path: str = "") -> Prefetch[Any]:
    """Prefetch attempts in order; request and detail stay sealed until somebody may read them."""
    rows = Attempt._base_manager.select_related("rule_version")
    return Prefetch(f"{path}attempts", queryset=rows.order_by("id"))


def gate_of(delivery: Delivery) -> EndpointGate | None:
    """The gate of a delivery's endpoint, already loaded."""
    return getattr(delivery.endpoint, "gate", None)


def ticket_of(delivery: Delivery) -> Participant | ReplacedTicket | None:
    """The ticket that a delivery is about at its target; those of its conversation are loaded already."""
    conversation = delivery.conversation
    replaced = conversation.replaced_tickets.all() if conversation else ()
    return looks.number_of(delivery, participants_of(conversation), replaced)


def participants_of(conversation: Conversation | None) -> list[Participant]:
    """The tickets of a conversation, already loaded."""
    return list(conversation.participants.all()) if conversation else []


def may_read_payload(request: HttpRequest, environment_id: int) -> bool:
    """Whether the user may see what tickets of that environment say."""
    return environment_id in allowed(request, Permission.READ_PAYLOAD)
