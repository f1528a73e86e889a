"""Turns routes into deliveries: each part of a message into the lane of its target, in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from oneio.bulk import Writes, new_row
from oneio.statements import bigints, every, texts
from routing.decision import FILE, Facts, Part, Route
from routing.delays import Situation

LOOP_DELIVERIES = 20
LOOP_WITHIN = timedelta(minutes=5)
_RECENT = """
    SELECT lane_id, count(*) FROM conversations_delivery
    WHERE lane_id = ANY(%s) AND created_at > now() - %s AND part NOT LIKE 'file:%%' GROUP BY lane_id
"""
_EFFECTS = """
    SELECT effect_key FROM conversations_delivery WHERE endpoint_id = ANY(%s) AND effect_key = ANY(%s)
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

    def __init__(self, configs: EndpointConfigs, now: datetime) -> None:
        self.configs = configs
        self.now = now
        self._planned: list[Planned] = []
        self._creating: dict[UUID, set[int]] = defaultdict(set)
        self._delayed: dict[UUID, set[int]] = defaultdict(set)

    def add(self, message: Message, conversation: Conversation, route: Route, facts: Facts) -> None:
        """Plan every part of a route."""
        target = route.rule.target_endpoint_id
        assert target is not None
        (self._delayed if route.wait else self._creating)[conversation.pk].add(target)
        self._planned += [Planned(message, conversation, route, part, facts) for part in route.parts]

    def tickets(self, conversation: Conversation, participants: Mapping[int, Participant]) -> frozenset[int]:
        """The endpoints where this conversation has a ticket, or where one is on its way."""
        there = {endpoint_id for endpoint_id, one in participants.items() if one.external_id is not None}
        pending = set(participants) - there
        if pending:
            there |= _creating(conversation, pending)
        return frozenset(there | self._creating[conversation.pk])

    def remember_delayed(self, conversations: Collection[UUID]) -> set[UUID]:
        """Take into account what waits in these conversations already. Returns those where something does."""
        rows = Delivery.objects.filter(conversation__in=conversations, state=DeliveryState.DELAYED)
        waiting = rows.values_list("conversation_id", "endpoint_id") if conversations else ()
        for conversation_id, endpoint_id in waiting:
            self._delayed[conversation_id].add(endpoint_id)
        return set(self._delayed)

    def situation(self, message: Message, participants: Mapping[int, Participant]) -> Situation:
        """What decides whether the message must wait."""
        assert message.conversation_id is not None
        known = (endpoint_id for endpoint_id, one in participants.items() if one.external_id is not None)
        waiting = frozenset(self._delayed[message.conversation_id])
        return Situation(self.now, message.received_at, frozenset(known), waiting)

    def invite(self, host: Host) -> None:
        """Make every target take part in its conversation."""
        for planned in self._planned:
            host.invite(planned.conversation, self._target(planned), planned.route.rule.target_entity)

    def save(self, writes: Writes) -> None:
        """Write the deliveries into their lanes and wake the lanes up; `writes` has the conversations, and in
        the end what is still to be sent."""
        self._planned = _without_files_sent_before(self._planned)
        if not self._planned:
            return
        lanes, known = queue.lanes_for(
            (_tenant(planned.conversation, self._target(planned)) for planned in self._planned), writes
        )
        recent = _recent(known)
        deliveries = [self._delivery(planned, lanes, recent) for planned in self._planned]
        writes.insert([delivery.content for delivery in deliveries])
        writes.insert(deliveries)
        newest = self._replacing(deliveries)
        delayed = {row.lane_id for row in deliveries if row.state == DeliveryState.DELAYED}
        if newest or known or delayed:
            writes.send()
        if newest:
            supersede(newest)
        queue.recompute(sorted(known | delayed))
        for endpoint_id in sorted(
            {row.endpoint_id for row in deliveries if row.hold_reason == HoldReason.LOOP}
        ):
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

    def _delivery(
        self, planned: Planned, lanes: Mapping[tuple[UUID, int], int], recent: Counter[int]
    ) -> Delivery:
        rule, message, target = planned.route.rule, planned.message, self._target(planned)
        lane_id = lanes[planned.conversation.pk, target.id]
        recent[lane_id] += planned.part.file is None  # many files of one ticket are no loop
        return new_row(
            Delivery,
            organization_id=target.organization_id,
            environment_id=target.environment_id,
            message=message,
            conversation=planned.conversation,
            rule_id=rule.rule_id,
            endpoint_id=target.id,
            entity_type_id=target.entity_ids[rule.target_entity],
            lane_id=lane_id,
            content=new_row(
                DeliveryContent, organization_id=target.organization_id, snapshot=snapshot(planned)
            ),
            part=planned.part.name,
            effect_key=key_of(planned),
            **_progress(planned, self.now, recent[lane_id] > LOOP_DELIVERIES),
        )


def _creating(conversation: Conversation, endpoint_ids: Collection[int]) -> set[int]:
    rows = Delivery.objects.filter(
        conversation=conversation, endpoint_id__in=endpoint_ids, part="record", state__in=UNFINISHED
    )
    return set(rows.values_list("endpoint_id", flat=True))


def _without_files_sent_before(planned: list[Planned]) -> list[Planned]:
    """A file goes to a target once by each rule, whichever message offers it again."""
    files = [one for one in planned if one.part.file]
    if not files:
        return planned
    targets = bigints({one.route.rule.target_endpoint_id or 0 for one in files})
    done = {row[0] for row in every(_EFFECTS, [targets, texts(map(key_of, files))])}
    fresh = []
    for one in planned:
        key = key_of(one) if one.part.file else ""
        if key not in done:
            fresh.append(one)
        done |= {key} - {""}
    return fresh


def key_of(planned: Planned, anew: int = 0) -> str:
    """The effect key: of a file, its own, whichever message offers it; of the rest, that of the message's
    part. `anew` counts explicit wishes to send it once more."""
    rule, part = planned.route.rule, planned.part
    assert rule.target_endpoint_id is not None
    if part.file:
        return effect_key(part.file.key, rule.rule_id, rule.target_endpoint_id, FILE, anew)
    return effect_key(planned.message.response_id, rule.rule_id, rule.target_endpoint_id, part.name, anew)


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


def _progress(planned: Planned, now: datetime, looping: bool) -> dict[str, Any]:
    """Where a new delivery stands. One that waits is looked at again when its time has come; if it waits
    for anything else at once, so that nothing that happens until this is committed is missed."""
    if wait := planned.route.wait:
        return {
            "state": DeliveryState.DELAYED,
            "reason": wait.reason,
            "hold_reason": "",
            "due_at": wait.until or now,
        }
    return {
        "state": DeliveryState.HELD if looping else DeliveryState.QUEUED,
        "reason": "",
        "hold_reason": HoldReason.LOOP if looping else "",
        "due_at": now,
    }


def snapshot(planned: Planned) -> dict[str, Any]:
    """What the mapping needs at send time and what may not be worked out twice."""
    comment = planned.part.comment
    return {
        "variables": encode_attributes(planned.route.variables),
        "conversation": encode_attributes(planned.facts.variables),
        "changed": encode_attributes(planned.facts.changed),
        "comment": comment_to_json(comment) if comment else None,
        "file": planned.part.file.key if planned.part.file else None,
        "received_at": planned.message.received_at.isoformat(),
        "news": [one.id for one in planned.facts.new_comments] if planned.route.wait else [],
        "is_new": planned.facts.state.get("is_new", False),
        "lookups": encode_attributes(planned.facts.lookups.get(planned.route.rule.rule_id, {})),
    }
