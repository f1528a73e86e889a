"""The page of one ticket's whole life: who has it, what came and went, what each lane waits for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from conversations import audit
from conversations.admin import conflicts, lanes, rows, tabs
from conversations.models import Conversation, Participant
from conversations.resync import CannotResync, resync
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import decisions_on, may, note
from oneio.admin.filters import AgeFilter, EnvironmentFilter, ReadableFilter
from oneio.admin.page import WorkPage, url_of


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

    def get_urls(self) -> list[URLPattern]:
        """Resync, and the choice between two values, beside Django's own pages."""
        own = path(
            "<uuid:pk>/resync/<uuid:ticket>/",
            self.admin_site.admin_view(self.resync),
            name="conversations_conversation_resync",
        )
        choose = path(
            "conflicts/<int:pk>/<str:side>/",
            self.admin_site.admin_view(require_POST(conflicts.choose)),
            name="conversations_conflict_choose",
        )
        return [own, choose, *super().get_urls()]

    def page_context(self, request: HttpRequest, row: Conversation) -> dict[str, Any]:
        """The systems side by side, and the open tab; what tickets say only for those who may read it."""
        readable = rows.may_read_payload(request, row.environment_id)
        columns, tab = lanes.columns(request, row), tabs.opened(request)
        shown = readable or not tab.reads_payload
        if readable:
            audit.payload_read(request.user, row)
        return {
            "title": " ⇄ ".join(str(column.ticket) for column in columns) or "Conversation",
            "original": None,  # its id would stand in the heading
            "columns": columns,
            "tabs": tabs.TABS,
            "tab": tab,
            "tab_template": tab.template if shown else "conversations/no_payload.html",
            "deliveries_url": reverse("admin:conversations_delivery_changelist"),
            "checkbox": ACTION_CHECKBOX_NAME,
            "decisions": decisions_on(row),
            **(tab.load(request, row, columns, readable) if shown else {}),
        }

    def resync(self, request: HttpRequest, pk: UUID, ticket: UUID) -> HttpResponse:
        """Ask first; then route the last full state of a ticket again."""
        found = access.readable(request.user, Participant).filter(pk=ticket, conversation=pk)
        participant = found.select_related("endpoint", "conversation").defer("shadow").first()
        if participant is None:
            raise Http404
        if not may(request, Permission.OPERATE, participant):
            raise PermissionDenied
        if request.method == "POST":
            self._resync(request, participant)
            return HttpResponseRedirect(url_of(participant.conversation))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Resync from {participant.endpoint}?",
            "opts": self.opts,
            "row": participant,
            "back": url_of(participant.conversation),
            "others": rows.others_of(participant),
        }
        return TemplateResponse(request, "conversations/resync.html", context)

    def _resync(self, request: HttpRequest, participant: Participant) -> None:
        try:
            message = resync(participant)
        except CannotResync as reason:
            messages.error(request, f"Nothing was sent. {reason}")
            return
        note(request, [participant.conversation], f"Resync from {participant.endpoint}")
        messages.success(
            request,
            f"What {participant.endpoint} last told is routed again as message #{message.pk}. "
            "It appears below within a second.",
        )

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
