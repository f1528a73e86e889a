"""The message queue's question: the latest messages that fit a person's filters, in one bounded query.

The latest few of each source endpoint, or of each rule where something about what was sent is asked, are
read from an index in order and merged; so neither the length of the table nor a rare value makes it slow.
Owner and key are compared as one pair: the planner, which thinks that every owner has its even share of the
table, would else walk through all of it in search of an owner that has few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, JSONObject, Least
from django.db.models.lookups import GreaterThanOrEqual, LessThan

from conversations.models import (
    NEEDS_YOU,
    Delivery,
    DeliveryState,
    Message,
    MessageState,
    Participant,
    ReplacedTicket,
)
from endpoints.models import Endpoint
from oneio.identifiers import as_uuid, earliest
from routing.models import RoutingRule, RuleVersion

TICKETS_FOUND = 50
HIGHEST = 2**63 - 1
PARTS = 3
"""Deliveries that a message has by one rule: the record, a comment, the number written back; seldom more."""

NEEDS = "needs-you"
RETRYING = "retrying"
WAITING = "waiting"
DELIVERY_STATES: Mapping[str, Q] = {
    RETRYING: Q(state=DeliveryState.QUEUED, tries__gt=0),
    WAITING: Q(state=DeliveryState.QUEUED, tries=0),
    **{
        state.value: Q(state=state)
        for state in DeliveryState
        if state not in {DeliveryState.QUEUED, DeliveryState.HELD}
    },
}
ON_THEIR_WAY = frozenset({RETRYING, WAITING, DeliveryState.SENDING.value})
MESSAGE_STATES = frozenset(MessageState.values) - {state.value for state in NEEDS_YOU}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person filters by; what is empty does not narrow.

    `state` is one of NEEDS, DELIVERY_STATES and MESSAGE_STATES. `before` is the number of the last message
    of the page before.
    """

    term: str = ""
    state: str = ""
    environment: int | None = None
    source: int | None = None
    source_entity: str = ""
    rule: int | None = None
    use_case: str = ""
    target: int | None = None
    target_entity: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None

    @property
    def asks_about_deliveries(self) -> bool:
        """Whether something about what was sent is asked, so that rules lead to the messages."""
        sent = (self.rule, self.use_case, self.target, self.target_entity)
        return any(sent) or self.state in DELIVERY_STATES


@dataclass(frozen=True, slots=True)
class Visible:
    """What the person may see; came through the access door."""

    endpoints: QuerySet[Endpoint]
    rules: QuerySet[RoutingRule]


class Among(Func):
    """Whether a key is in an array. A join instead would read the table from its end."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY ("
    output_field = BooleanField()


def latest(visible: Visible, wanted: Wanted, number: int) -> QuerySet[Message]:
    """The latest `number` messages that fit, newest first, each with `sent`, `tickets` and
    `replaced` as JSON."""
    keys = _found(visible, wanted) if wanted.term else _merged(visible, wanted, number)
    rows = Message.objects.filter(Among(F("pk"), ArraySubquery(keys))).order_by("-pk")
    rows = rows.annotate(sent=_sent(), tickets=_tickets(), replaced=_replaced())
    found: QuerySet[Message] = rows[:number]
    return found


def _merged(visible: Visible, wanted: Wanted, number: int) -> QuerySet[Any]:
    """The keys of the latest messages of each source, or of each rule."""
    if wanted.state == NEEDS and not wanted.asks_about_deliveries:
        received = _by_source(visible, wanted, Q(state__in=NEEDS_YOU), number)
        held = _by_rule(visible, wanted, Q(state=DeliveryState.HELD), number)
        return received.union(held, all=True)
    if wanted.state in ON_THEIR_WAY:
        return _unfinished(visible, wanted, number)
    if wanted.asks_about_deliveries:
        return _by_rule(visible, wanted, _state_of_delivery(wanted), number)
    state = Q(state=wanted.state) if wanted.state else Q()
    return _by_source(visible, wanted, state, number)


def _by_source(visible: Visible, wanted: Wanted, state: Q, number: int) -> QuerySet[Any]:
    fitting = Message.objects.filter(_message(wanted), state, *_pairs("endpoint", "pk", wanted))
    of_each = fitting.order_by("-endpoint_id", "-pk").values("pk")
    return _each(_sources(visible, wanted), of_each[:number])


def _by_rule(visible: Visible, wanted: Wanted, state: Q, number: int) -> QuerySet[Any]:
    fitting = Delivery.objects.filter(_delivery(wanted), state, _message(wanted, "message__"))
    fitting = fitting.filter(*_pairs("rule", "message", wanted)).order_by("-rule_id", "-message_id")
    # A message has few deliveries by one rule; the same key twice does no harm.
    return _each(_rules(visible, wanted), fitting.values("message_id")[: number * PARTS])


def _unfinished(visible: Visible, wanted: Wanted, number: int) -> QuerySet[Any]:
    """Those of deliveries on their way, which have a small index of their own."""
    first, last = _range(wanted)
    rows = Delivery.objects.filter(_delivery(wanted), DELIVERY_STATES[wanted.state])
    rows = rows.filter(_message(wanted, "message__"), message__gte=first, message__lt=last)
    rows = rows.filter(rule__in=_rules(visible, wanted).order_by().values("pk"))
    keys: QuerySet[Any] = rows.order_by("-message_id").values("message_id")[: number * PARTS]
    return keys


def _each(owners: QuerySet[Any], latest_of_each: QuerySet[Any]) -> QuerySet[Any]:
    return owners.order_by().values_list(Func(ArraySubquery(latest_of_each), function="unnest"))


def _pairs(owner: str, key: str, wanted: Wanted) -> list[Any]:
    """Conditions: rows of the outer query's owner, their keys in the range that page and times allow."""
    pair = _pair(F(owner), F(key))
    first, last = _range(wanted)
    return [
        GreaterThanOrEqual(pair, _pair(OuterRef("pk"), first)),
        LessThan(pair, _pair(OuterRef("pk"), last)),
    ]


def _pair(owner: Any, key: Any) -> Func:
    return Func(owner, key, template="(%(expressions)s)", output_field=BigIntegerField())


def _sources(visible: Visible, wanted: Wanted) -> QuerySet[Endpoint]:
    rows = visible.endpoints.filter(pk=wanted.source) if wanted.source else visible.endpoints
    return rows.filter(environment=wanted.environment) if wanted.environment else rows


def _rules(visible: Visible, wanted: Wanted) -> QuerySet[RoutingRule]:
    """The rules that can have led to what is wanted."""
    versions = Q()
    if wanted.source:
        versions &= Q(source_endpoint=wanted.source)
    if wanted.target:
        versions &= Q(target_endpoint=wanted.target) | Q(source_endpoint=wanted.target, write_back=True)
    rows = visible.rules
    if versions:
        # Any version: what an earlier one sent is still to be found.
        rows = rows.filter(Exists(RuleVersion.objects.filter(versions, rule=OuterRef("pk"))))
    if wanted.environment:
        rows = rows.filter(environment=wanted.environment)
    if wanted.rule:
        rows = rows.filter(pk=wanted.rule)
    return rows.filter(use_case=wanted.use_case) if wanted.use_case else rows


def _delivery(wanted: Wanted) -> Q:
    fits = Q()
    if wanted.target:
        fits &= Q(endpoint=wanted.target)
    if wanted.target_entity:
        fits &= Q(entity_type__name=wanted.target_entity)
    return fits


def _message(wanted: Wanted, path: str = "") -> Q:
    fits = Q()
    if wanted.source:
        fits &= Q(**{f"{path}endpoint": wanted.source})
    if wanted.source_entity:
        fits &= Q(**{f"{path}entity_type": wanted.source_entity})
    return fits


def _range(wanted: Wanted) -> tuple[Any, Any]:
    """The lowest key, and the one above the highest, that page and times allow.

    The time of a message is that in its Response ID, by which there is an index. Messages that came within
    the same few milliseconds may have their keys in another order: a bound is as sharp as that.
    """
    by_time = Message.objects.order_by("body_id")
    first: Any = Value(0)
    last: Any = Value(wanted.before or HIGHEST)
    if wanted.since:
        after = by_time.filter(body_id__gte=earliest(wanted.since))
        first = Coalesce(Subquery(after.values("pk")[:1]), HIGHEST)
    if wanted.until:
        until = by_time.filter(body_id__lte=earliest(wanted.until)).reverse()
        last = Least(last, Coalesce(Subquery(until.values("pk")[:1]), 0) + 1)
    return first, last


def _found(visible: Visible, wanted: Wanted) -> QuerySet[Any]:
    """The keys of the messages about a ticket, by its number or id in any system, or by a Response ID."""
    own = Message.objects.filter(
        endpoint__in=_sources(visible, wanted).order_by().values("pk"),
        pk__in=_named(visible, wanted.term),
    )
    first, last = _range(wanted)
    own = own.filter(_message(wanted), pk__gte=first, pk__lt=last)
    if wanted.asks_about_deliveries or wanted.state == NEEDS:
        rules = _rules(visible, wanted).order_by().values("pk")
        sent = Delivery.objects.filter(_delivery(wanted), message=OuterRef("pk"), rule__in=rules)
        fits = Q(Exists(sent.filter(_state_of_delivery(wanted))))
        own = own.filter(fits if wanted.asks_about_deliveries else fits | Q(state__in=NEEDS_YOU))
    elif wanted.state:
        own = own.filter(state=wanted.state)
    keys: QuerySet[Any] = own.order_by().values("pk")
    return keys


def _state_of_delivery(wanted: Wanted) -> Q:
    if wanted.state == NEEDS:
        return Q(state=DeliveryState.HELD)
    if wanted.state in MESSAGE_STATES:
        return Q(message__state=wanted.state)
    return DELIVERY_STATES.get(wanted.state, Q())


def _named(visible: Visible, term: str) -> QuerySet[Any]:
    """Keys of messages that bear a number or id; each part of the union has an index of its own."""
    numbers, ids = {term, term.upper()}, {term, term.lower()}
    tickets = Participant.objects.filter(endpoint__in=visible.endpoints.order_by().values("pk"))
    named = tickets.filter(number__in=numbers).order_by().values("conversation_id")[:TICKETS_FOUND]
    known = tickets.filter(external_id__in=ids).order_by().values("conversation_id")[:TICKETS_FOUND]
    parts = [
        Message.objects.filter(number__in=numbers).exclude(number=""),
        Message.objects.filter(conversation__in=named),
        Message.objects.filter(conversation__in=known),
        Message.objects.filter(conversation=None, external_id__in=ids).exclude(external_id=""),
    ]
    if response_id := as_uuid(term):
        parts.append(Message.objects.filter(body_id=response_id))
    first, *others = (part.order_by().values("pk") for part in parts)
    keys: QuerySet[Any] = first.union(*others)
    return keys


def _sent() -> ArraySubquery:
    """What was sent because of a message, in order."""
    fields = ("id", "state", "hold_reason", "tries", "failure", "part")
    rows = Delivery.objects.filter(message=OuterRef("pk")).order_by("id")
    shown = JSONObject(
        **{name: name for name in fields},
        due_at="due_at",
        state_since="state_since",
        rule="rule_id",
        endpoint="endpoint_id",
    )
    return ArraySubquery(rows.values(shown=shown))


def _tickets() -> ArraySubquery:
    """The tickets of a message's conversation."""
    rows = Participant.objects.filter(conversation=OuterRef("conversation_id")).order_by("id")
    shown = JSONObject(endpoint="endpoint_id", number="number", external_id="external_id", link="link")
    return ArraySubquery(rows.values(shown=shown))


def _replaced() -> ArraySubquery:
    """The tickets that others took the place of, and from which delivery on."""
    rows = ReplacedTicket.objects.filter(conversation=OuterRef("conversation_id")).order_by("delivery_id")
    shown = JSONObject(
        endpoint="endpoint_id", number="number", external_id="external_id", delivery="delivery_id"
    )
    return ArraySubquery(rows.values(shown=shown))
