"""Turns claimed lanes into jobs: loads each head, marks it as under way and writes the attempt first."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Case, F, Q, When
from django.db.models.functions import Coalesce, Now

from conversations import queue
from conversations.models import (
    UNDER_WAY,
    UNFINISHED,
    Attempt,
    Delivery,
    DeliveryState,
    HoldReason,
    Participant,
)
from conversations.queue import CRASHES_MEAN_HELD, LaneClaim
from conversations.sender import Job
from endpoints.adapters.base import Reference
from endpoints.canonical import decode_attributes
from endpoints.configs import LoadedEndpoint
from endpoints.outcomes import Failure, Result
from oneio.bulk import insert_rows
from routing.compiled import RoutingRule
from routing.rules import Rules, version_of


def prepare(claims: Sequence[LaneClaim], endpoint: LoadedEndpoint, rules: Rules) -> list[Job]:
    """The jobs of freshly claimed lanes, in the claiming transaction; nothing is sent before it commits."""
    heads = _heads(claims)
    _give_back([claim for claim in claims if claim.lane_id not in heads])
    workable = _without_unworkable(claims, heads, rules)
    _close_orphaned([delivery for _, delivery in workable])
    jobs = _jobs(workable, endpoint, rules)
    _mark_under_way(jobs)
    return jobs


def rehearse(delivery: Delivery, endpoint: LoadedEndpoint, rules: Rules) -> Job | None:
    """The job that this delivery would be, without a claim; None where its rule cannot be run."""
    if _rule_of(delivery, rules) is None:
        return None
    [job] = _jobs([(LaneClaim(delivery.lane_id, 0, endpoint.id, 0), delivery)], endpoint, rules)
    return job


def _heads(claims: Sequence[LaneClaim]) -> dict[int, Delivery]:
    """Lane id → its lowest unfinished delivery."""
    rows = Delivery.objects.filter(lane_id__in=[claim.lane_id for claim in claims], state__in=UNFINISHED)
    rows = rows.order_by("lane_id", "id").distinct("lane_id")
    found = {row.lane_id: row for row in rows.select_related("content", "message__body")}
    return {lane: row for lane, row in found.items() if row.state != DeliveryState.HELD}


def _give_back(claims: Sequence[LaneClaim]) -> None:
    if claims:
        queue.release([claim.lane_id for claim in claims])


def _without_unworkable(
    claims: Sequence[LaneClaim], heads: dict[int, Delivery], rules: Rules
) -> list[tuple[LaneClaim, Delivery]]:
    """Hold the heads with which workers died too often, and those whose rule cannot be run."""
    present = [(claim, heads[claim.lane_id]) for claim in claims if claim.lane_id in heads]
    held = {claim.lane_id: reason for claim, head in present if (reason := _unworkable(claim, head, rules))}
    _close_orphaned([heads[lane_id] for lane_id in held])
    for lane_id, reason in held.items():
        Delivery.objects.filter(pk=heads[lane_id].pk).update(
            state=DeliveryState.HELD,
            hold_reason=reason,
            state_since=Now(),
            # Whether it arrived stays open until somebody has looked.
            in_doubt_since=Case(
                When(state__in=UNDER_WAY, then=Coalesce("in_doubt_since", Now())), default=F("in_doubt_since")
            ),
        )
    _give_back([claim for claim, _ in present if claim.lane_id in held])
    return [(claim, head) for claim, head in present if claim.lane_id not in held]


def _unworkable(claim: LaneClaim, head: Delivery, rules: Rules) -> HoldReason | None:
    if claim.deaths >= CRASHES_MEAN_HELD:
        return HoldReason.CRASHED
    if head.message.body.emptied_at or head.content.emptied_at:
        return HoldReason.EXPIRED
    return None if _rule_of(head, rules) else HoldReason.MAPPING


def _rule_of(delivery: Delivery, rules: Rules) -> RoutingRule | None:
    """The rule's current version, or the one that a person chose."""
    if delivery.rule_version_id is None:
        return rules.by_id.get(delivery.rule_id)
    return version_of(delivery.rule_version_id)


def _close_orphaned(deliveries: Sequence[Delivery]) -> None:
    """A worker died or stood still with these: whether their requests arrived is unknown.

    Those that were being sent are looked up first; the unknown is never blindly repeated.
    """
    orphaned = [d for d in deliveries if d.state == DeliveryState.SENDING]
    looked_up = [d for d in deliveries if d.state == DeliveryState.VERIFYING]
    if not orphaned and not looked_up:
        return
    Attempt.objects.filter(delivery__in=[*orphaned, *looked_up], ended_at=None).update(
        ended_at=Now(), result=Result.UNKNOWN, failure=Failure.UNKNOWN, code="worker_died"
    )
    for delivery in orphaned:
        delivery.state = DeliveryState.VERIFYING


def _jobs(
    workable: Sequence[tuple[LaneClaim, Delivery]], endpoint: LoadedEndpoint, rules: Rules
) -> list[Job]:
    participants = _participants([delivery.conversation_id for _, delivery in workable])
    names = {pk: name for name, pk in endpoint.entity_ids.items()}
    now = queue.database_now()
    jobs = []
    for claim, delivery in workable:
        present = participants[delivery.conversation_id]
        target, source = present[delivery.endpoint_id], _partner(delivery, present)
        entity = endpoint.config.entity(names[delivery.entity_type_id])
        rule = _rule_of(delivery, rules)
        assert entity is not None
        assert rule is not None
        jobs.append(
            Job(
                claim=claim,
                delivery_id=delivery.pk,
                attempt_id=Attempt._meta.pk.get_default(),
                look_up=delivery.state == DeliveryState.VERIFYING,
                part=delivery.part,
                effect_key=delivery.effect_key,
                endpoint=endpoint,
                entity=entity,
                rule=rule,
                canonical=delivery.message.body.canonical,
                snapshot=delivery.content.snapshot,
                target=_reference(target),
                shadow=target.shadow,
                partner=_reference(source) if source else None,
                since=delivery.first_tried_at or now,
                overrides=decode_attributes(delivery.content.overrides or {}),
            )
        )
    return jobs


def _participants(conversation_ids: Sequence[UUID]) -> dict[UUID, dict[int, Participant]]:
    found: dict[UUID, dict[int, Participant]] = {pk: {} for pk in conversation_ids}
    for row in Participant.objects.filter(conversation_id__in=conversation_ids):
        found[row.conversation_id][row.endpoint_id] = row
    return found


def _partner(delivery: Delivery, present: dict[int, Participant]) -> Participant | None:
    """The ticket that this one is about to its reader: where the message came from, or, for a number
    written back, the ticket that was created because of it."""
    if delivery.message.endpoint_id != delivery.endpoint_id:
        return present.get(delivery.message.endpoint_id)
    return present.get(delivery.content.snapshot.get("partner_endpoint", 0))


def _reference(participant: Participant) -> Reference | None:
    if participant.external_id is None:
        return None
    return Reference(participant.external_id, participant.number, participant.link)


def _mark_under_way(jobs: Sequence[Job]) -> None:
    sends = Q(pk__in=[job.delivery_id for job in jobs if not job.look_up])
    look_ups = Q(pk__in=[job.delivery_id for job in jobs if job.look_up])
    Delivery.objects.filter(sends).update(
        state=DeliveryState.SENDING, state_since=Now(), first_tried_at=Coalesce("first_tried_at", Now())
    )
    Delivery.objects.filter(look_ups).update(
        state=DeliveryState.VERIFYING, in_doubt_since=Coalesce("in_doubt_since", Now())
    )
    attempts = [
        Attempt(
            id=job.attempt_id,
            organization_id=job.endpoint.organization_id,
            delivery_id=job.delivery_id,
            rule_version_id=job.rule.version_id,
            purpose="verify" if job.look_up else "send",
            token=job.claim.token,
        )
        for job in jobs
    ]
    insert_rows(attempts)
