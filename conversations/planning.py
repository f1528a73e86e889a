"""Turns routes into deliveries: each part of a message into the lane of its target, in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from conversations import queue
from conversations.deliveries import supersede
from conversations.effects import effect_key
from conversations.models import (
    UNFINISHED,
    Conversation,
    Delivery,
    DeliveryContent,
    DeliveryState,
    HoldReason,
    Message,
    Participant,
)
from conversations.sender import RECORD
from endpoints.canonical import comment_to_json, encode_attributes
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from endpoints.gates import raise_alert
from endpoints.models import AlertKind, Endpoint
from oneio.bulk import insert_rows
from oneio.statements import bigints, every
from routing.decision import Facts, Part, Route

LOOP_DELIVERIES = 20
LOOP_WITHIN = timedelta(minutes=5)
_RECENT = """
    SELECT lane_id, count(*) FROM conversations_delivery
    WHERE lane_id = ANY(%s) AND created_at > now() - %s GROUP BY lane_id
"""


class Host(Protocol):
    """Whoever can make a target take part in a conversation."""

    def invite(self, conversation: Conversation, endpoint: LoadedEndpoint, entity: str) -> Participant:
        """The target's participant, made where it is missing."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery to be made."""

    message: Message
    conversation: Conversation
    route: Route
    part: Part
    facts: Facts


class Plans:
    """The deliveries that a batch leads to."""

    def __init__(self, configs: EndpointConfigs) -> None:
        self.configs = configs
        self._planned: list[Planned] = []
        self._creating: dict[UUID, set[int]] = defaultdict(set)

    def add(self, message: Message, conversation: Conversation, route: Route, facts: Facts) -> None:
        """Plan every part of a route."""
        target = route.rule.target_endpoint_id
        assert target is not None
        self._creating[conversation.pk].add(target)
        self._planned += [Planned(message, conversation, route, part, facts) for part in route.parts]

    def tickets(self, conversation: Conversation, participants: Mapping[int, Participant]) -> frozenset[int]:
        """The endpoints where this conversation has a ticket, or where one is on its way."""
        there = {endpoint_id for endpoint_id, one in participants.items() if one.external_id is not None}
        pending = set(participants) - there
        if pending:
            there |= _creating(conversation, pending)
        return frozenset(there | self._creating[conversation.pk])

    def invite(self, host: Host) -> None:
        """Make every target take part in its conversation."""
        for planned in self._planned:
            host.invite(planned.conversation, self._target(planned), planned.route.rule.target_entity)

    def save(self) -> None:
        """Write the deliveries into their lanes and wake the lanes up; conversations are written by now."""
        if not self._planned:
            return
        lanes, known = queue.lanes_for(
            _tenant(planned.conversation, self._target(planned)) for planned in self._planned
        )
        recent = _recent(known)
        deliveries = [_delivery(planned, self._target(planned), lanes, recent) for planned in self._planned]
        insert_rows([delivery.content for delivery in deliveries])
        insert_rows(deliveries)
        if newest := self._replacing(deliveries):
            supersede(newest)
        queue.recompute(sorted(known))
        for endpoint_id in {row.endpoint_id for row in deliveries if row.hold_reason == HoldReason.LOOP}:
            _alert_loop(endpoint_id)

    def _replacing(self, deliveries: Sequence[Delivery]) -> dict[tuple[int, str], Collection[str]]:
        """The updates that may replace waiting ones, with the attributes that their messages tell."""
        return {
            (delivery.endpoint_id, delivery.effect_key): planned.facts.message.attributes
            for planned, delivery in zip(self._planned, deliveries, strict=True)
            if planned.route.rule.tells_the_whole_state and planned.part.name == RECORD
        }

    def _target(self, planned: Planned) -> LoadedEndpoint:
        rule = planned.route.rule
        assert rule.target_endpoint_id is not None
        return self.configs.with_entity(rule.target_endpoint_id, rule.target_entity)


def _creating(conversation: Conversation, endpoint_ids: Collection[int]) -> set[int]:
    rows = Delivery.objects.filter(
        conversation=conversation, endpoint_id__in=endpoint_ids, part="record", state__in=UNFINISHED
    )
    return set(rows.values_list("endpoint_id", flat=True))


def _tenant(conversation: Conversation, target: LoadedEndpoint) -> queue.Tenant:
    return queue.Tenant(conversation.pk, target.id, target.environment_id, target.organization_id)


def _recent(lane_ids: Collection[int]) -> Counter[int]:
    """How many deliveries each lane got within LOOP_WITHIN. More than LOOP_DELIVERIES: two rules answer each
    other."""
    if not lane_ids:
        return Counter()
    return Counter(dict(every(_RECENT, [bigints(lane_ids), LOOP_WITHIN])))


def _alert_loop(endpoint_id: int) -> None:
    endpoint = Endpoint.objects.get(pk=endpoint_id)
    raise_alert(
        endpoint,
        AlertKind.LOOP,
        f"A ticket was sent to {endpoint.name} more than {LOOP_DELIVERIES} times within five minutes. Two "
        "rules may answer each other. Compare the held deliveries, correct the rules, then retry or skip.",
    )


def _delivery(
    planned: Planned, target: LoadedEndpoint, lanes: Mapping[tuple[UUID, int], int], recent: Counter[int]
) -> Delivery:
    rule, message = planned.route.rule, planned.message
    lane_id = lanes[planned.conversation.pk, target.id]
    recent[lane_id] += 1
    loops = recent[lane_id] > LOOP_DELIVERIES
    tenant = {"organization_id": target.organization_id, "environment_id": target.environment_id}
    content = DeliveryContent(organization_id=target.organization_id, snapshot=_snapshot(planned))
    return Delivery(
        **tenant,
        message=message,
        conversation=planned.conversation,
        rule_id=rule.rule_id,
        endpoint_id=target.id,
        entity_type_id=target.entity_ids[rule.target_entity],
        lane_id=lane_id,
        content=content,
        part=planned.part.name,
        effect_key=effect_key(message.response_id, rule.rule_id, target.id, planned.part.name),
        state=DeliveryState.HELD if loops else DeliveryState.QUEUED,
        hold_reason=HoldReason.LOOP if loops else "",
    )


def _snapshot(planned: Planned) -> dict[str, Any]:
    """What the mapping needs at send time and what may not be worked out twice."""
    comment = planned.part.comment
    return {
        "variables": encode_attributes(planned.route.variables),
        "conversation": encode_attributes(planned.facts.variables),
        "changed": encode_attributes(planned.facts.changed),
        "comment": comment_to_json(comment) if comment else None,
        "received_at": planned.message.received_at.isoformat(),
    }
