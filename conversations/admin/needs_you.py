"""What needs a person: failures by their cause, one row each, to be dealt with all at once.

A group is asked from what stands now. Deliveries of a ticket to one target go in order, so that a later one
can only succeed after the failed one did or was let go: it has left its group by then. Messages that could
not be routed do not stop later ones of their ticket; once a later one is routed, they count as resolved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from conversations import audit
from conversations.admin import explanations, looks, rows
from conversations.admin.plans import AGAIN, AGAIN_MEANS, Plan, show
from conversations.admin.verbs import VERBS
from conversations.models import NEEDS_YOU, Delivery, DeliveryState, HoldReason, Message, MessageState
from conversations.router import route_again
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin import display, switch
from oneio.admin.base import may, note
from oneio.admin.page import url_of

SHOWN = 100
AT_ONCE = 500
"""Deliveries whose lanes are locked in one transaction."""
FAILED = Q(state=DeliveryState.HELD) | Q(state=DeliveryState.QUEUED, tries__gt=0)
OF_DELIVERIES = ("environment_id", "hold_reason", "failure", "failure_group")
OF_MESSAGES = ("environment_id", "endpoint_id", "state", "reason")
GROUP_VERBS = ("retry", "skip", "cancel")


@dataclass(frozen=True)
class Cause:
    """One cause: what happened, what it means, what to do; `what` it stops since when."""

    key: str
    chip: SafeString
    happened: str
    means: str
    to_do: str
    number: int
    what: str
    first: datetime
    last: datetime
    endpoints: list[SafeString]
    sample: str
    sample_url: str
    said: str
    environment: Any
    verbs: list[tuple[str, str]] = field(default_factory=list)


def page(request: HttpRequest) -> HttpResponse:
    """The list of causes, what stops most tickets first."""
    if not may(request, Permission.VIEW):
        raise PermissionDenied
    causes = [*delivery_causes(request), *message_causes(request)]
    causes.sort(key=lambda cause: (not cause.key.startswith("held"), -cause.number))
    context = {
        **admin.site.each_context(request),
        "title": "Needs you",
        "causes": causes,
        "several": len({cause.environment.pk for cause in causes}) > 1,
        "is_cut": len(causes) >= SHOWN,
        "is_narrowed": bool(request.GET.get("endpoint") or request.GET.get("reason")),
    }
    return TemplateResponse(request, "conversations/needs_you.html", context)


def plan(request: HttpRequest) -> HttpResponse:
    """What an action on a whole group would do; with `confirmed`, it is done."""
    if not may(request, Permission.OPERATE):
        raise PermissionDenied
    verb, key = request.POST.get("verb", ""), request.POST.get("group", "")
    back = reverse("needs_you")
    is_routing = verb == AGAIN
    if not is_routing and verb not in GROUP_VERBS:
        return HttpResponseRedirect(back)
    group: QuerySet[Any] = message_group(request, key) if is_routing else delivery_group(request, key, verb)
    if "confirmed" in request.POST:
        _tell(request, _route(request, group) if is_routing else _act(request, group, verb), verb)
        return HttpResponseRedirect(back)
    return show(admin.site, request, _plan(group, verb), hidden={"verb": verb, "group": key}, back=back)


def failed(request: HttpRequest) -> QuerySet[Delivery]:
    """Deliveries that are held, or are tried again after a failure, where the address and the chosen
    environment ask for them."""
    found = access.readable(request.user, Delivery).filter(FAILED, _here(request))
    reason = request.GET.get("reason", "")
    return found.filter(hold_reason=reason) if reason in HoldReason.values else found


def _here(request: HttpRequest) -> Q:
    """Rows of the environment that the person works in, and of the endpoint that the address names."""
    environment, endpoint = switch.chosen(request), request.GET.get("endpoint", "")
    here = Q(environment=environment) if environment else Q()
    return here & Q(endpoint=int(endpoint)) if endpoint.isdecimal() and len(endpoint) < 19 else here


def unrouted(request: HttpRequest, permission: Permission = Permission.VIEW) -> QuerySet[Message]:
    """Messages that wait for a person and are not resolved by a later one of the same ticket."""
    found = access.readable(request.user, Message, permission)
    later = found.filter(
        conversation=OuterRef("conversation"), pk__gt=OuterRef("pk"), state=MessageState.ROUTED
    )
    return found.filter(~Exists(later), state__in=NEEDS_YOU)


def delivery_causes(request: HttpRequest) -> Iterator[Cause]:
    """One cause for all deliveries that failed in the same way."""
    since = Min(Coalesce("first_tried_at", "state_since"))
    groups = _counted(failed(request), OF_DELIVERIES, since, Max("state_since"))
    found = list(groups.annotate(places=ArrayAgg("endpoint_id", distinct=True))[:SHOWN])
    samples = _samples(request, [group["sample"] for group in found])
    endpoints = access.readable(request.user, Endpoint).in_bulk(
        {place for group in found for place in group["places"]}
    )
    said = _said(request, {row: row.content.problem for row in samples.values()})
    for group in found:
        sample = samples[group["sample"]]
        places = [endpoints[place] for place in group["places"]]
        yield _delivery_cause(request, group, sample, places, said)


def message_causes(request: HttpRequest) -> Iterator[Cause]:
    """One cause for all messages of an endpoint that could not be read or routed for the same reason."""
    if request.GET.get("reason"):
        return  # asked for deliveries held for that reason
    here = unrouted(request).filter(_here(request))
    groups = _counted(here, OF_MESSAGES, Min("received_at"), Max("received_at"))
    found = list(groups[:SHOWN])
    loaded = access.readable(request.user, Message).select_related(
        "endpoint", "environment__organization", "body"
    )
    loaded = loaded.defer("body__raw", "body__canonical", "body__parameters", "body__headers")
    samples = loaded.in_bulk([group["sample"] for group in found])
    said = _said(request, {row: row.body.problem for row in samples.values()})
    for group in found:
        yield _message_cause(request, group, samples[group["sample"]], said)


def delivery_group(request: HttpRequest, key: str, verb: str) -> QuerySet[Delivery]:
    """The deliveries of a group that the person may act on in this way."""
    rows_found = access.readable(request.user, Delivery, Permission.OPERATE).filter(
        FAILED, _of(OF_DELIVERIES, key)
    )
    return rows_found.filter(state__in=VERBS[verb].states).order_by("pk")


def message_group(request: HttpRequest, key: str) -> QuerySet[Message]:
    """The messages of a group that can be routed again by this person."""
    found = unrouted(request, Permission.OPERATE).filter(_of(OF_MESSAGES, key))
    return found.exclude(state=MessageState.QUARANTINED).order_by("pk")


def _counted(
    found: QuerySet[Any], by: tuple[str, ...], first: Any, last: Any
) -> QuerySet[Any, dict[str, Any]]:
    grouped = found.order_by().values(*by)
    counted = grouped.annotate(
        number=Count("pk"),
        tickets=Count("conversation_id", distinct=True),
        first=first,
        last=last,
        sample=Max("pk"),
    )
    largest_first: QuerySet[Any, dict[str, Any]] = counted.order_by("-number")
    return largest_first


def _samples(request: HttpRequest, keys: list[int]) -> dict[int, Delivery]:
    loaded = access.readable(request.user, Delivery).select_related(
        "endpoint__gate__endpoint", "rule", "message", "environment__organization", "content"
    )
    return loaded.defer("content__snapshot").in_bulk(keys)


def _said(request: HttpRequest, samples: dict[Any, str | None]) -> dict[Any, str]:
    """What was said about these samples, for those who may read it; that they did is noted."""
    told = {
        row: text
        for row, text in samples.items()
        if text and rows.may_read_payload(request, row.environment_id)
    }
    audit.payload_read(request.user, *told)
    return told


def _delivery_cause(
    request: HttpRequest,
    group: dict[str, Any],
    sample: Delivery,
    places: list[Endpoint],
    said: dict[Any, str],
) -> Cause:
    explained = explanations.of_delivery(sample, rows.gate_of(sample), timezone.now())
    is_held = sample.state == DeliveryState.HELD
    verbs = GROUP_VERBS if may(request, Permission.OPERATE, sample) else ()
    return Cause(
        key=_key("held" if is_held else "retrying", group, OF_DELIVERIES),
        chip=looks.delivery_chip(sample, rows.gate_of(sample)),
        happened=explained.happened if explained else "It waits for its turn.",
        means=explained.means if explained else "",
        to_do=explained.to_do if explained else "",
        endpoints=[endpoint_mark(place) for place in places],
        sample=sample.message.number or sample.message.external_id or f"#{sample.pk}",
        sample_url=url_of(sample),
        said=said.get(sample, ""),
        environment=sample.environment,
        verbs=[(name, VERBS[name].label) for name in verbs],
        what=_of_tickets(display.count(group["number"], "delivery", "deliveries"), group["tickets"]),
        **{name: group[name] for name in ("number", "first", "last")},
    )


def _message_cause(
    request: HttpRequest, group: dict[str, Any], sample: Message, said: dict[Any, str]
) -> Cause:
    can_be_routed = sample.state != MessageState.QUARANTINED and may(request, Permission.OPERATE, sample)
    return Cause(
        key=_key("held", group, OF_MESSAGES),
        chip=looks.message_chip(sample),
        happened=f"{looks.MESSAGES[sample.state].meaning.rstrip('.')}: from {sample.endpoint.name}.",
        means="Nothing was sent because of it. Later messages of the same ticket go on.",
        to_do="Open one to see what is wrong with it; correct the cause, then route all again.",
        endpoints=[endpoint_mark(sample.endpoint)],
        sample=sample.number or sample.external_id or f"#{sample.pk}",
        sample_url=url_of(sample),
        said=said.get(sample, ""),
        environment=sample.environment,
        verbs=[(AGAIN, "Route again")] if can_be_routed else [],
        what=_of_tickets(display.count(group["number"], "message"), group["tickets"]),
        **{name: group[name] for name in ("number", "first", "last")},
    )


def _of_tickets(what: str, tickets: int) -> str:
    return f"{what} of {display.count(tickets, 'ticket')}" if tickets else what


def _key(kind: str, group: dict[str, Any], by: tuple[str, ...]) -> str:
    return "/".join([kind, *(str(group[name]) for name in by)])


def _of(by: tuple[str, ...], key: str) -> Q:
    """The condition behind a group's key; a key that is none fits nothing."""
    values = key.split("/")[1:]
    numbers = [value for name, value in zip(by, values, strict=False) if name.endswith("_id")]
    if len(values) != len(by) or not all(number.isdecimal() and len(number) < 19 for number in numbers):
        return Q(pk__in=[])
    return Q(**dict(zip(by, values, strict=True)))


def _plan(group: QuerySet[Any], verb: str) -> Plan:
    counted = list(group.order_by().values("endpoint_id").annotate(number=Count("pk")).order_by("-number"))
    number = sum(row["number"] for row in counted)
    tickets = group.order_by().aggregate(tickets=Count("conversation_id", distinct=True))["tickets"]
    endpoints = {row.endpoint_id: row.endpoint for row in _one_of_each(group)}
    is_routing = verb == AGAIN
    lines = [
        {
            "mark": endpoint_mark(endpoints[row["endpoint_id"]]),
            "name": f"{'from' if is_routing else 'to'} {endpoints[row['endpoint_id']].name}",
            "number": row["number"],
            "chip": "",
        }
        for row in counted
    ]
    if is_routing:
        title, button = f"Route {display.count(number, 'message')} again?", f"Route {number} again"
        return Plan(title, AGAIN_MEANS, button, True, number, lines)
    word = display.count(number, "delivery", "deliveries")
    title = f"{VERBS[verb].label} {word} of {display.count(tickets, 'ticket')}?"
    button = f"{VERBS[verb].label} {number}"
    return Plan(title, VERBS[verb].consequence, button, verb == "retry", number, lines)


def _one_of_each(group: QuerySet[Any]) -> QuerySet[Any]:
    return group.order_by("endpoint_id", "pk").distinct("endpoint_id").select_related("endpoint")


def _act(request: HttpRequest, group: QuerySet[Delivery], verb: str) -> int:
    done, found = 0, list(group)
    for start in range(0, len(found), AT_ONCE):
        chunk = found[start : start + AT_ONCE]
        done += VERBS[verb].do(chunk)
        note(request, chunk, VERBS[verb].label)
    return done


def _route(request: HttpRequest, group: QuerySet[Message]) -> int:
    found = list(group)
    note(request, found, "Route again")
    return route_again(found)


def _tell(request: HttpRequest, done: int, verb: str) -> None:
    if verb == AGAIN:
        sentence = f"{display.count(done, 'message')} will be routed again."
    else:
        sentence = f"{display.count(done, 'delivery', 'deliveries')} {VERBS[verb].done}."
    messages.add_message(request, messages.SUCCESS if done else messages.WARNING, sentence)


view = admin.site.admin_view(page)
plan_view = admin.site.admin_view(require_POST(plan))
