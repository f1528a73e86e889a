"""Decides anew on delayed deliveries: by the rule of today, in order, when something may have ended a wait.

Whatever may end one makes the conversation's delayed deliveries due; whoever finds them due locks the
conversation, then its participants, then the lanes, and decides on all of them. A wake-up that comes
meanwhile waits for one of these locks and makes them due again afterwards.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from conversations import counters, filing, queue
from conversations.deliveries.delayed import call_off, hold_delayed, keep_delayed, let_go, write_delayed
from conversations.models import (
    UNFINISHED,
    Conversation,
    Delivery,
    DeliveryState,
    HoldReason,
    Lane,
    Participant,
    Reason,
)
from conversations.participation import Tickets, join, state_of
from conversations.planning import Planned, Plans, snapshot
from conversations.sender import RECORD
from endpoints.canonical import decode_attributes, encode_attributes, from_json
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from oneio.blame import place_of
from oneio.bulk import Writes, update_rows
from routing.decision import Decision, Facts, Route, decide
from routing.delays import Situation, Wait
from routing.mapping import MappingError
from routing.rules import RuleBook, Rules

log = logging.getLogger(__name__)
LOOKED_AT_AGAIN = timedelta(minutes=10)
"""Whatever a delivery waits for, it is looked at this often without being woken."""
AT_ONCE = 200


def release_due(book: RuleBook, configs: EndpointConfigs) -> int:
    """Decide anew on the delayed deliveries that are due. Returns how many conversations were looked at."""
    due = Delivery.objects.filter(state=DeliveryState.DELAYED, due_at__lte=Now()).order_by("due_at")
    conversations = list(dict.fromkeys(due.values_list("conversation_id", flat=True)[:AT_ONCE]))
    return sum(_look_at(conversation_id, book, configs) for conversation_id in conversations)


def _look_at(conversation_id: UUID, book: RuleBook, configs: EndpointConfigs) -> bool:
    """False where another worker is at this conversation: it is looked at in the next round."""
    try:
        with transaction.atomic():
            free = Conversation.objects.select_for_update(no_key=True, skip_locked=True)
            conversation = free.filter(pk=conversation_id).first()
            if conversation is None:
                return False
            Waiting(conversation, book.of(conversation.environment_id), configs).decide()
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 (one conversation must not stop the others)
        log.error("Delayed deliveries could not be decided on: %s", place_of(error))
        delayed = Delivery.objects.filter(conversation=conversation_id, state=DeliveryState.DELAYED)
        delayed.update(due_at=Now() + LOOKED_AT_AGAIN)
    return True


class Waiting:
    """The delayed deliveries of one conversation, which is locked; participants and lanes are locked here."""

    def __init__(self, conversation: Conversation, rules: Rules, configs: EndpointConfigs) -> None:
        self.conversation = conversation
        self.rules = rules
        self.configs = configs
        self.now = queue.database_now()
        self.plans = Plans(configs, self.now)
        tickets = Participant.objects.filter(conversation=conversation).select_for_update(no_key=True)
        self.participants = {row.endpoint_id: row for row in tickets.order_by("pk")}
        # All of them, in one go: what else is sent may be due to go where something has waited.
        lanes = Lane.objects.filter(conversation=conversation).values_list("pk", flat=True)
        self.lanes = list(queue.lock_lanes(lanes))
        delayed = Delivery.objects.filter(conversation=conversation, state=DeliveryState.DELAYED)
        self.deliveries = list(delayed.select_related("content", "message__body").order_by("id"))
        self.still: set[int] = set()

    def decide(self) -> None:
        """Decide on each message and rule in order; what waits keeps later ones for the same target back."""
        by_route = groupby(self.deliveries, lambda row: (row.message_id, row.rule_id))
        for (_, rule_id), rows in by_route:
            self._decide(list(rows), rule_id)
        write_delayed(self.deliveries)
        counters.keep({row.message_id: row.message for row in self.deliveries}.values())
        update_rows([self.conversation], "variables")
        self.plans.invite(self)
        writes = Writes()
        self.plans.save(writes)
        writes.send()
        queue.recompute(self.lanes)

    def invite(self, conversation: Conversation, endpoint: LoadedEndpoint, entity: str) -> Participant:
        """The participant at a target that a newer version of a rule names."""
        present = self.participants.get(endpoint.id)
        if present is None:
            present = self.participants[endpoint.id] = join(conversation, endpoint, entity)
        return present

    def _decide(self, rows: list[Delivery], rule_id: int) -> None:
        if rule_id not in self.rules.by_id:
            return self._hold(rows, "The rule cannot be run any more. Correct and publish it, then Retry.")
        if rows[0].message.body.emptied_at or rows[0].content.emptied_at:
            return self._hold(rows, "What it carried was deleted while it waited.", HoldReason.EXPIRED)
        facts = self._facts(rows)
        candidates = self.rules.routing.candidates(rows[0].message.endpoint_id, facts.message.entity_type)
        current = [rule for rule in candidates if rule.rule_id == rule_id]
        if not current:
            return call_off(rows, Reason.RULE_OFF, self.now)
        try:
            decision = decide(current, facts)
        except MappingError as problem:
            return self._hold(rows, str(problem))
        return self._follow(rows, facts, decision)

    def _follow(self, rows: list[Delivery], facts: Facts, decision: Decision) -> None:
        self.conversation.variables = encode_attributes(decision.variables)
        if not decision.routes:
            return call_off(rows, Reason.RULE_CHANGED, self.now)
        [route] = decision.routes
        if route.wait is not None and route.rule.target_endpoint_id == rows[0].endpoint_id:
            return self._keep(rows, route.wait)
        return self._release(rows, facts, route)

    def _facts(self, rows: list[Delivery]) -> Facts:
        delivery = rows[0]
        message, told = delivery.message, delivery.content.snapshot
        canonical = from_json(message.body.canonical)
        tickets = self._tickets(delivery)
        return Facts(
            message=canonical,
            changed=decode_attributes(told["changed"]),
            new_comments=tuple(one for one in canonical.comments if one.id in told["news"]),
            tickets=tickets,
            variables=decode_attributes(self.conversation.variables),
            received_at=message.received_at,
            participants=Tickets(self.participants, self.configs),
            state=state_of(self.conversation, tickets, message.received_at, is_new=told["is_new"]),
            files=filing.of_message(message),
            **self._earlier_files(rows),
            lookups={delivery.rule_id: decode_attributes(told.get("lookups", {}))},
            keeps_internal=self.configs.get(message.endpoint_id).keeps_internal,
            numbers=counters.numbers_for(message),
            situation=Situation(self.now, message.received_at, self._identified(), frozenset(self.still)),
        )

    def _earlier_files(self, rows: list[Delivery]) -> dict[str, Any]:
        """What the conversation kept of files before; those that wait here are still to go."""
        if not self.rules.carry_earlier_files:
            return {}
        ours = {(row.endpoint_id, row.part) for row in rows}
        return {
            "earlier_files": filing.earlier(self.conversation),
            "files_sent": filing.sent(self.conversation) - ours,
        }

    def _identified(self) -> frozenset[int]:
        known = (row.endpoint_id for row in self.participants.values() if row.external_id is not None)
        return frozenset(known)

    def _tickets(self, delivery: Delivery) -> frozenset[int]:
        """Where the conversation has a ticket, or gets one by what stands before this delivery."""
        before = Delivery.objects.filter(
            conversation=self.conversation, part=RECORD, state__in=UNFINISHED, pk__lt=delivery.pk
        ).exclude(state=DeliveryState.DELAYED)
        released = (
            row.endpoint_id
            for row in self.deliveries
            if row.part == RECORD and row.state == DeliveryState.QUEUED
        )
        return self._identified() | {*before.values_list("endpoint_id", flat=True), *released}

    def _release(self, rows: list[Delivery], facts: Facts, route: Route) -> None:
        """Queue what has waited, add what only the rule of today carries, call off what it does not. What a
        person skipped or called off meanwhile stays so."""
        target = route.rule.target_endpoint_id
        waited = {row.part: row for row in rows if row.endpoint_id == target}
        there = Delivery.objects.filter(message=rows[0].message_id, rule=rows[0].rule_id, endpoint=target)
        names = set(there.values_list("part", flat=True))
        added = tuple(part for part in route.parts if part.name not in names)
        for part in route.parts:
            if row := waited.pop(part.name, None):
                row.content.snapshot = snapshot(Planned(row.message, self.conversation, route, part, facts))
                let_go(row, self.now)
        call_off(waited.values(), Reason.RULE_CHANGED, self.now)
        call_off((row for row in rows if row.endpoint_id != target), Reason.RULE_CHANGED, self.now)
        if added:
            self.plans.add(rows[0].message, self.conversation, replace(route, parts=added), facts)

    def _keep(self, rows: list[Delivery], wait: Wait) -> None:
        self.still.add(rows[0].endpoint_id)
        keep_delayed(rows, wait.reason, wait.until or self.now + LOOKED_AT_AGAIN)

    def _hold(self, rows: list[Delivery], problem: str, why: HoldReason = HoldReason.MAPPING) -> None:
        self.still.add(rows[0].endpoint_id)
        hold_delayed(rows, why, problem, self.now)
