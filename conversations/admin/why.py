"""Why did this ticket (not) sync? The story of a message, told from the trace of its decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from conversations import audit, jobs, sender
from conversations.admin import looks, messages, rows, rule_words
from conversations.explaining import Recalled, Untraceable
from conversations.models import Conversation, Delivery, DeliveryState, Message, MessageBody, MessageState
from conversations.sender import Outgoing
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.canonical import Operation
from endpoints.configs import EndpointConfigs
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin.base import may
from routing.compiled import RuleSet
from routing.models import RoutingRule
from routing.rules import Rules, version_of

SHOWN = 50
TOLD = {
    "create": "It tells of a new",
    "update": "It tells of a change of",
    "comment": "It tells of a comment on",
    "attach": "It tells of a file of",
    "close": "It tells of the end of",
    "delete": "It tells that somebody deleted",
}
"""What a message is, by its operation, before the kind and number of its ticket."""
_FOUND = {
    "known": "The id of this ticket was known from an earlier message, and with it the conversation.",
    "mark": "The ticket bears the mark that we left when we created it, and so joined our conversation.",
    "reference": "It names a ticket of another system that is known, and so joined its conversation.",
    "new": "Nobody had told of this ticket before: a new conversation began.",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that the message changed; values are payload."""

    name: str
    before: Any
    after: Any


def search(request: HttpRequest) -> HttpResponse:
    """Every message about a ticket, whatever system's number was typed; one alone is opened at once."""
    if not may(request, Permission.VIEW):
        raise PermissionDenied
    term = request.GET.get("q", "").strip()
    found = list(of_ticket(request, term)) if term else []
    if len(found) == 1:
        return HttpResponseRedirect(reverse("conversations_message_why", args=[found[0].pk]))
    context = {
        **admin.site.each_context(request),
        "title": "Why did it (not) sync?",
        "term": term,
        "lines": [line(message) for message in found],
        "is_cut": len(found) == SHOWN,
    }
    return TemplateResponse(request, "conversations/why_search.html", context)


def of_ticket(request: HttpRequest, term: str) -> Any:
    """The latest messages about a ticket, those of all systems in its conversation included."""
    tickets = rows.tickets(request, term).values_list("conversation_id", flat=True)[:SHOWN]
    stray = Q(conversation=None) & (Q(number__in={term, term.upper()}) | Q(external_id=term))
    return _loaded(request).filter(Q(conversation__in=list(tickets)) | stray).order_by("-id")[:SHOWN]


def of_conversation(request: HttpRequest, conversation: Conversation) -> list[dict[str, Any]]:
    """The latest messages of a conversation, with what became of each."""
    return [line(row) for row in _loaded(request).filter(conversation=conversation).order_by("-id")[:SHOWN]]


def line(message: Message) -> dict[str, Any]:
    """One message with what became of it, before its story is opened."""
    return {
        "row": message,
        "mark": endpoint_mark(message.endpoint),
        "chip": looks.message_chip(message),
        "meaning": looks.meaning_of(message),
        "sent": [looks.delivery_chip(row) for row in message.deliveries.all()],
        "url": reverse("conversations_message_why", args=[message.pk]),
    }


def story(request: HttpRequest, pk: int) -> HttpResponse:
    """The story of one message."""
    message = _loaded(request).filter(pk=pk).first()
    if message is None:
        raise Http404
    readable = rows.may_read_payload(request, message.environment_id)
    if readable:
        audit.payload_read(request.user, message)
    message.body = access.readable(request.user, MessageBody).get(pk=message.body_id)
    context = {
        **admin.site.each_context(request),
        "title": f"Why? {message.number or message.external_id or f'#{message.pk}'}",
        "row": message,
        "mark": endpoint_mark(message.endpoint),
        "chip": looks.message_chip(message),
        "meaning": looks.meaning_of(message),
        "told": TOLD.get(message.operation, "It tells of"),
        "may_read": readable,
        "earlier": _first_of_event(request, message),
        **_decision(request, message, readable),
        "deliveries": list(_sent(request, message, readable)),
    }
    return TemplateResponse(request, "conversations/why.html", context)


def _loaded(request: HttpRequest) -> Any:
    found = access.readable(request.user, Message).select_related("endpoint", "environment__organization")
    return found.prefetch_related(rows.with_deliveries())


def _first_of_event(request: HttpRequest, message: Message) -> Message | None:
    """The message that this one repeats."""
    if message.state != MessageState.DUPLICATE:
        return None
    same = access.readable(request.user, Message).filter(
        endpoint=message.endpoint_id, event_id=message.event_id, pk__lt=message.pk
    )
    first: Message | None = same.order_by("pk").first()
    return first


def _decision(request: HttpRequest, message: Message, readable: bool) -> dict[str, Any]:
    """By what the conversation was found, what was new, and what each rule did."""
    try:
        recalled = Recalled(message)
    except Untraceable as reason:
        return {"untraceable": str(reason)}
    told = {"found": _FOUND.get(recalled.told.get("found", ""), "")}
    if not recalled.is_decided:
        return told | {"echo": _echo(request, recalled)}
    explained, facts = recalled.explained(), recalled.facts
    endpoints = access.readable(request.user, Endpoint).filter(environment=message.environment_id)
    asked = {account.rule.rule_id for account in explained.accounts}
    return told | {
        "changed": [
            Change(name, before, facts.message.attributes.get(name)) for name, before in facts.changed.items()
        ],
        "all_new": bool(facts.changed) and all(before is None for before in facts.changed.values()),
        "new_comments": len(facts.new_comments),
        "new_files": len(facts.files),
        "variables": facts.variables,
        "rules": rule_words.lines(explained, facts, {row.pk: row.name for row in endpoints}),
        "not_asked": _not_asked(request, message, asked),
        "decided": True,
    }


def _echo(request: HttpRequest, recalled: Recalled) -> dict[str, Any]:
    """Why there was nothing new in a message, and what we had written there last before it."""
    message, told = recalled.message, recalled.canonical
    ours = access.readable(request.user, Delivery).filter(
        endpoint=message.endpoint_id, conversation=message.conversation_id, state=DeliveryState.DELIVERED
    )
    return {
        "own_create": bool(told.effect_key) and told.operation is Operation.CREATE,
        "names": sorted(told.attributes),
        "ours": ours.filter(state_since__lte=message.received_at).order_by("-state_since", "-pk").first(),
    }


def _not_asked(request: HttpRequest, message: Message, asked: set[int]) -> list[dict[str, Any]]:
    """Rules of today for the same endpoint that this message was not shown to, and why."""
    rules = access.readable(request.user, RoutingRule).filter(
        current_version__source_endpoint=message.endpoint_id
    )
    others = rules.exclude(pk__in=asked).select_related("current_version__source_entity").order_by("name")
    return [{"rule": rule, "reason": _why_not_asked(rule, message)} for rule in others[:SHOWN]]


def _why_not_asked(rule: RoutingRule, message: Message) -> str:
    version = rule.current_version
    entity = version.source_entity.name if version else ""
    if entity.casefold() != message.entity_type.casefold():
        return f"It is for {entity}; this was {message.entity_type}."
    return "It was switched off, or not published yet, when this message was routed."


def _sent(request: HttpRequest, message: Message, readable: bool) -> Iterator[dict[str, Any]]:
    """The deliveries with attempts, and what each mapping gives."""
    found = access.readable(request.user, Delivery).filter(message=message)
    for card in messages.delivery_cards(found, readable):
        yield {"card": card, "outgoing": _outgoing(card["row"]) if readable else []}


def _outgoing(delivery: Delivery) -> list[Outgoing]:
    """What the version that ran makes of each attribute, from what was kept with the delivery."""
    if delivery.content.emptied_at or delivery.state == DeliveryState.DELAYED:
        return []
    tried = [attempt.rule_version_id for attempt in delivery.attempts.all() if attempt.rule_version_id]
    version = tried[-1] if tried else delivery.rule.current_version_id
    rule = version_of(version) if version else None
    if rule is None:
        return []
    rules = Rules(RuleSet([rule]), {rule.rule_id: rule})
    configs = EndpointConfigs()
    job = jobs.rehearse(delivery, configs.get(delivery.endpoint_id), rules)
    return sender.outgoing(job) if job else []


search_view = admin.site.admin_view(search)
story_view = admin.site.admin_view(story)
