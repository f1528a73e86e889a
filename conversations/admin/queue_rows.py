"""How a message looks in the queue: where it came from, which rules took it, what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.safestring import SafeString

from conversations.admin import looks
from conversations.admin.queue_filters import Offered
from conversations.models import Delivery, Message
from endpoints.admin.gate_words import mark as endpoint_mark
from oneio.admin import display
from oneio.admin.page import url_of


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery: where to, as which ticket, and how it stands."""

    url: str
    mark: SafeString
    ticket: str
    chip: SafeString


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the queue."""

    key: int
    url: str
    mark: SafeString
    source: str
    kind: str
    ticket: str
    state: SafeString
    rules: list[str]
    sent: list[Sent]
    received_at: datetime
    conversation: str
    environment: SafeString | str


def row_of(message: Any, offered: Offered) -> Row:
    """A message that the feed found, with `sent` and `tickets`, as a line of the queue."""
    source = offered.endpoints[message.endpoint_id]
    names = dict.fromkeys(offered.rules[one["rule"]].name for one in message.sent)
    several = len(offered.environments) > 1
    return Row(
        key=message.pk,
        url=url_of(message),
        mark=endpoint_mark(source),
        source=source.name,
        kind=" ".join(filter(None, [message.entity_type, message.operation])),
        ticket=message.number or message.external_id or f"#{message.pk}",
        state=looks.message_chip(message),
        rules=list(names),
        sent=[sent_of(one, message, offered) for one in message.sent],
        received_at=message.received_at,
        conversation=_conversation(message),
        environment=display.environment_bar(source.environment, named=False) if several else "",
    )


def sent_of(one: dict[str, Any], message: Any, offered: Offered) -> Sent:
    """One delivery of a message, from the feed's JSON."""
    delivery = _delivery(one)
    endpoint = offered.endpoints[delivery.endpoint_id]
    then = (row for row in message.replaced if row["delivery"] > delivery.pk)
    there = (row for row in (*then, *message.tickets) if row["endpoint"] == endpoint.pk)
    ticket: dict[str, str] = next(there, {})
    name = ticket.get("number") or ticket.get("external_id") or ""
    chip = looks.delivery_chip(delivery, getattr(endpoint, "gate", None), name)
    return Sent(url_of(delivery), endpoint_mark(endpoint), name or endpoint.name, chip)


def _delivery(one: dict[str, Any]) -> Delivery:
    return Delivery(
        pk=one["id"],
        rule_id=one["rule"],
        endpoint_id=one["endpoint"],
        due_at=datetime.fromisoformat(one["due_at"]),
        state_since=datetime.fromisoformat(one["state_since"]),
        **{name: one[name] for name in ("state", "hold_reason", "tries", "failure", "part")},
    )


def _conversation(message: Message) -> str:
    if message.conversation_id is None:
        return ""
    return reverse("admin:conversations_conversation_change", args=[message.conversation_id])
