"""Replays for scripts: plan, read, run and cancel, on behalf of a person's account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from conversations import audit, feed
from conversations.models import (
    Message,
    MessageState,
    Replay,
    ReplayData,
    ReplayItem,
    ReplayRules,
    ReplayTickets,
)
from conversations.replay import lifecycle
from conversations.replay.assessment import Wishes
from conversations.replay.counting import lines_of
from conversations.replay.planning import plan_at_once
from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.models import Environment
from routing.api import ManagementView
from routing.models import RoutingRule

LATEST = 50
STATES = sorted({*feed.MESSAGE_STATES, *feed.DELIVERY_STATES, feed.NEEDS, MessageState.UNMATCHED})


class Filter(serializers.Serializer[Any]):
    """Which messages: those of an endpoint, of an entity type, taken by a rule, in a state, of a time."""

    endpoint = serializers.SlugField(required=False)
    entity = serializers.CharField(required=False, max_length=60)
    rule = serializers.SlugField(required=False)
    state = serializers.ChoiceField(STATES, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class Wanted(serializers.Serializer[Any]):
    """A replay to be planned: messages by their Response IDs, or a filter."""

    messages = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=lifecycle.AT_MOST
    )
    filter = Filter(required=False)
    rules = serializers.ChoiceField(ReplayRules.choices, default=ReplayRules.CURRENT)
    data = serializers.ChoiceField(ReplayData.choices, default=ReplayData.STORED)  # type: ignore[assignment]
    tickets = serializers.ChoiceField(ReplayTickets.choices, default=ReplayTickets.KEPT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One way to choose, not both and not none."""
        if ("messages" in attrs) is ("filter" in attrs):
            raise ValidationError("Give either messages (Response IDs) or filter.")
        return attrs


class Going(serializers.Serializer[Any]):
    """What is to be sent although the plan leaves it out."""

    create_anew = serializers.BooleanField(default=False)
    overwrite_newer = serializers.BooleanField(default=False)


class ReplayView(ManagementView):
    """What all of them share."""

    parser_classes = (JSONParser,)

    def found(self, request: Request, permission: Permission, pk: UUID, **named: str) -> Replay:
        """The replay in the address. Raises Http404."""
        environment = self.environment(request, permission, **named)
        replay = access.readable(request.user, Replay).filter(environment=environment, pk=pk).first()
        if replay is None:
            raise Http404
        return replay


class Replays(ReplayView):
    """The replays of an environment."""

    def get(self, request: Request, **named: str) -> Response:
        """The latest ones."""
        environment = self.environment(request, Permission.VIEW, **named)
        rows = access.readable(request.user, Replay).filter(environment=environment)[:LATEST]
        return Response({"replays": [_brief(row) for row in rows]})

    def post(self, request: Request, **named: str) -> Response:
        """Plan one. Nothing is sent."""
        environment = self.environment(request, Permission.OPERATE, **named)
        wanted = Wanted(data=request.data)
        wanted.is_valid(raise_exception=True)
        keys = _chosen(request.user, environment, wanted.validated_data)
        choice = lifecycle.Choice(*(wanted.validated_data[name] for name in ("rules", "data", "tickets")))
        try:
            replay = lifecycle.create(environment, keys, choice, request.user)
        except lifecycle.CannotReplay as reason:
            raise ValidationError(str(reason)) from None
        plan_at_once(replay)
        return Response(_whole(request.user, replay), status=201)


class OneReplay(ReplayView):
    """One replay: its state and what it leads to."""

    def get(self, request: Request, pk: UUID, **named: str) -> Response:
        """All of it; what would be written only for those who may read it."""
        return Response(_whole(request.user, self.found(request, Permission.VIEW, pk, **named)))


class RunReplay(ReplayView):
    """Lets a plan go."""

    def post(self, request: Request, pk: UUID, **named: str) -> Response:
        """Send what the plan says and what is wished for beside it."""
        replay = self.found(request, Permission.OPERATE, pk, **named)
        going = Going(data=request.data or {})
        going.is_valid(raise_exception=True)
        wishes = Wishes(**going.validated_data)
        return _changed(request, replay, lambda: lifecycle.start(replay, wishes, request.user))


class CancelReplay(ReplayView):
    """Stops a replay."""

    def post(self, request: Request, pk: UUID, **named: str) -> Response:
        """Stop what is not in the queue yet."""
        replay = self.found(request, Permission.OPERATE, pk, **named)
        return _changed(request, replay, lambda: lifecycle.cancel(replay, request.user))


def _changed(request: Request, replay: Replay, change: Any) -> Response:
    try:
        change()
    except lifecycle.CannotReplay as reason:
        return Response({"detail": str(reason)}, status=409)
    return Response(_whole(request.user, replay))


def _chosen(user: Any, environment: Environment, wanted: dict[str, Any]) -> list[int]:
    if "messages" in wanted:
        rows = access.readable(user, Message, Permission.OPERATE).filter(environment=environment)
        return list(rows.filter(body_id__in=wanted["messages"]).values_list("pk", flat=True))
    visible = feed.Visible(access.readable(user, Endpoint), access.readable(user, RoutingRule))
    narrowed = _wanted(visible, environment, wanted["filter"])
    # One more than may be: then it is said that there are too many, and nothing is cut off unseen.
    return [row.pk for row in feed.latest(visible, narrowed, lifecycle.AT_MOST + 1)]


def _wanted(visible: feed.Visible, environment: Environment, given: dict[str, Any]) -> feed.Wanted:
    return feed.Wanted(
        environment=environment.pk,
        source=_named(visible.endpoints, environment, given.get("endpoint"), "endpoint"),
        source_entity=given.get("entity", ""),
        rule=_named(visible.rules, environment, given.get("rule"), "rule"),
        state=given.get("state", ""),
        since=given.get("since"),
        until=given.get("until"),
    )


def _named(rows: Any, environment: Environment, slug: str | None, what: str) -> int | None:
    if slug is None:
        return None
    found = rows.filter(environment=environment, slug=slug).first()
    if found is None:
        raise ValidationError(f"No {what} of this environment is called “{slug}”.")
    return int(found.pk)


def _brief(replay: Replay) -> dict[str, Any]:
    return {
        "id": str(replay.pk),
        "state": replay.state,
        "rules": replay.rules,
        "data": replay.data,
        "tickets": replay.tickets,
        "create_anew": replay.create_anew,
        "overwrite_newer": replay.overwrite_newer,
        "created_at": replay.created_at,
        "planned_at": replay.planned_at,
        "started_at": replay.started_at,
        "ended_at": replay.ended_at,
    }


def _whole(user: Any, replay: Replay) -> dict[str, Any]:
    replay.refresh_from_db()
    readable = access.may(user, Permission.READ_PAYLOAD, replay.environment_id)
    if readable:
        audit.payload_read(user, replay)
    items = access.readable(user, ReplayItem).filter(replay=replay)
    shown = items.select_related("message", "rule", "rule_version", "endpoint", "delivery")
    names = dict(Endpoint._base_manager.filter(pk__in=items.values("endpoint")).values_list("pk", "slug"))
    return {
        **_brief(replay),
        "summary": [
            {**line._asdict(), "endpoint": names.get(line.endpoint_id or 0)} for line in lines_of(items)
        ],
        "items": [_item(item, readable) for item in shown.order_by("message_id", "place")],
    }


def _item(item: ReplayItem, readable: bool) -> dict[str, Any]:
    return {
        "message": str(item.message.body_id),
        "ticket": item.message.number or item.message.external_id,
        "rule": item.rule.slug if item.rule else None,
        "version": item.rule_version.number if item.rule_version else None,
        "target": item.endpoint.slug if item.endpoint else None,
        "part": item.part,
        "finding": item.finding,
        "overwrites_newer": item.overwrites,
        "replaces": item.replaces_number or item.replaces or None,
        "state": item.state,
        "delivery": item.delivery_id,
        "delivery_state": item.delivery.state if item.delivery else None,
        **({"contents": item.contents} if readable else {}),
    }
