"""What a finished try leads to: its attempt closed, its delivery moved, its target's shadow updated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Coalesce, Now

from conversations import queue
from conversations.deliveries import conflicts
from conversations.deliveries.delayed import wake
from conversations.effects import effect_key
from conversations.failure_groups import group_of
from conversations.models import (
    Attempt,
    Delivery,
    DeliveryContent,
    DeliveryState,
    HoldReason,
    Participant,
    Reason,
    RemoteItem,
)
from conversations.sender import WRITE_BACK, Done
from conversations.verdicts import Case, GateNote, Next, Verdict, after_fetch, after_send, after_verify
from endpoints import gates
from endpoints.adapters.base import Action, Capability
from endpoints.configs import EndpointConfigs
from endpoints.outcomes import Failure, Found, Outcome, Result
from oneio.bulk import Writes, fetch_rows, insert_rows, new_row
from oneio.statements import bigints, execute, one, uuids
from routing import changes

NUMBER_LENGTH = 255
LINK_LENGTH = 1000
_ATTEMPT_FIELDS = ["ended_at", "result", "failure", "status_code", "code", "request", "answer", "detail"]
_DELIVERY_FIELDS = [
    "state",
    "state_since",
    "due_at",
    "failure",
    "failure_group",
    "status_code",
    "hold_reason",
    "reason",
    "possible_duplicate",
    "in_doubt_since",
    "checks",
    "tries",
]
_LOCKED_SIDES = "WHERE conversation_id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_WAITING = """
    SELECT EXISTS (SELECT FROM conversations_message
                   WHERE endpoint_id = ANY(%s) AND state = 'received' AND wake_at > now()),
           EXISTS (SELECT FROM conversations_delivery
                   WHERE conversation_id = ANY(%s) AND state = 'delayed')
"""
_WAKE_POSTPONED = """
    UPDATE conversations_message SET wake_at = now()
    WHERE endpoint_id = ANY(%s) AND state = 'received' AND wake_at > now()
"""
Participants: TypeAlias = dict[tuple[UUID, int], Participant]
"""(conversation, endpoint) → participant."""


def finish(finished: Sequence[Done], configs: EndpointConfigs) -> None:
    """Record what came of jobs, in one transaction. What another worker has taken over is left alone."""
    with transaction.atomic():
        participants = _lock_participants(finished)
        back = _lanes_to_write_back(finished, configs)
        lanes = [*(done.job.claim.lane_id for done in finished), *back.values()]
        tokens, now = queue.lock_lanes_now(lanes)
        ours = [done for done in finished if tokens.get(done.job.claim.lane_id) == done.job.claim.token]
        ours.sort(key=lambda done: done.job.endpoint.id)  # gates are locked in this order
        if now is None:
            return  # what was sent has been deleted
        results = Results(ours, participants, back, now)
        results.record()
        queue.release([done.job.claim.lane_id for done in ours])
        queue.recompute(list(back.values()))
        _wake_what_waited(results)
    for done in ours:
        if _outcome(done).failure is Failure.AUTHENTICATION:
            configs.forget(done.job.endpoint.id)  # so that nothing more is sent with a rejected token


class Results:
    """Some finished jobs, their lanes and participants locked."""

    def __init__(
        self,
        finished: Sequence[Done],
        participants: Participants,
        back: dict[UUID, int],
        now: datetime,
    ) -> None:
        self.finished = finished
        self.participants = participants
        self.back = back
        self.notes: dict[tuple[object, ...], tuple[Done, Delivery, Verdict]] = {}
        self.now = now
        pks = bigints(done.job.delivery_id for done in finished)
        self.deliveries = {row.pk: row for row in fetch_rows(Delivery, "WHERE id = ANY(%s)", [pks])}
        self.problems: list[DeliveryContent] = []
        self.attempts: list[Attempt] = []

    def record(self) -> None:
        """Close the attempts, move the deliveries, remember what the targets have now."""
        touched, written_back = [], []
        for done in self.finished:
            delivery = self.deliveries[done.job.delivery_id]
            outcome = _outcome(done)
            verdict = self._verdict(done, delivery)
            self._end_attempt(done, outcome)
            self._apply(done, delivery, verdict, outcome)
            if self._learn(done, delivery, outcome):
                touched.append(self._participant(delivery))
            if self._created(done, outcome):
                written_back += self._write_back(delivery)
            self.notes[_note_key(done, delivery, verdict)] = (done, delivery, verdict)
        self._save(touched, written_back)
        for note in self.notes.values():
            _tell_gate(*note)

    def _verdict(self, done: Done, delivery: Delivery) -> Verdict:
        if done.nothing_to_do or done.kept_internal:
            return Verdict(Next.DELIVERED)
        if done.lease_over:
            return Verdict(Next.VERIFY if done.job.look_up else Next.RETRY, spend=False)
        case = self._case(done, delivery)
        if done.file_unavailable:
            assert done.outcome is not None
            return after_fetch(done.outcome, case, _jitter)
        if done.verification is not None:
            return after_verify(done.verification, case, _jitter)
        assert done.outcome is not None
        return after_send(done.outcome, case, _jitter)

    def _case(self, done: Done, delivery: Delivery) -> Case:
        endpoint = done.job.endpoint
        status = done.outcome.status if done.outcome else None
        return Case(
            now=self.now,
            tries=delivery.tries,
            checks=delivery.checks,
            first_tried_at=delivery.first_tried_at or self.now,
            in_doubt_since=delivery.in_doubt_since,
            repeatable=done.repeatable,
            settles_in=endpoint.adapter.verify_settles_in,
            resend_unknown=endpoint.unknown_policy == "resend",
            sent_again=delivery.possible_duplicate,
            unrecoverable=status is not None and status in endpoint.config.unrecoverable_codes,
        )

    def _end_attempt(self, done: Done, outcome: Outcome) -> None:
        attempt = new_row(Attempt, id=done.job.attempt_id, organization_id=done.job.endpoint.organization_id)
        self.attempts.append(attempt)
        attempt.ended_at = self.now
        attempt.result = outcome.result
        attempt.failure = outcome.failure or ""
        attempt.status_code = outcome.status
        attempt.code = outcome.code[:40]
        attempt.request = dict(outcome.request) or None
        attempt.answer = dict(outcome.answer) or None
        attempt.detail = outcome.detail or None

    def _apply(self, done: Done, delivery: Delivery, verdict: Verdict, outcome: Outcome) -> None:
        delivery.state = _state(done, verdict)
        delivery.state_since = self.now
        delivery.due_at = self.now + timedelta(seconds=verdict.delay)
        delivery.failure = "" if verdict.next is Next.DELIVERED else (outcome.failure or "")
        delivery.status_code = outcome.status
        delivery.hold_reason = _hold_reason(done, verdict)
        delivery.failure_group = _failure_group(delivery, outcome)
        delivery.reason = Reason.INTERNAL_COMMENT if done.kept_internal else ""
        delivery.possible_duplicate = delivery.possible_duplicate or verdict.possible_duplicate
        in_doubt = verdict.next is Next.VERIFY or (verdict.next is Next.HOLD and done.job.look_up)
        delivery.in_doubt_since = (delivery.in_doubt_since or self.now) if in_doubt else None
        delivery.checks = delivery.checks + 1 if in_doubt and done.job.look_up else 0
        delivery.tries += int(verdict.spend and done.verification is None)
        if verdict.next is Next.HOLD:
            content = DeliveryContent(id=delivery.content_id, organization_id=delivery.organization_id)
            content.problem = outcome.detail or None
            self.problems.append(content)

    def _learn(self, done: Done, delivery: Delivery, outcome: Outcome) -> bool:
        """Store what the target now has. True when its participant has changed."""
        if not (outcome.external_id or outcome.confirmed):
            return False
        participant = self._participant(delivery)
        if outcome.external_id and participant.external_id is None:
            participant.external_id = outcome.external_id
        participant.number = outcome.number[:NUMBER_LENGTH] or participant.number
        participant.link = outcome.link[:LINK_LENGTH] or participant.link
        written = outcome.written or (done.sent if outcome.confirmed and done.steps == 1 else {})
        shadow = changes.wrote(changes.from_json(participant.shadow), written)
        participant.shadow = changes.to_json(shadow)
        _remember(participant, outcome)
        return True

    def _participant(self, delivery: Delivery) -> Participant:
        return self.participants[delivery.conversation_id, delivery.endpoint_id]

    def _created(self, done: Done, outcome: Outcome) -> bool:
        return _made_a_ticket(done, outcome) and done.job.rule.write_back

    def _write_back(self, delivery: Delivery) -> list[Delivery]:
        """The delivery that writes the new ticket's number onto the ticket it came from."""
        source_id = delivery.message.endpoint_id
        lane_id = self.back.get(delivery.conversation_id)
        source = self.participants.get((delivery.conversation_id, source_id))
        if lane_id is None or source is None:
            return []
        snapshot: dict[str, Any] = {
            "variables": {},
            "conversation": {},
            "changed": {},
            "comment": None,
            "partner_endpoint": delivery.endpoint_id,
        }
        return [
            Delivery(
                organization_id=delivery.organization_id,
                environment_id=delivery.environment_id,
                message=delivery.message,
                conversation_id=delivery.conversation_id,
                rule_id=delivery.rule_id,
                endpoint_id=source_id,
                entity_type_id=source.entity_type_id,
                lane_id=lane_id,
                content=DeliveryContent(organization_id=delivery.organization_id, snapshot=snapshot),
                part=WRITE_BACK,
                anew=delivery.anew,
                effect_key=effect_key(
                    delivery.message.response_id, delivery.rule_id, source_id, WRITE_BACK, delivery.anew
                ),
            )
        ]

    def _save(self, touched: list[Participant], written_back: list[Delivery]) -> None:
        writes = Writes()
        writes.update(self.attempts, *_ATTEMPT_FIELDS)
        writes.update(list(self.deliveries.values()), *_DELIVERY_FIELDS)
        writes.update(self.problems, "problem")
        writes.update(
            list({row.pk: row for row in touched}.values()), "external_id", "number", "link", "shadow"
        )
        writes.send()
        conflicts.record(self.finished, self.deliveries)
        insert_rows([row.content for row in written_back])
        insert_rows(written_back, ignore_conflicts=True)


def give_up(done: Done, error: Exception) -> None:
    """Hold a delivery whose result cannot be recorded, so that its lane shows it and nothing else stops."""
    content = DeliveryContent.objects.get(delivery=done.job.delivery_id)
    content.problem = _why_unrecordable(error)
    with transaction.atomic():
        lane_id = done.job.claim.lane_id
        if queue.lock_lanes([lane_id]).get(lane_id) != done.job.claim.token:
            return
        Attempt.objects.filter(pk=done.job.attempt_id).update(
            ended_at=Now(), result=Result.UNKNOWN, failure=Failure.INTERNAL, code=type(error).__name__[:40]
        )
        Delivery.objects.filter(pk=done.job.delivery_id).update(
            state=DeliveryState.HELD,
            hold_reason=HoldReason.INTERNAL,
            failure=Failure.INTERNAL,
            failure_group=group_of(HoldReason.INTERNAL, Failure.INTERNAL, None, type(error).__name__, ""),
            state_since=Now(),
            in_doubt_since=Coalesce("in_doubt_since", Now()),
        )
        content.save(update_fields=["problem"])
        queue.release([lane_id])


def _why_unrecordable(error: Exception) -> str:
    if "ticket_in_one_conversation" in str(error):
        return (
            "The target answered with the id of a ticket that already belongs to another conversation. Look "
            "at that ticket in the target system; then skip this delivery, or correct the rule and retry."
        )
    return (
        f"What the target answered could not be recorded ({type(error).__name__}). Retry looks it up first."
    )


def _lock_participants(finished: Sequence[Done]) -> Participants:
    """All participants of the conversations at hand, locked in the order of their ids."""
    conversations = uuids({done.job.conversation_id for done in finished})
    rows = fetch_rows(Participant, _LOCKED_SIDES, [conversations])
    return {(row.conversation_id, row.endpoint_id): row for row in rows}


def _lanes_to_write_back(finished: Sequence[Done], configs: EndpointConfigs) -> dict[UUID, int]:
    """Conversation → lane of the source endpoint, for creates whose number its system wants."""
    created = [
        done.job.delivery_id
        for done in finished
        if done.job.rule.write_back and _made_a_ticket(done, _outcome(done))
    ]
    if not created:
        return {}
    rows = Delivery.objects.filter(pk__in=created).select_related("message")
    tenants = [
        queue.Tenant(row.conversation_id, row.message.endpoint_id, row.environment_id, row.organization_id)
        for row in rows
        if configs.get(row.message.endpoint_id).can(Capability.WRITE_BACK)
    ]
    # Made here and locked with all others in one go.
    lanes, _ = queue.make_lanes(tenants)
    return {conversation: lane for (conversation, _), lane in lanes.items()}


def _made_a_ticket(done: Done, outcome: Outcome) -> bool:
    """Whether the target has a ticket since this delivery: created now, or found after a create in doubt."""
    if done.action is Action.CREATE:
        return bool(outcome.external_id)
    return done.action is Action.UPDATE and done.job.look_up and outcome.confirmed


def _outcome(done: Done) -> Outcome:
    """The outcome to record: the request's own, or what a look-up says about an earlier one."""
    if done.outcome is not None:
        return done.outcome
    assert done.verification is not None
    if done.verification.outcome is not None:
        return done.verification.outcome
    if done.verification.found is Found.NO:
        return Outcome(Result.REJECTED, code="not_there")
    return Outcome(Result.UNKNOWN, Failure.UNKNOWN, code="cannot_be_asked")


def _state(done: Done, verdict: Verdict) -> DeliveryState:
    if done.kept_internal or (done.nothing_to_do and not done.job.look_up):
        return DeliveryState.SKIPPED
    if verdict.next is Next.DELIVERED and done.verification is not None and done.steps > 1:
        return DeliveryState.QUEUED  # the ticket is there; the steps after its creation are yet to be done
    return _STATES[verdict.next]


def _hold_reason(done: Done, verdict: Verdict) -> str:
    if verdict.next is not Next.HOLD:
        return ""
    if done.mapping_failed:
        return HoldReason.MAPPING
    return HoldReason.NO_TICKET if done.no_ticket else (verdict.hold_reason or HoldReason.REFUSED)


def _failure_group(delivery: Delivery, outcome: Outcome) -> str:
    """Failures with the same cause have the same key; what did not fail has none."""
    if not delivery.failure:
        return ""
    return group_of(delivery.hold_reason, delivery.failure, outcome.status, outcome.code, outcome.detail)


def _remember(participant: Participant, outcome: Outcome) -> None:
    items = [
        RemoteItem(
            organization_id=participant.organization_id,
            participant=participant,
            kind=item.kind,
            remote_id=item.remote_id,
        )
        for item in outcome.items
    ]
    insert_rows(items, ignore_conflicts=True)


def _note_key(done: Done, delivery: Delivery, verdict: Verdict) -> tuple[object, ...]:
    """Notes that a gate needs once for a batch have the same key; the others have one of their own."""
    if verdict.gate in {GateNote.SUCCESS, GateNote.ANSWER, GateNote.NOTHING}:
        return (done.job.endpoint.id, verdict.gate)
    return (done.job.endpoint.id, verdict.gate, delivery.pk)


def _tell_gate(done: Done, delivery: Delivery, verdict: Verdict) -> None:
    endpoint = done.job.endpoint
    match verdict.gate:
        case GateNote.SUCCESS:
            gates.note_success(endpoint.id)
        case GateNote.ANSWER:
            gates.note_answer(endpoint.id)
        case GateNote.FAILURE:
            gates.note_failure(endpoint.id)
        case GateNote.THROTTLE:
            gates.throttle(endpoint.id, verdict.delay)
        case GateNote.REFUSAL:
            gates.note_refusal(endpoint.id, delivery.conversation_id)
        case GateNote.CREDENTIALS if endpoint.adapter_needs_token:
            gates.reject_token(endpoint.id, endpoint.config.token)
        case GateNote.CREDENTIALS:
            gates.pause_for_credentials(endpoint.id)


def _wake_what_waited(results: Results) -> None:
    """Messages that waited for our own requests to end, and deliveries that waited for a ticket, are looked
    at now. Mostly there are none, which is asked for both at once."""
    endpoints = {done.job.endpoint.id for done in results.finished}
    confirmed = {row.conversation_id for row in results.deliveries.values() if row.state in _CONFIRMED}
    postponed, delayed = one(_WAITING, [bigints(endpoints), uuids(confirmed)])
    if postponed:
        execute(_WAKE_POSTPONED, [bigints(endpoints)])
    if delayed:
        wake(confirmed)


def _jitter(ceiling: float) -> float:
    return random.uniform(0, ceiling)  # noqa: S311 (spreads retries, guards nothing)


_CONFIRMED = (DeliveryState.DELIVERED, DeliveryState.SKIPPED)
_STATES = {
    Next.DELIVERED: DeliveryState.DELIVERED,
    Next.RETRY: DeliveryState.QUEUED,
    Next.VERIFY: DeliveryState.VERIFYING,
    Next.HOLD: DeliveryState.HELD,
}
