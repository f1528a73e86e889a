"""Real messages to try a rule on: the latest of its source, and what was known when one was routed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from conversations import audit
from conversations.explaining import Recalled, Untraceable, next_numbers
from conversations.models import Message, MessageState, Participant
from conversations.participation import Tickets
from conversations.reading import read
from endpoints.adapters.base import Reference, Unreadable
from endpoints.canonical import CanonicalMessage, Comment, Value, from_json
from endpoints.configs import EndpointConfigs
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.paths import PathError
from oneio.template_values import to_text
from routing import changes
from routing.context import locate, view
from routing.decision import Facts, context, is_internal, message_context
from routing.models import RuleVersion
from routing.operators import flat

OFFERED = 30
LOOKED_AT = 50
"""Messages in which values without a row of a table are looked for."""
_UNREAD = (MessageState.RECEIVED, MessageState.FAULTY, MessageState.QUARANTINED, MessageState.TEST)


@dataclass(frozen=True, slots=True)
class Sample:
    """One message with what a rule may read beside it. `shadow` and `ticket` are of the rule's target."""

    message: Message
    canonical: CanonicalMessage
    document: Mapping[str, Any]
    changed: Mapping[str, Value]
    comment: Comment | None = None
    stays: bool = False
    """Whether the comment is internal and its endpoint lets none of those leave."""
    ticket: Reference | None = None
    shadow: Mapping[str, Any] = field(default_factory=dict)
    lookups: Mapping[int, Mapping[str, Value]] = field(default_factory=dict)
    """Rule id → what its lookups found when the message was decided on."""


def offered(request: HttpRequest, endpoint_id: int, entity: str, ticket: str = "") -> list[dict[str, Any]]:
    """The latest messages of a source, or those about one ticket, as the page lists them."""
    rows = _messages(request).filter(endpoint=endpoint_id, entity_type=entity)
    if ticket:
        rows = rows.filter(number__in={ticket, ticket.upper()})  # found by the index
    return [
        {
            "id": row.pk,
            "number": row.number or row.external_id,
            "operation": row.operation,
            "when": display.relative(row.received_at),
        }
        for row in rows.order_by("-pk")[:OFFERED]
    ]


def find(request: HttpRequest, number: Any, endpoint_id: int) -> Message | None:
    """The message of that number, if it is of the source and the person may read it."""
    if not isinstance(number, int):
        return None
    rows = _messages(request).filter(pk=number, endpoint=endpoint_id)
    found: Message | None = rows.select_related("body").first()
    return found


def load(message: Message, target_id: int | None, targets: Collection[str]) -> Sample:
    """The message with what was known when it was routed; `targets` are the names that the rule writes.

    Raises Unreadable.
    """
    configs = EndpointConfigs()
    participants = _participants(message)
    facts = _facts(message, Tickets(participants, configs), configs)
    target = participants.get(target_id) if target_id is not None else None
    shadow = target.shadow if target else {}
    document = context(facts, target=_target_known(configs, target_id, shadow, targets))
    document["counters"] = next_numbers(message.environment_id)
    comment = next(iter(facts.new_comments), None)
    stays = comment is not None and is_internal(comment) and configs.get(message.endpoint_id).keeps_internal
    if stays:
        del document["comment"]
    known = target is not None and target.external_id is not None
    ticket = Reference(str(target.external_id), target.number, target.link) if target and known else None
    return Sample(
        message, facts.message, document, facts.changed, comment, stays, ticket, shadow, facts.lookups
    )


def values_at(request: HttpRequest, version: RuleVersion, path: str) -> list[str]:
    """The different values that the latest messages of the rule's source have at a path."""
    rows = _messages(request).filter(
        endpoint=version.source_endpoint_id, entity_type=version.source_entity.name
    )
    configs = EndpointConfigs()
    try:
        located = locate(path)
    except PathError:
        return []
    found: dict[str, None] = {}
    looked_at = list(rows.select_related("body").order_by("-pk")[:LOOKED_AT])
    audit.payload_read(request.user, *looked_at)
    for message in looked_at:
        with suppress(Unreadable):
            canonical = _canonical(message, configs)
            document = view(message_context(canonical, {}, {}, {}, {}, message.received_at))
            found |= dict.fromkeys(
                to_text(one) for one in flat(located.all(document)) if one not in (None, "")
            )
    return list(found)


def _messages(request: HttpRequest) -> Any:
    rows = access.readable(request.user, Message, Permission.READ_PAYLOAD)
    return rows.exclude(state__in=_UNREAD).filter(body__emptied_at=None).select_related("conversation")


def _canonical(message: Message, configs: EndpointConfigs) -> CanonicalMessage:
    stored = message.body.canonical
    if stored:
        return from_json(stored)
    return read(message, configs.get(message.endpoint_id).adapter)


def _facts(message: Message, tickets: Tickets, configs: EndpointConfigs) -> Facts:
    """What the message's decision knew; where it kept nothing, what can be told from the message itself."""
    with suppress(Untraceable):
        recalled = Recalled(message, {})
        if recalled.is_decided:
            return recalled.facts_with(tickets)
    canonical = _canonical(message, configs)
    return Facts(
        message=canonical,
        changed=_changed(message, canonical),
        new_comments=canonical.comments,
        tickets=frozenset(),
        variables={},
        received_at=message.received_at,
        participants=tickets,
    )


def _changed(message: Message, canonical: CanonicalMessage) -> dict[str, Value]:
    """What the message changed, against the message about the ticket before it."""
    before = changes.Shadow()
    earlier = access.beside(message, Message).filter(
        conversation=message.conversation_id, endpoint=message.endpoint_id, pk__lt=message.pk
    )
    previous = earlier.select_related("body").order_by("-pk").first() if message.conversation_id else None
    if previous is not None and previous.body.canonical:
        told = from_json(previous.body.canonical)
        before = changes.Shadow(known=told.attributes, codes=told.codes)
    return changes.heard(before, canonical.attributes, canonical.codes)[1]


def _participants(message: Message) -> dict[int, Participant]:
    if message.conversation_id is None:
        return {}
    rows = access.beside(message, Participant).filter(conversation=message.conversation_id)
    return {row.endpoint_id: row for row in rows}


def _target_known(
    configs: EndpointConfigs, target_id: int | None, shadow: Mapping[str, Any], targets: Collection[str]
) -> dict[str, Value]:
    """What the target is known to have, also under the names that the rule's author wrote."""
    known = dict(changes.from_json(shadow).known)
    if target_id is None or not known:
        return known
    adapter = configs.get(target_id).adapter
    written = {name: adapter.attribute_name(name) for name in targets}
    return {**known, **{name: known[other] for name, other in written.items() if other in known}}


__all__ = ["Sample", "Unreadable", "find", "load", "offered"]
