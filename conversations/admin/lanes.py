"""The systems that take part in a conversation, side by side: their ticket, and what their lane waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations.admin import explanations, looks, rows
from conversations.admin.verbs import VERBS, Verb
from conversations.models import (
    UNFINISHED,
    Conversation,
    Delivery,
    DeliveryState,
    Lane,
    Participant,
    ReplacedTicket,
)
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import may
from oneio.admin.page import url_of


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a lane does: a chip, a sentence, and the delivery in front with what may be done about it."""

    chip: SafeString
    sentence: SafeString | str
    to_do: str = ""
    head: Delivery | None = None
    verbs: list[Verb] = field(default_factory=list)

    @property
    def head_url(self) -> str:
        """The page of the delivery in front."""
        return url_of(self.head) if self.head else ""


@dataclass(frozen=True, slots=True)
class Column:
    """One system of the conversation. `may_resync`: it has told us about its ticket; `replaced`: the tickets
    that took part before this one."""

    endpoint: Endpoint
    mark: SafeString
    ticket: Participant
    number: SafeString
    state: LaneState | None
    may_resync: bool = False
    replaced: list[ReplacedTicket] = field(default_factory=list)

    @property
    def in_place_of(self) -> list[tuple[SafeString, datetime]]:
        """The links to the tickets that took part before, and until when."""
        return [(display.remote_link(row.link, row), row.replaced_at) for row in self.replaced]


def columns(request: HttpRequest, conversation: Conversation) -> list[Column]:
    """The systems in the order in which they joined."""
    heads = _unfinished(request, conversation)
    lanes = access.readable(request.user, Lane).filter(conversation=conversation)
    by_endpoint = {lane.endpoint_id: lane for lane in lanes.select_related("endpoint__gate__endpoint")}
    operable = may(request, Permission.OPERATE, conversation)
    senders = rows.senders_of(conversation) if operable else set()
    old = access.readable(request.user, ReplacedTicket).filter(conversation=conversation)
    replaced = list(old.defer("memory"))
    return [
        Column(
            endpoint=ticket.endpoint,
            mark=endpoint_mark(ticket.endpoint),
            ticket=ticket,
            number=_number(ticket),
            state=lane_state(lane, heads.get(lane.pk, []), operable) if lane else None,
            may_resync=ticket.endpoint_id in senders,
            replaced=[row for row in replaced if row.endpoint_id == ticket.endpoint_id],
        )
        for ticket in rows.participants_of(conversation)
        for lane in [by_endpoint.get(ticket.endpoint_id)]
    ]


def lane_state(lane: Lane, waiting: list[Delivery], operable: bool = False) -> LaneState:
    """What a lane waits for; `waiting` are its unfinished deliveries in order."""
    if not waiting:
        return LaneState(display.chip("Idle", "grey", "check"), "Everything has been sent.")
    head, gate = waiting[0], getattr(lane.endpoint, "gate", None)
    explanation = explanations.of_delivery(head, gate, timezone.now())
    behind = (
        f"{display.count(len(waiting) - 1, 'delivery', 'deliveries')} behind it." if len(waiting) > 1 else ""
    )
    if head.state == DeliveryState.HELD:
        word, why = "Blocked", f"{head.get_hold_reason_display().lower()}."
    else:
        word, why = looks.delivery_look(head).word, explanation.happened if explanation else ""
    sentence = format_html(
        "{} since {}: {} {}", word, display.clock(head.state_since, dated=True), why, behind
    )
    return LaneState(
        looks.delivery_chip(head, gate),
        sentence,
        explanation.to_do if explanation else "",
        head,
        [verb for verb in VERBS.values() if operable and head.state in verb.states],
    )


def _unfinished(request: HttpRequest, conversation: Conversation) -> dict[int, list[Delivery]]:
    """Lane id → its unfinished deliveries, in order."""
    found = access.readable(request.user, Delivery).filter(conversation=conversation, state__in=UNFINISHED)
    heads: dict[int, list[Delivery]] = {}
    for delivery in found.select_related("endpoint", "rule", "message__endpoint").order_by("id"):
        heads.setdefault(delivery.lane_id, []).append(delivery)
    return heads


def _number(ticket: Participant) -> SafeString:
    shown: Any = ticket.number or ticket.external_id or "Not created yet"
    return display.remote_link(ticket.link, shown)
