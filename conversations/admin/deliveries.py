"""The delivery list with what a person may do about it, and the page of one delivery."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations import audit
from conversations import deliveries as verbs
from conversations.admin import looks, rows
from conversations.admin.editing import EditForm, outgoing_of
from conversations.admin.messages import delivery_cards
from conversations.admin.verbs import VERBS, Verb
from conversations.models import (
    Delivery,
    DeliveryContent,
    DeliveryState,
    HoldReason,
    MessageBody,
    Reason,
)
from conversations.planning import LOOP_DELIVERIES
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.canonical import Value, decode_attributes
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import decisions_on, may, note
from oneio.admin.filters import AgeFilter, DropdownFilter, EnvironmentFilter, ReadableFilter
from oneio.admin.page import WorkPage, url_of
from routing.changes import alternating


class StateFilter(DropdownFilter):
    """Deliveries in one state."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """The states by their words, those that need a person first."""
        order = sorted(DeliveryState, key=lambda state: state != DeliveryState.HELD)
        return [(state.value, looks.DELIVERIES[state].word) for state in order]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The deliveries in the chosen state."""
        return queryset.filter(state=self.value()) if self.value() else queryset


class ReasonFilter(DropdownFilter):
    """Held deliveries by why they wait."""

    title = "why it needs you"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        """The reasons in words."""
        return list(HoldReason.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The deliveries held for the chosen reason."""
        if not self.value():
            return queryset
        return queryset.filter(state=DeliveryState.HELD, hold_reason=self.value())


class EndpointFilter(ReadableFilter):
    """What goes to one endpoint."""

    title = "endpoint"
    parameter_name = "endpoint"
    offers = Endpoint


class DeliveryAgeFilter(AgeFilter):
    """Deliveries by when they were made."""

    moment = "created_at"


@admin.register(Delivery)
class DeliveryAdmin(WorkPage):
    """Everything that is to be sent, or was."""

    list_display = ["state_chip", "target", "source", "rule_name", "why", "since", "environment_name"]
    list_filter = [StateFilter, ReasonFilter, EndpointFilter, EnvironmentFilter, DeliveryAgeFilter]
    search_fields = ["message__number"]
    search_help_text = "Ticket number or id, of any system"
    ordering = ["-id"]
    list_per_page = 100
    actions = ["retry_selected", "repeat_selected", "skip_selected", "cancel_selected"]
    page_template = "conversations/delivery.html"
    empty_title = "No deliveries"
    empty_text = "When a rule matches a message, what goes to its target appears here, with every try."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Deliveries with all that the list shows of them."""
        return (
            super()
            .get_queryset(request)
            .select_related(
                "endpoint__gate__endpoint",
                "rule",
                "message__endpoint",
                "environment__organization",
                "conversation",
            )
            .defer("conversation__variables")
            .prefetch_related(rows.with_participants("conversation__"), rows.with_replaced("conversation__"))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Deliveries of a ticket by its number or id in any system."""
        if not search_term.strip():
            return queryset, False
        tickets = rows.tickets(request, search_term.strip())
        conversations = list(tickets.values_list("conversation_id", flat=True)[:50])
        return queryset.filter(conversation_id__in=conversations), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may act on deliveries somewhere; where exactly is asked of each."""
        return may(request, Permission.OPERATE)

    @admin.action(description="Retry", permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Send the chosen deliveries again."""
        return self._act(request, queryset, VERBS["retry"])

    @admin.action(description="Retry as it was", permissions=["operate"])
    def repeat_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Send the chosen deliveries again with the rule's version of their last try."""
        return self._act(request, queryset, VERBS["repeat"])

    @admin.action(description="Skip", permissions=["operate"])
    def skip_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Let later ones pass the chosen deliveries."""
        return self._act(request, queryset, VERBS["skip"])

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Never send the chosen deliveries."""
        return self._act(request, queryset, VERBS["cancel"])

    def get_urls(self) -> list[URLPattern]:
        """The form to edit what a held delivery sends, beside Django's own pages."""
        edit = path(
            "<int:pk>/edit/", self.admin_site.admin_view(self.edit_view), name="conversations_delivery_edit"
        )
        return [edit, *super().get_urls()]

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Edit what a held delivery sends, and send it if the person says so."""
        row = self.get_object(request, str(pk))
        if row is not None and not may(request, Permission.OPERATE, row):
            raise PermissionDenied
        if row is None or not self._may_edit(request, row):
            self.message_user(request, "This delivery cannot be edited by you now.", messages.WARNING)
            return HttpResponseRedirect(url_of(row) if row else reverse(self._url("changelist")))
        audit.payload_read(request.user, row)
        form = EditForm(outgoing_of(row), row.content.overrides, request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._save_edit(request, row, form)
            return HttpResponseRedirect(url_of(row))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Edit delivery #{row.pk} to {row.endpoint}",
            "opts": self.opts,
            "row": row,
            "form": form,
        }
        return TemplateResponse(request, "conversations/edit_delivery.html", context)

    def _may_edit(self, request: HttpRequest, row: Delivery) -> bool:
        readable = rows.may_read_payload(request, row.environment_id)
        return readable and may(request, Permission.OPERATE, row) and verbs.is_editable(row)

    def _save_edit(self, request: HttpRequest, row: Delivery, form: EditForm) -> None:
        names = ", ".join(form.edited()) or "nothing"
        if not verbs.edit(row, form.overrides()):
            self.message_user(request, "Nothing was changed: it needs nobody any more.", messages.WARNING)
            return
        note(request, [row], f"Edited {names}: {form.cleaned_data['reason']}")
        sent = "retry" in request.POST and verbs.retry([row])
        if sent:
            note(request, [row], VERBS["retry"].label)
        self.message_user(request, f"Edited {names}." + (" It will be sent again." if sent else ""))

    def _act(self, request: HttpRequest, queryset: QuerySet[Any], verb: Verb) -> HttpResponse | None:
        """Ask first, naming the number; then do it and say how many it was done to."""
        chosen = list(queryset.values_list("pk", flat=True))
        permitted = access.readable(request.user, Delivery, Permission.OPERATE).filter(pk__in=chosen)
        if "confirmed" not in request.POST:
            return self._ask(request, permitted, verb, len(chosen))
        eligible = list(permitted.filter(state__in=verb.states))
        done = verb.do(eligible)
        note(request, eligible, verb.label)
        level = messages.SUCCESS if done else messages.WARNING
        unaffected = (
            f" {display.count(len(chosen) - done, 'other')} left as it was." if done < len(chosen) else ""
        )
        self.message_user(
            request, f"{display.count(done, 'delivery', 'deliveries')} {verb.done}.{unaffected}", level
        )
        return None

    def _ask(
        self, request: HttpRequest, permitted: QuerySet[Delivery], verb: Verb, chosen: int
    ) -> HttpResponse:
        found = list(permitted.filter(state__in=verb.states).select_related("endpoint", "message"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.label} {display.count(len(found), 'delivery', 'deliveries')}?",
            "opts": self.opts,
            "verb": verb,
            "chosen": list(permitted.values_list("pk", flat=True)),
            "number": len(found),
            "shown": found[:20],
            "hidden": max(len(found) - 20, 0),
            "unaffected": chosen - len(found),
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "conversations/confirm.html", context)

    def page_context(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        """The delivery with its attempts, and what may be done about it."""
        readable = rows.may_read_payload(request, row.environment_id)
        [card] = delivery_cards(access.readable(request.user, Delivery).filter(pk=row.pk), readable)
        contents = access.readable(request.user, DeliveryContent) if readable else None
        if readable:
            audit.payload_read(request.user, row)
        operable = may(request, Permission.OPERATE, row)
        return {
            "title": f"Delivery #{row.pk} to {row.endpoint}",
            "card": card,
            "source_mark": endpoint_mark(row.message.endpoint),
            "may_read": readable,
            "content": contents.get(pk=row.content_id) if contents else None,
            "verbs": [verb for verb in VERBS.values() if operable and row.state in verb.states],
            "editable": operable and self._may_edit(request, row),
            "loop": self._loop(request, row) if readable else {},
            "decisions": decisions_on(row),
            "list_url": reverse("admin:conversations_delivery_changelist"),
            "checkbox": ACTION_CHECKBOX_NAME,
        }

    def _loop(self, request: HttpRequest, row: Delivery) -> dict[str, list[Value]]:
        """The attributes that go back and forth, where the loop brake holds the delivery."""
        if row.hold_reason != HoldReason.LOOP:
            return {}
        said = access.readable(request.user, MessageBody).filter(message__deliveries__lane=row.lane_id)
        latest = said.filter(emptied_at=None, canonical__isnull=False).order_by("-message__id")
        found = {body.pk: body.canonical for body in latest[: 2 * LOOP_DELIVERIES]}
        return alternating([decode_attributes(one["attributes"]) for one in reversed(found.values())])

    @admin.display(description="State")
    def state_chip(self, delivery: Delivery) -> SafeString:
        """Where it stands."""
        ticket = rows.ticket_of(delivery)
        return looks.delivery_chip(delivery, rows.gate_of(delivery), str(ticket or ""))

    @admin.display(description="To")
    def target(self, delivery: Delivery) -> SafeString:
        """Where it goes, and the ticket there."""
        ticket = rows.ticket_of(delivery)
        name = (ticket.number or ticket.external_id or "") if ticket else ""
        return format_html(
            '<span class="oi-line">{}<span>{}</span><strong>{}</strong></span>',
            endpoint_mark(delivery.endpoint),
            delivery.endpoint.name,
            name,
        )

    @admin.display(description="From")
    def source(self, delivery: Delivery) -> SafeString:
        """The message that it carries on."""
        message = delivery.message
        text = message.number or message.external_id or f"#{message.pk}"
        return format_html(
            '<span class="oi-line">{}{}</span>',
            endpoint_mark(message.endpoint),
            display.link(url_of(message), text),
        )

    @admin.display(description="Rule")
    def rule_name(self, delivery: Delivery) -> SafeString:
        """Because of which rule it is sent."""
        return format_html('<span class="oi-clip" title="{0}">{0}</span>', delivery.rule.name)

    @admin.display(description="Why")
    def why(self, delivery: Delivery) -> SafeString:
        """Why it waits, for a person or for what its rule says."""
        reason = HoldReason(delivery.hold_reason).label if delivery.hold_reason else ""
        if delivery.state == DeliveryState.DELAYED:
            reason = Reason(delivery.reason).label
        return format_html('<span class="oi-nowrap">{}</span>', reason) if reason else display.NOTHING

    @admin.display(description="Since")
    def since(self, delivery: Delivery) -> SafeString:
        """Since when it is in this state."""
        return display.when(delivery.state_since)

    @admin.display(description="Environment")
    def environment_name(self, delivery: Delivery) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(delivery.environment, named=False)
