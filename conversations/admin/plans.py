"""Says what an action on many tickets will do before it is done: how many, where to, what stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

from conversations import feed
from conversations.admin import looks, replays
from conversations.admin.queue_filters import Offered, QueueFilters
from conversations.admin.verbs import VERBS, Verb
from conversations.models import Delivery, Message, MessageState
from conversations.router import route_again
from endpoints.admin.gate_words import mark as endpoint_mark
from oneio import access
from oneio.access import Permission
from oneio.admin import display
from oneio.admin.base import may, note

AT_ONCE = 1000
"""Messages that one action may be about; more are done in several goes."""
EXAMPLES = 10
AGAIN = "route_again"
REPLAY = "replay"
ROUTABLE = (MessageState.HELD, MessageState.FAULTY)
AGAIN_MEANS = (
    "Each is looked at anew with the rules as they are now, as if it came in at this moment. "
    "What was sent already is not sent twice."
)


@dataclass(frozen=True)
class Plan:
    """What will happen: the question, its consequence, and lines that say to how many and where."""

    title: str
    consequence: str
    button: str
    harmless: bool
    number: int
    lines: list[dict[str, Any]] = field(default_factory=list)
    examples: Sequence[Any] = ()
    unaffected: int = 0
    cut: bool = False


def ask_or_do(site: Any, request: HttpRequest) -> HttpResponse:
    """The plan for the messages chosen in the queue; with `confirmed`, what it says is done."""
    if not may(request, Permission.OPERATE):
        raise PermissionDenied
    back = _back(request.POST.get("filters", ""))
    verb, keys = request.POST.get("verb", ""), chosen(request)
    if verb == REPLAY:
        return replays.begin(request, keys, back)
    if verb != AGAIN and verb not in VERBS:
        return HttpResponseRedirect(back)
    if "confirmed" in request.POST:
        _do(request, verb, keys)
        return HttpResponseRedirect(back)
    plan = plan_routing(request, keys) if verb == AGAIN else plan_deliveries(request, VERBS[verb], keys)
    hidden = {"verb": verb, "messages": ",".join(map(str, keys)), "filters": request.POST.get("filters", "")}
    return show(site, request, plan, hidden=hidden, back=back)


def show(site: Any, request: HttpRequest, plan: Plan, *, hidden: dict[str, str], back: str) -> HttpResponse:
    """The page that asks; `hidden` is what its button sends back to the same address."""
    frame = {**site.each_context(request), "title": "What will happen"}
    context = {**frame, "plan": plan, "hidden": hidden, "back": back}
    return TemplateResponse(request, "conversations/plan.html", context)


def chosen(request: HttpRequest) -> list[int]:
    """The keys of the messages that the request names, or of all that fit its filters (the latest first)."""
    if "messages" in request.POST:
        named = request.POST["messages"].split(",")
    elif "all" in request.POST:
        return _all_that_fit(request)
    else:
        named = request.POST.getlist("message")
    return [int(key) for key in named[:AT_ONCE] if key.isdecimal() and len(key) < 19]


def plan_deliveries(request: HttpRequest, verb: Verb, keys: list[int]) -> Plan:
    """What a verb would do to what was sent because of these messages."""
    found = list(
        deliveries_of(request, keys).filter(state__in=verb.states).select_related("endpoint", "message")
    )
    tickets = display.count(len({row.conversation_id for row in found}), "ticket")
    return Plan(
        title=f"{verb.label} {display.count(len(found), 'delivery', 'deliveries')} of {tickets}?",
        consequence=verb.consequence,
        button=f"{verb.label} {len(found)}",
        harmless=verb.name == "retry",
        number=len(found),
        lines=lines(found),
        examples=found[:EXAMPLES],
        unaffected=len(keys) - len({row.message_id for row in found}),
        cut=len(keys) == AT_ONCE,
    )


def plan_routing(request: HttpRequest, keys: list[int]) -> Plan:
    """What routing these messages again would do."""
    found = list(routable(request, keys).select_related("endpoint"))
    counted = Counter((row.endpoint, row.state) for row in found)
    shown = [
        {
            "mark": endpoint_mark(endpoint),
            "name": f"from {endpoint.name}",
            "number": number,
            "chip": looks.MESSAGES[state].meaning,
        }
        for (endpoint, state), number in counted.most_common()
    ]
    number = display.count(len(found), "message")
    return Plan(
        title=f"Route {number} again?",
        consequence=AGAIN_MEANS,
        button=f"Route {len(found)} again",
        harmless=True,
        number=len(found),
        lines=shown,
        unaffected=len(keys) - len(found),
        cut=len(keys) == AT_ONCE,
    )


def lines(found: Sequence[Delivery]) -> list[dict[str, Any]]:
    """How many deliveries go where, and why they wait."""
    counted = Counter((row.endpoint, looks.delivery_look(row).word, row.hold_reason) for row in found)
    reasons = dict(Delivery._meta.get_field("hold_reason").flatchoices)
    return [
        {
            "mark": endpoint_mark(endpoint),
            "name": f"to {endpoint.name}",
            "number": number,
            "chip": reasons.get(reason, word),
        }
        for (endpoint, word, reason), number in counted.most_common()
    ]


def deliveries_of(request: HttpRequest, keys: list[int]) -> QuerySet[Delivery]:
    """What was sent because of these messages, where the person may act on it."""
    return access.readable(request.user, Delivery, Permission.OPERATE).filter(message__in=keys).order_by("id")


def routable(request: HttpRequest, keys: list[int]) -> QuerySet[Message]:
    """Those of these messages that can be routed again, where the person may do so."""
    permitted = access.readable(request.user, Message, Permission.OPERATE)
    return permitted.filter(pk__in=keys, state__in=ROUTABLE)


def _do(request: HttpRequest, verb: str, keys: list[int]) -> None:
    if verb == AGAIN:
        rows: list[Any] = list(routable(request, keys))
        done, noun = route_again(rows), display.count(len(rows), "message")
        note(request, rows, "Route again")
        _tell(request, done, f"{noun} will be routed again.")
        return
    chosen_verb = VERBS[verb]
    rows = list(deliveries_of(request, keys).filter(state__in=chosen_verb.states))
    done = chosen_verb.do(rows)
    note(request, rows, chosen_verb.label)
    _tell(request, done, f"{display.count(done, 'delivery', 'deliveries')} {chosen_verb.done}.")


def _tell(request: HttpRequest, done: int, sentence: str) -> None:
    messages.add_message(request, messages.SUCCESS if done else messages.WARNING, sentence)


def _all_that_fit(request: HttpRequest) -> list[int]:
    offered = Offered(request)
    filters = QueueFilters(QueryDict(request.POST.get("filters", "")), offered)
    if not filters.is_valid():
        return []
    return [row.pk for row in feed.latest(offered.visible, filters.wanted, AT_ONCE)]


def _back(filters: str) -> str:
    page = reverse("admin:conversations_message_changelist")
    return f"{page}?{QueryDict(filters).urlencode()}" if filters else page
