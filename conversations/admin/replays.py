"""The page of a replay: what it would do or has done, its choices, and the buttons that let it go or stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from conversations import audit
from conversations.admin import looks, rows
from conversations.models import (
    Message,
    Replay,
    ReplayData,
    ReplayItem,
    ReplayItemState,
    ReplayRules,
    ReplayState,
    ReplayTickets,
)
from conversations.replay import lifecycle
from conversations.replay.assessment import ON_THE_WAY, Wishes
from conversations.replay.counting import Line, lines_of
from conversations.replay.lifecycle import Choice
from conversations.replay.planning import plan_at_once
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.canonical import decode
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import decisions_on, may
from oneio.admin.filters import AgeFilter, EnvironmentFilter
from oneio.admin.page import WorkPage, url_of

ITEMS = 50
LIVE = "X-Feed"
"""The header by which the page asks for what changes alone."""
AT_WORK = (ReplayState.PLANNING, ReplayState.RUNNING)


class CreatedFilter(AgeFilter):
    """Replays by when they were planned."""

    moment = "created_at"


@admin.register(Replay)
class ReplayAdmin(WorkPage):
    """Every replay, planned, running and done."""

    list_display = ["name", "standing", "what", "by", "begun", "environment_name"]
    list_filter = ["state", EnvironmentFilter, CreatedFilter]
    ordering = ["-id"]
    page_template = "conversations/replay.html"
    empty_title = "Nothing was sent once more"
    empty_text = "Choose messages in the message queue, then Replay: a plan says first what would be sent."

    def get_urls(self) -> list[URLPattern]:
        """The buttons of the page beside Django's own."""
        buttons: dict[str, Callable[..., HttpResponse]] = {
            "run": self.run,
            "cancel": self.cancel,
            "again": self.again,
        }
        own = [
            path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"conversations_replay_{name}",
            )
            for name, view in buttons.items()
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Replays with who made them."""
        return super().get_queryset(request).select_related("environment__organization", "created_by")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page, or only what changes where the page itself asks for it again."""
        answer = super().change_view(request, object_id, form_url, extra_context)
        if LIVE in request.headers and isinstance(answer, TemplateResponse):
            answer.template_name = "conversations/replay_live.html"
        return answer

    def page_context(self, request: HttpRequest, row: Replay) -> dict[str, Any]:
        """What is planned and what came of it; what tickets say only for those who may read it."""
        readable = rows.may_read_payload(request, row.environment_id)
        if readable:
            audit.payload_read(request.user, row)
        items = access.readable(request.user, ReplayItem).filter(replay=row)
        first = _first(request)
        shown = list(_with_all(items)[first : first + ITEMS + 1])
        lines, endpoints = lines_of(items), _endpoints(items)
        return {
            "original": None,  # its id would stand in the heading
            "chip": looks.replay_chip(row),
            "is_at_work": row.state in AT_WORK or any(map(_is_on_its_way, shown)),
            "may_operate": may(request, Permission.OPERATE, row),
            "may_read": readable,
            "tickets": items.order_by().aggregate(
                messages=Count("message", distinct=True),
                tickets=Count("message__conversation", distinct=True),
            ),
            "lines": [_line(line, endpoints) for line in lines],
            "numbers": _numbers(lines),
            "items": [_shown(item, readable) for item in shown[:ITEMS]],
            "later": first + ITEMS if len(shown) > ITEMS else 0,
            "earlier": first,
            "rules": ReplayRules.choices,
            "data": ReplayData.choices,
            "tickets_offered": ReplayTickets.choices,
            "decisions": decisions_on(row),
        }

    def run(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Let the plan go."""
        wishes = Wishes("create_anew" in request.POST, "overwrite_newer" in request.POST)
        return self._do(
            request, pk, lambda replay: f"To be sent now: {lifecycle.start(replay, wishes, request.user)}."
        )

    def cancel(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Stop what is not in the queue yet."""
        return self._do(request, pk, lambda replay: f"Not sent: {lifecycle.cancel(replay, request.user)}.")

    def again(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Make another plan for the same messages."""

        def plan(replay: Replay) -> str:
            lifecycle.plan_again(replay, choice(request), request.user)
            plan_at_once(replay)
            return "It is planned again."

        return self._do(request, pk, plan)

    def _do(self, request: HttpRequest, pk: UUID, verb: Callable[[Replay], str]) -> HttpResponse:
        replay = access.readable(request.user, Replay).filter(pk=pk).first()
        if replay is None:
            raise Http404
        if not may(request, Permission.OPERATE, replay):
            raise PermissionDenied
        try:
            messages.success(request, verb(replay))
        except lifecycle.CannotReplay as reason:
            messages.error(request, str(reason))
        return HttpResponseRedirect(url_of(replay))

    @admin.display(description="Replay")
    def name(self, replay: Replay) -> str:
        """Its short name."""
        return str(replay)

    @admin.display(description="State")
    def standing(self, replay: Replay) -> SafeString:
        """Where it stands."""
        return looks.replay_chip(replay)

    @admin.display(description="What is sent")
    def what(self, replay: Replay) -> str:
        """By which rules, and which data."""
        return f"{replay.get_data_display()}, {replay.get_rules_display().lower()}"

    @admin.display(description="By")
    def by(self, replay: Replay) -> str:
        """Who made it."""
        return str(replay.created_by or "–")

    @admin.display(description="Planned")
    def begun(self, replay: Replay) -> SafeString:
        """When it was made."""
        return display.when(replay.created_at)

    @admin.display(description="Environment")
    def environment_name(self, replay: Replay) -> SafeString:
        """Which environment it is in."""
        return display.environment_bar(replay.environment, named=False)


def begin(request: HttpRequest, keys: list[int], back: str) -> HttpResponse:
    """Plan a replay of these messages and show it; several where they lie in several environments."""
    permitted = access.readable(request.user, Message, Permission.OPERATE).filter(pk__in=keys)
    by_environment: dict[int, list[int]] = {}
    for key, environment_id in permitted.values_list("pk", "environment_id"):
        by_environment.setdefault(environment_id, []).append(key)
    found = access.environments(request.user, Permission.OPERATE).filter(pk__in=by_environment)
    made = [
        lifecycle.create(environment, by_environment[environment.pk], choice(request), request.user)
        for environment in found
    ]
    for replay in made:
        plan_at_once(replay)
    if not made:
        messages.warning(request, "None of what you chose can be sent once more by you.")
        return HttpResponseRedirect(back)
    several = reverse("admin:conversations_replay_changelist")
    return HttpResponseRedirect(url_of(made[0]) if len(made) == 1 else several)


def choice(request: HttpRequest) -> Choice:
    """What was posted; what is usual where nothing known is named."""
    offered = {"rules": ReplayRules, "data": ReplayData, "tickets": ReplayTickets}
    posted = {name: request.POST.get(name, "") for name in offered}
    return Choice(**{name: text for name, text in posted.items() if text in offered[name].values})


def _first(request: HttpRequest) -> int:
    text = request.GET.get("first", "0")
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def _with_all(items: QuerySet[ReplayItem]) -> QuerySet[ReplayItem]:
    loaded = items.select_related(
        "message__endpoint", "rule", "rule_version", "endpoint", "delivery__endpoint__gate__endpoint"
    )
    return loaded.order_by("message_id", "place")


def _endpoints(items: QuerySet[ReplayItem]) -> dict[int, Endpoint]:
    one_of_each = items.order_by("endpoint_id").distinct("endpoint_id").select_related("endpoint")
    return {item.endpoint.pk: item.endpoint for item in one_of_each if item.endpoint}


def _line(line: Line, endpoints: dict[int, Endpoint]) -> dict[str, Any]:
    endpoint = endpoints.get(line.endpoint_id or 0)
    return {
        "mark": endpoint_mark(endpoint) if endpoint else "",
        "name": f"to {endpoint.name}" if endpoint else "",
        "chip": looks.finding_chip(line.finding) if line.finding else "",
        "overwrites": line.overwrites,
        "number": line.number,
        "outcome": "" if line.state == ReplayItemState.PLANNED else ReplayItemState(line.state).label,
    }


def _numbers(lines: list[Line]) -> dict[str, int]:
    """What the form says beside its choices."""
    planned = [line for line in lines if line.state == ReplayItemState.PLANNED]
    return {
        "sent": sum(
            one.number for one in planned if Wishes().include(one.finding, overwrites=one.overwrites)
        ),
        "duplicates": sum(one.number for one in planned if one.finding == "duplicate"),
        "anew": sum(one.number for one in planned if one.finding == "anew"),
        "overwriting": sum(one.number for one in planned if one.overwrites),
        "waiting": sum(one.number for one in lines if one.state == ReplayItemState.CHOSEN),
        "going": sum(one.number for one in planned),
        "queued": sum(one.number for one in lines if one.state == ReplayItemState.QUEUED),
        "left_out": sum(one.number for one in lines if one.state == ReplayItemState.LEFT_OUT),
        "cancelled": sum(one.number for one in lines if one.state == ReplayItemState.CANCELLED),
    }


def _shown(item: ReplayItem, readable: bool) -> dict[str, Any]:
    message, delivery = item.message, item.delivery
    return {
        "row": item,
        "source": endpoint_mark(message.endpoint),
        "ticket": message.number or message.external_id or f"#{message.pk}",
        "url": url_of(message),
        "target": endpoint_mark(item.endpoint) if item.endpoint else "",
        "part": item.part.partition(":")[0],
        "chip": looks.finding_chip(item.finding) if item.finding else "",
        "state": item.get_state_display(),
        "delivery": url_of(delivery) if delivery else "",
        "delivery_chip": looks.delivery_chip(delivery, rows.gate_of(delivery)) if delivery else "",
        "contents": _contents(item) if readable else {},
    }


def _is_on_its_way(item: ReplayItem) -> bool:
    return item.delivery is not None and item.delivery.state in ON_THE_WAY


def _contents(item: ReplayItem) -> dict[str, Any]:
    told = item.contents or {}
    changes = [
        {**change, "there": decode(change["there"]), "ours": decode(change["ours"])}
        for change in told.get("changes", [])
    ]
    return {**told, "changes": changes}
