"""The page of one message: what came in, which rules took it, what went out. Their list is the queue."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_POST

from conversations import audit
from conversations.admin import contents, curl, explanations, looks, message_queue, plans, rows
from conversations.models import Delivery, Message, MessageBody
from endpoints.admin.gate_words import mark as endpoint_mark
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import may
from oneio.admin.page import WorkPage, url_of

FILE = "file"
"""What the names of parts that carry a file begin with."""


@admin.register(Message)
class MessageAdmin(WorkPage):
    """Every message that came in."""

    page_template = "conversations/message.html"

    def get_urls(self) -> list[Any]:
        """The queue's plan page beside the usual ones."""
        view = self.admin_site.admin_view(require_POST(partial(plans.ask_or_do, self.admin_site)))
        return [path("plan/", view, name="conversations_queue_plan"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The message queue."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return message_queue.show(self, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Messages with what their page shows of them."""
        rows_seen = super().get_queryset(request)
        return rows_seen.select_related("endpoint", "environment__organization")

    def page_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        """Facts and deliveries; what the ticket says only for those who may read it."""
        readable = rows.may_read_payload(request, row.environment_id)
        cards = delivery_cards(access.readable(request.user, Delivery).filter(message=row), readable)
        return {
            "title": f"Message #{row.pk} {row.number or row.external_id}".strip(),
            "mark": endpoint_mark(row.endpoint),
            "chip": looks.message_chip(row),
            "meaning": looks.meaning_of(row),
            "may_read": readable,
            "may_operate": may(request, Permission.OPERATE, row),
            "deliveries": cards,
            **(self._payload(request, row, cards) if readable else {}),
        }

    def _payload(self, request: HttpRequest, row: Message, cards: list[dict[str, Any]]) -> dict[str, Any]:
        """What the ticket says; that the person saw it is noted."""
        audit.payload_read(request.user, row)
        body = access.readable(request.user, MessageBody, Permission.READ_PAYLOAD).get(pk=row.body_id)
        used = contents.names_used(request, [card["row"] for card in cards])
        return {
            "content": contents.content_of(body, used),
            "variables": contents.variables(request, row),
            "runtime_variables": contents.runtime_variables(request, row),
            "files": contents.files(request, row),
            "files_sent": [card for card in cards if card["row"].part.startswith(FILE)],
        }


def delivery_cards(found: QuerySet[Delivery], readable: bool) -> list[dict[str, Any]]:
    """Deliveries with ticket, explanation and attempts, as pages show them; remote words if `readable`."""
    loaded = (
        found.select_related(
            "endpoint__gate__endpoint", "rule", "conversation", "content", "message__endpoint"
        )
        .defer("conversation__variables", "content__snapshot")
        .prefetch_related(
            rows.with_attempts(),
            rows.with_participants("conversation__"),
            rows.with_replaced("conversation__"),
        )
        .order_by("id")
    )
    return [delivery_card(delivery, readable) for delivery in loaded]


def delivery_card(delivery: Delivery, readable: bool) -> dict[str, Any]:
    """One delivery as pages show it."""
    gate, ticket = rows.gate_of(delivery), rows.ticket_of(delivery)
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
        "answer": attempt.answer if readable else None,
        "curl": curl.command(delivery.endpoint.base_url, attempt.request)
        if readable and attempt.request
        else "",
        "detail": attempt.detail if readable else None,
    }
