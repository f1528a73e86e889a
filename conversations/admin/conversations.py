"""The page of one ticket's whole life: who has it, what came and went, what each lane waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from conversations import audit
from conversations.admin import explanations, looks, rows
from conversations.models import UNFINISHED, Conversation, Delivery, DeliveryState, Lane, Message, Participant
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.filters import AgeFilter, EnvironmentFilter, ReadableFilter
from oneio.admin.page import WorkPage, url_of

MESSAGES_SHOWN = 200


class ParticipantFilter(ReadableFilter):
    """Conversations that have a ticket at one endpoint."""

    title = "endpoint"
    parameter_name = "participants__endpoint"
    offers = Endpoint


class ActivityFilter(AgeFilter):
    """Conversations by when something last happened."""

    moment = "last_activity_at"


@admin.register(Conversation)
class ConversationAdmin(WorkPage):
    """Tickets, each with its copies in all systems."""

    list_display = ["tickets", "active", "begun", "environment_name"]
    list_filter = [ParticipantFilter, EnvironmentFilter, ActivityFilter]
    search_fields = ["participants__number"]
    search_help_text = "Ticket number or id, of any system"
    ordering = ["-id"]
    page_template = "conversations/conversation.html"
    empty_title = "No conversations"
    empty_text = "A conversation begins when a rule matches the first message about a ticket."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Conversations with the tickets that belong to them."""
        loaded = super().get_queryset(request).select_related("environment__organization").defer("variables")
        return loaded.prefetch_related(rows.with_participants())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The conversation of a ticket by its number or id in any system."""
        if not search_term.strip():
            return queryset, False
        tickets = rows.tickets(request, search_term.strip())
        return queryset.filter(pk__in=list(tickets.values_list("conversation_id", flat=True)[:50])), False

    def page_context(self, request: HttpRequest, row: Conversation) -> dict[str, Any]:
        """Tickets, lanes and timeline; variables only for those who may read payloads."""
        readable = rows.may_read_payload(request, row.environment_id)
        tickets = rows.participants_of(row)
        timeline = self._timeline(request, row, tickets)
        opened = access.readable(request.user, Conversation, Permission.READ_PAYLOAD) if readable else None
        if readable:
            audit.payload_read(request.user, row)
        return {
            "title": " ⇄ ".join(map(str, tickets)) or "Conversation",
            "original": None,  # its id would stand in the heading
            "tickets": [ticket_card(ticket) for ticket in tickets],
            "lanes": self._lanes(request, row),
            "timeline": timeline,
            "is_cut": len(timeline) == MESSAGES_SHOWN,
            "may_read": readable,
            "variables": opened.get(pk=row.pk).variables if opened else None,
        }

    def _timeline(
        self, request: HttpRequest, conversation: Conversation, tickets: list[Participant]
    ) -> list[dict[str, Any]]:
        found = access.readable(request.user, Message).filter(conversation=conversation)
        found = found.select_related("endpoint").prefetch_related(rows.with_deliveries())
        latest = list(found.order_by("-id")[:MESSAGES_SHOWN])
        return [message_line(message, tickets) for message in reversed(latest)]

    def _lanes(self, request: HttpRequest, conversation: Conversation) -> list[dict[str, Any]]:
        lanes = access.readable(request.user, Lane).filter(conversation=conversation)
        unfinished = access.readable(request.user, Delivery).filter(
            conversation=conversation, state__in=UNFINISHED
        )
        heads: dict[int, list[Delivery]] = {}
        for delivery in unfinished.select_related("endpoint", "rule", "message__endpoint").order_by("id"):
            heads.setdefault(delivery.lane_id, []).append(delivery)
        loaded = lanes.select_related("endpoint__gate__endpoint").order_by("id")
        return [
            {
                "mark": endpoint_mark(lane.endpoint),
                "endpoint": lane.endpoint,
                "state": lane_state(lane, heads.get(lane.pk, [])),
            }
            for lane in loaded
        ]

    @admin.display(description="Tickets")
    def tickets(self, conversation: Conversation) -> SafeString:
        """Its copies in all systems."""
        shown = ((endpoint_mark(row.endpoint), str(row)) for row in rows.participants_of(conversation))
        return format_html_join(
            " ⇄ ", '<span class="oi-line">{}<strong>{}</strong></span>', shown
        ) or format_html("{}", "No ticket yet")

    @admin.display(description="Last activity")
    def active(self, conversation: Conversation) -> SafeString:
        """When something last happened."""
        return display.when(conversation.last_activity_at)

    @admin.display(description="Begun")
    def begun(self, conversation: Conversation) -> SafeString:
        """When the first message came."""
        return display.when(conversation.created_at)

    @admin.display(description="Environment")
    def environment_name(self, conversation: Conversation) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(conversation.environment, named=False)


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a lane does: a chip, a sentence, and the delivery that stands in front if one does."""

    chip: SafeString
    sentence: str
    head_url: str = ""
    head: str = ""


def lane_state(lane: Lane, waiting: list[Delivery]) -> LaneState:
    """What a lane waits for; `waiting` are its unfinished deliveries in order."""
    if not waiting:
        return LaneState(display.chip("Idle", "grey", "check"), "Everything has been sent.")
    head, gate = waiting[0], getattr(lane.endpoint, "gate", None)
    behind = (
        f"{display.count(len(waiting) - 1, 'delivery', 'deliveries')} behind it. " if len(waiting) > 1 else ""
    )
    since = f"since {display.relative(head.state_since)}"
    if head.state == DeliveryState.HELD:
        words = f"Blocked {since}: {head.get_hold_reason_display().lower()}. {behind}"
    else:
        explanation = explanations.of_delivery(head, gate, timezone.now())
        why = explanation.happened if explanation else ""
        words = f"{looks.delivery_look(head).word} {since}. {why} {behind}"
    return LaneState(looks.delivery_chip(head, gate), words.strip(), url_of(head), f"#{head.pk}")


def ticket_card(ticket: Participant) -> dict[str, Any]:
    """One copy of the ticket: where, its number with a link, its id."""
    shown = ticket.number or ticket.external_id or "not created yet"
    return {
        "mark": endpoint_mark(ticket.endpoint),
        "endpoint": ticket.endpoint,
        "entity": ticket.entity_type.name,
        "number": display.remote_link(ticket.link, shown),
        "external_id": ticket.external_id,
    }


def message_line(message: Message, tickets: list[Participant]) -> dict[str, Any]:
    """One message of the timeline with what was sent because of it."""
    return {
        "row": message,
        "url": url_of(message),
        "mark": endpoint_mark(message.endpoint),
        "chip": looks.message_chip(message),
        "meaning": looks.MESSAGES[message.state].meaning,
        "deliveries": [delivery_line(delivery, tickets) for delivery in message.deliveries.all()],
    }


def delivery_line(delivery: Delivery, tickets: list[Participant]) -> dict[str, Any]:
    """One delivery of the timeline: where to, what came of it, how long it took."""
    ticket = looks.number_of(delivery, tickets)
    name = (ticket.number or ticket.external_id or "") if ticket else ""
    done = delivery.state == DeliveryState.DELIVERED
    return {
        "row": delivery,
        "url": url_of(delivery),
        "mark": endpoint_mark(delivery.endpoint),
        "chip": looks.delivery_chip(delivery, rows.gate_of(delivery), name),
        "ticket": display.remote_link(ticket.link, name) if ticket and name else "",
        "took": display.duration(delivery.state_since - delivery.created_at) if done else "",
    }
