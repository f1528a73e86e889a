"""A ticket's life, a column for each system: who sent what when, by which rule, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from conversations.admin import explanations, looks, rows
from conversations.admin.lanes import Column
from conversations.models import Conversation, Delivery, DeliveryState, Message
from endpoints.canonical import Operation
from oneio import access
from oneio.admin import display
from oneio.admin.page import url_of

MESSAGES_SHOWN = 200
SAID_SHOWN = 160
NAMES_SHOWN = 4
_WORDS = {
    Operation.CREATE: "created",
    Operation.UPDATE: "updated",
    Operation.COMMENT: "commented",
    Operation.ATTACH: "attached a file",
    Operation.CLOSE: "closed",
    Operation.DELETE: "deleted",
}
_PARTS = {"write_back": "number written back", "comment": "comment"}


def load(
    request: HttpRequest, conversation: Conversation, columns: list[Column], readable: bool
) -> dict[str, Any]:
    """The latest messages, oldest first, each with what it led to in each column."""
    found = access.readable(request.user, Message).filter(conversation=conversation)
    related = ["endpoint", "body"] if readable else ["endpoint"]
    found = found.select_related(*related).prefetch_related(rows.with_deliveries(contents=readable))
    if readable:
        found = found.defer("body__raw", "body__headers", "body__parameters")
    latest = list(found.order_by("-id")[:MESSAGES_SHOWN])
    lines = [_line(message, columns, readable) for message in reversed(latest)]
    _mark_days(lines)
    return {"lines": lines, "is_cut": len(latest) == MESSAGES_SHOWN, "columns": columns}


def _line(message: Message, columns: list[Column], readable: bool) -> dict[str, Any]:
    """One message: what its sender did, and a cell for every system."""
    places = {column.endpoint.pk: index for index, column in enumerate(columns)}
    begin = places.get(message.endpoint_id, 0)
    deliveries = list(message.deliveries.all())
    cells: list[dict[str, Any]] = [
        {"column": column, "arrivals": [], "event": None, "direction": "right" if index > begin else "left"}
        for index, column in enumerate(columns)
    ]
    for delivery in deliveries:
        if delivery.endpoint_id in places:
            cells[places[delivery.endpoint_id]]["arrivals"].append(_arrival(delivery, columns))
    if cells:
        cells[begin]["event"] = _event(message, deliveries, readable)
    return {"row": message, "cells": cells, "day": None}


def _event(message: Message, deliveries: list[Delivery], readable: bool) -> dict[str, Any]:
    """What the sender did, by whom and in which words; names and words only for those who may read them."""
    said = _said(message.body.canonical or {}) if readable else {}
    return {
        "url": url_of(message),
        "word": _WORDS.get(message.operation, message.operation or "sent a message"),  # type: ignore[call-overload]
        "chip": looks.message_chip(message),
        "why": "" if deliveries else looks.meaning_of(message),
        "changed": _changed(deliveries) if readable else "",
        **said,
    }


def _said(canonical: Mapping[str, Any]) -> dict[str, str]:
    comments = [comment.get("text", "") for comment in canonical.get("comments", [])]
    text = " ".join(comments[:1])
    return {
        "by": canonical.get("actor", {}).get("name", ""),
        "text": text if len(text) <= SAID_SHOWN else f"{text[:SAID_SHOWN]}…",
    }


def _changed(deliveries: list[Delivery]) -> str:
    """The attributes that a message changed, as the delivery that carries it remembers."""
    names = [name for delivery in deliveries[:1] for name in delivery.content.snapshot.get("changed", {})]
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _arrival(delivery: Delivery, columns: list[Column]) -> dict[str, Any]:
    """What a message led to at one system: because of which rule, in which state, and why not yet."""
    gate = rows.gate_of(delivery)
    replaced = [row for column in columns for row in column.replaced]
    ticket = looks.number_of(delivery, [column.ticket for column in columns], replaced)
    before = next((row for row in replaced if row.delivery_id == delivery.pk), None)
    name = (ticket.number or ticket.external_id or "") if ticket else ""
    done = delivery.state == DeliveryState.DELIVERED
    explanation = None if done else explanations.of_delivery(delivery, gate, timezone.now())
    return {
        "row": delivery,
        "url": url_of(delivery),
        "chip": looks.delivery_chip(delivery, gate, name),
        "part": f"in place of {before}" if before else _PARTS.get(delivery.part.partition(":")[0], ""),
        "ticket": name,
        "took": display.duration(delivery.state_since - delivery.created_at) if done else "",
        "why": explanation.happened if explanation else "",
    }


def _mark_days(lines: list[dict[str, Any]]) -> None:
    """The first line of each day carries its date."""
    before: date | None = None
    for line in lines:
        day = timezone.localtime(line["row"].received_at).date()
        line["day"] = day if day != before else None
        before = day
