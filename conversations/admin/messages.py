"""The message list: what came in, which rules took it, what went out. And the page of one message."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from conversations.admin import explanations, looks, rows
from conversations.models import Delivery, Message, MessageBody, MessageState
from conversations.router import route_again
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.canonical import decode_attributes
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import may, note
from oneio.admin.filters import AgeFilter, DropdownFilter, EnvironmentFilter, ReadableFilter
from oneio.admin.page import WorkPage, url_of

RAW_SHOWN = 20_000


class StateFilter(DropdownFilter):
    """Messages in one state; “needs you” gathers the three that wait for a person."""

    title = "state"
    parameter_name = "state"
    NEEDS_YOU = (MessageState.FAULTY, MessageState.QUARANTINED, MessageState.HELD)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """The states by their words."""
        words = [(state, looks.MESSAGES[state].word) for state in MessageState if state not in self.NEEDS_YOU]
        return [("needs-you", "Needs you"), *words]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The messages in the chosen state."""
        if not self.value():
            return queryset
        return queryset.filter(state__in=self.NEEDS_YOU if self.value() == "needs-you" else [self.value()])


class EndpointFilter(ReadableFilter):
    """What came from, or goes to, one endpoint."""

    title = "endpoint"
    parameter_name = "endpoint"
    offers = Endpoint


class MessageAgeFilter(AgeFilter):
    """Messages by when they came in."""

    moment = "received_at"


@admin.register(Message)
class MessageAdmin(WorkPage):
    """Every message that came in."""

    list_display = ["received", "rules", "sent", "when", "environment_name", "conversation_link"]
    list_filter = [StateFilter, EndpointFilter, EnvironmentFilter, MessageAgeFilter]
    search_fields = ["number"]
    search_help_text = "Ticket number or id, of any system, or Response ID"
    ordering = ["-id"]
    actions = ["route_selected_again"]
    page_template = "conversations/message.html"
    empty_title = "No messages"
    empty_text = (
        "Each ticket that a system posts to its receiver address appears here within a second. "
        "The address and the password are on the page of each endpoint."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Messages with all that the list shows of them."""
        return rows.listed_messages(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Messages of a ticket by its number or id in any system, or one message by its Response ID."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if response_id := rows.as_uuid(term):
            return queryset.filter(Q(body_id=response_id) | Q(external_id=term)), False
        conversations = list(rows.tickets(request, term).values_list("conversation_id", flat=True)[:50])
        numbers = {term, term.upper()}
        found = Q(number__in=numbers) | Q(external_id=term) | Q(conversation_id__in=conversations)
        return queryset.filter(found), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may act on messages somewhere; where exactly is asked of each."""
        return may(request, Permission.OPERATE)

    @admin.action(description="Route again", permissions=["operate"])
    def route_selected_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Route messages whose routing failed, or that could not be read, after the cause is corrected."""
        chosen = list(queryset.values_list("pk", flat=True))
        permitted = access.readable(request.user, Message, Permission.OPERATE).filter(pk__in=chosen)
        eligible = list(permitted.filter(state__in=[MessageState.HELD, MessageState.FAULTY]))
        routed = route_again(eligible)
        note(request, eligible, "Route again")
        left = (
            f" {len(chosen) - routed} left as it was: only faulty ones can be."
            if routed < len(chosen)
            else ""
        )
        self.message_user(
            request,
            f"{display.count(routed, 'message')} will be routed again.{left}",
            messages.SUCCESS if routed else messages.WARNING,
        )

    @admin.display(description="Received")
    def received(self, message: Message) -> SafeString:
        """Where it came from and which ticket it is about."""
        shown = message.number or message.external_id or f"#{message.pk}"
        return format_html(
            '<span class="oi-line">{}<span class="oi-muted">{}</span><strong>{}</strong></span>',
            endpoint_mark(message.endpoint),
            " ".join(filter(None, [message.entity_type, message.operation])),
            shown,
        )

    @admin.display(description="Rules")
    def rules(self, message: Message) -> SafeString:
        """The rules that took it, or why there is none."""
        names = dict.fromkeys(delivery.rule.name for delivery in message.deliveries.all())
        if message.state == MessageState.ROUTED and names:
            return format_html('<span class="oi-clip" title="{0}">{0}</span>', ", ".join(names))
        return looks.message_chip(message)

    @admin.display(description="Sent")
    def sent(self, message: Message) -> SafeString:
        """One chip for each delivery, with the ticket's number at the target."""
        tickets = rows.participants_of(message.conversation)
        sent = ((self._sent(delivery, tickets),) for delivery in message.deliveries.all())
        return format_html_join(" ", "{}", sent) or display.NOTHING

    @admin.display(description="When")
    def when(self, message: Message) -> SafeString:
        """When it came in."""
        return display.when(message.received_at)

    @admin.display(description="Environment")
    def environment_name(self, message: Message) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(message.environment, named=False)

    @admin.display(description="Conversation")
    def conversation_link(self, message: Message) -> SafeString:
        """To everything about this ticket."""
        if message.conversation is None:
            return display.NOTHING
        return display.link(url_of(message.conversation), "Open →")

    def page_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        """Facts and deliveries; what the ticket says only for those who may read it."""
        readable = rows.may_read_payload(request, row.environment_id)
        body = access.readable(request.user, MessageBody).get(pk=row.body_id) if readable else None
        found = access.readable(request.user, Delivery).filter(message=row)
        return {
            "title": f"Message #{row.pk} {row.number or row.external_id}".strip(),
            "mark": endpoint_mark(row.endpoint),
            "chip": looks.message_chip(row),
            "meaning": looks.MESSAGES[row.state].meaning,
            "may_read": readable,
            "content": content_of(body) if body else None,
            "deliveries": delivery_cards(found, readable),
        }

    def _sent(self, delivery: Delivery, tickets: list[Any]) -> SafeString:
        ticket = looks.number_of(delivery, tickets)
        name = ticket.number or ticket.external_id or "" if ticket else ""
        return format_html(
            '<a class="oi-sent" href="{}">{}<span>{}</span>{}</a>',
            url_of(delivery),
            endpoint_mark(delivery.endpoint),
            name,
            looks.delivery_chip(delivery, rows.gate_of(delivery), name),
        )


def content_of(body: MessageBody) -> dict[str, Any]:
    """What a message says, as the page shows it; opens the encrypted body."""
    canonical = body.canonical or {}
    raw = bytes(body.raw or b"").decode("utf-8", errors="replace")
    return {
        "emptied_at": body.emptied_at,
        "problem": body.problem,
        "actor": canonical.get("actor", {}).get("name", ""),
        "attributes": decode_attributes(canonical.get("attributes", {})),
        "comments": canonical.get("comments", []),
        "attachments": canonical.get("attachments", []),
        "native": canonical.get("native"),
        "parameters": body.parameters,
        "raw": raw[:RAW_SHOWN],
        "raw_is_cut": len(raw) > RAW_SHOWN,
    }


def delivery_cards(found: QuerySet[Delivery], readable: bool) -> list[dict[str, Any]]:
    """Deliveries with ticket, explanation and attempts, as pages show them; remote words if `readable`."""
    loaded = (
        found.select_related("endpoint__gate__endpoint", "rule", "conversation", "content")
        .defer("conversation__variables", "content__snapshot")
        .prefetch_related(rows.with_attempts(), rows.with_participants("conversation__"))
        .order_by("id")
    )
    return [delivery_card(delivery, readable) for delivery in loaded]


def delivery_card(delivery: Delivery, readable: bool) -> dict[str, Any]:
    """One delivery as pages show it."""
    gate, ticket = (
        rows.gate_of(delivery),
        looks.number_of(delivery, rows.participants_of(delivery.conversation)),
    )
    name = (ticket.number or ticket.external_id or "") if ticket else ""
    attempts = [attempt_line(attempt, delivery, readable) for attempt in delivery.attempts.all()]
    said = {attempt["detail"] for attempt in attempts}
    problem = delivery.content.problem if readable else None
    return {
        "row": delivery,
        "url": url_of(delivery),
        "mark": endpoint_mark(delivery.endpoint),
        "chip": looks.delivery_chip(delivery, gate, name),
        "ticket": display.remote_link(ticket.link, name) if ticket and name else "",
        "explanation": explanations.of_delivery(delivery, gate, timezone.now()),
        "problem": problem if problem not in said else None,
        "attempts": attempts,
    }


def attempt_line(attempt: Any, delivery: Delivery, readable: bool) -> dict[str, Any]:
    """One try: when, what it came to, how long it took, and the remote words if they may be read."""
    result, follows = explanations.of_attempt(attempt, str(delivery.endpoint))
    ended = attempt.ended_at
    return {
        "row": attempt,
        "result": result,
        "follows": follows,
        "took": display.duration(ended - attempt.started_at) if ended else "",
        "request": attempt.request if readable else None,
        "detail": attempt.detail if readable else None,
    }
