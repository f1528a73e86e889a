"""Turns claimed lanes into jobs: loads each head, marks it as under way and writes the attempt first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Case, F, When
from django.db.models.functions import Coalesce, Now

from conversations import queue
from conversations.files import FileRef
from conversations.models import (
    UNDER_WAY,
    UNFINISHED,
    Attachment,
    Attempt,
    Delivery,
    DeliveryContent,
    DeliveryState,
    HoldReason,
    MessageBody,
    Participant,
)
from conversations.participation import ticket_document
from conversations.queue import CRASHES_MEAN_HELD, LaneClaim
from conversations.sender import COMMENT, Job
from endpoints.adapters.base import Reference
from endpoints.canonical import decode_attributes
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from endpoints.models import Endpoint, InternalComments
from endpoints.outcomes import Failure, Result
from oneio.fields import EncryptedField
from oneio.identifiers import uuid7
from oneio.statements import bigints, every, execute, one, texts, uuids
from routing.compiled import RoutingRule
from routing.rules import Rules, version_of

_COLUMNS = """
    d.lane_id, d.id, d.state, d.organization_id, d.conversation_id, d.rule_id, d.rule_version_id,
    d.endpoint_id, d.entity_type_id, d.part, d.effect_key, COALESCE(d.first_tried_at, now()),
    m.endpoint_id, d.content_id, c.snapshot, c.overrides, b.id, b.canonical,
    c.emptied_at IS NOT NULL OR b.emptied_at IS NOT NULL
"""
_PAYLOADS = """
    JOIN conversations_deliverycontent c ON c.id = d.content_id
    JOIN conversations_message m ON m.id = d.message_id
    JOIN conversations_messagebody b ON b.id = m.response_id
"""
_HEAD = f"SELECT {_COLUMNS} FROM conversations_delivery d {_PAYLOADS} WHERE d.id = %s"
_HEADS = f"""
    SELECT {_COLUMNS} FROM unnest(%s::bigint[]) AS lane(id) CROSS JOIN LATERAL (
        SELECT * FROM conversations_delivery d
        WHERE d.lane_id = lane.id AND d.state IN {tuple(state.value for state in UNFINISHED)}
        ORDER BY d.id LIMIT 1
    ) d {_PAYLOADS} WHERE d.state NOT IN ('held', 'delayed')
"""
_PARTICIPANTS = """
    SELECT conversation_id, endpoint_id, id, organization_id, external_id, number, link, shadow
    FROM conversations_participant WHERE conversation_id = ANY(%s)
"""
# Those that are looked up are not sent: their state is told apart.
_BEGIN = """
    WITH sending AS (
        UPDATE conversations_delivery
        SET state = 'sending', state_since = now(), first_tried_at = COALESCE(first_tried_at, now())
        WHERE id = ANY(%s)
    )
    INSERT INTO conversations_attempt
        (id, organization_id, delivery_id, rule_version_id, purpose, token, result, failure, code)
    SELECT id, organization, delivery, version, purpose, token, '', '', ''
    FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
        AS attempt(id, organization, delivery, version, purpose, token)
"""
_SNAPSHOT: Any = DeliveryContent._meta.get_field("snapshot")
_OVERRIDES: Any = DeliveryContent._meta.get_field("overrides")
_CANONICAL: Any = MessageBody._meta.get_field("canonical")
_SHADOW: Any = Participant._meta.get_field("shadow")


class Head(NamedTuple):
    """A lane's lowest unfinished delivery, with what it takes to send it; payloads as they are stored."""

    lane_id: int
    id: int
    state: str
    organization_id: int
    conversation_id: UUID
    rule_id: int
    rule_version_id: int | None
    endpoint_id: int
    entity_type_id: int
    part: str
    effect_key: str
    since: datetime
    source_id: int
    content_id: UUID
    snapshot: bytes
    overrides: bytes | None
    body_id: UUID
    canonical: bytes | None
    emptied: bool


class Side(NamedTuple):
    """A conversation's ticket in one endpoint, its shadow as it is stored."""

    id: UUID
    organization_id: int
    external_id: str | None
    number: str
    link: str
    shadow: bytes

    def reference(self) -> Reference | None:
        """How its system names the ticket; None where there is none yet."""
        if self.external_id is None:
            return None
        return Reference(self.external_id, self.number, self.link)


def prepare(
    claims: Sequence[LaneClaim],
    endpoint: LoadedEndpoint,
    rules: Rules,
    configs: EndpointConfigs | None = None,
) -> list[Job]:
    """The jobs of freshly claimed lanes, in the claiming transaction; nothing is sent before it commits.

    `configs` tells where the files that some carry can be fetched."""
    heads = _heads(claims)
    _give_back([claim for claim in claims if claim.lane_id not in heads])
    workable = _without_unworkable(claims, heads, rules)
    _close_orphaned([head for _, head in workable])
    jobs = _with_files(_jobs(workable, endpoint, rules), configs or EndpointConfigs())
    _mark_under_way(jobs)
    return jobs


def rehearse(delivery: Delivery, endpoint: LoadedEndpoint, rules: Rules) -> Job | None:
    """The job that this delivery would be, without a claim; None where its rule cannot be run."""
    head = Head(*one(_HEAD, [delivery.pk]))
    if _rule_of(head, rules) is None:
        return None
    [job] = _jobs([(LaneClaim(head.lane_id, 0, endpoint.id, 0), head)], endpoint, rules)
    return job


def _heads(claims: Sequence[LaneClaim]) -> dict[int, Head]:
    """Lane id → its lowest unfinished delivery; without the lanes whose head rests, or that have none."""
    rows = every(_HEADS, [bigints(claim.lane_id for claim in claims)])
    return {row[0]: Head(*row) for row in rows}


def _give_back(claims: Sequence[LaneClaim]) -> None:
    if claims:
        queue.release([claim.lane_id for claim in claims])


def _without_unworkable(
    claims: Sequence[LaneClaim], heads: dict[int, Head], rules: Rules
) -> list[tuple[LaneClaim, Head]]:
    """Hold the heads with which workers died too often, and those whose rule cannot be run."""
    present = [(claim, heads[claim.lane_id]) for claim in claims if claim.lane_id in heads]
    held = {claim.lane_id: reason for claim, head in present if (reason := _unworkable(claim, head, rules))}
    _close_orphaned([heads[lane_id] for lane_id in held])
    for lane_id, reason in held.items():
        Delivery.objects.filter(pk=heads[lane_id].id).update(
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


def _unworkable(claim: LaneClaim, head: Head, rules: Rules) -> HoldReason | None:
    if claim.deaths >= CRASHES_MEAN_HELD:
        return HoldReason.CRASHED
    if head.emptied:
        return HoldReason.EXPIRED
    return None if _rule_of(head, rules) else HoldReason.MAPPING


def _rule_of(head: Head, rules: Rules) -> RoutingRule | None:
    """The rule's current version, or the one that a person chose."""
    if head.rule_version_id is None:
        return rules.by_id.get(head.rule_id)
    return version_of(head.rule_version_id)


def _close_orphaned(heads: Sequence[Head]) -> None:
    """A worker died or stood still with these: whether their requests arrived is unknown.

    Those that were being sent are looked up first; the unknown is never blindly repeated.
    """
    interrupted = [head.id for head in heads if head.state in UNDER_WAY]
    if interrupted:
        Attempt.objects.filter(delivery__in=interrupted, ended_at=None).update(
            ended_at=Now(), result=Result.UNKNOWN, failure=Failure.UNKNOWN, code="worker_died"
        )


def _jobs(workable: Sequence[tuple[LaneClaim, Head]], endpoint: LoadedEndpoint, rules: Rules) -> list[Job]:
    sides = _sides([head.conversation_id for _, head in workable])
    names = {pk: name for name, pk in endpoint.entity_ids.items()}
    secretive = _secretive([head for _, head in workable])
    jobs = [
        _job(claim, head, endpoint, names[head.entity_type_id], rules, sides[head.conversation_id])
        for claim, head in workable
    ]
    return [
        replace(job, keeps_internal=True) if head.source_id in secretive else job
        for job, (_, head) in zip(jobs, workable, strict=True)
    ]


def _with_files(jobs: list[Job], configs: EndpointConfigs) -> list[Job]:
    """The jobs; those that carry a file know it, and where it can be fetched."""
    keys = [job.snapshot["file"] for job in jobs if job.snapshot.get("file")]
    if not keys:
        return jobs
    files = {str(row.pk): file_of(row, configs) for row in Attachment.objects.filter(pk__in=keys)}
    return [replace(job, file=files.get(job.snapshot.get("file", ""))) for job in jobs]


def file_of(row: Attachment, configs: EndpointConfigs) -> FileRef:
    """A file as HTTP threads may know it."""
    return FileRef(
        id=row.pk,
        organization_id=row.organization_id,
        name=row.file_name,
        content_type=row.content_type,
        size=row.size,
        complete=row.complete,
        gone=row.emptied_at is not None,
        remote_id=row.remote_id,
        url=row.url or "",
        source=configs.get(row.endpoint_id),
    )


def _job(
    claim: LaneClaim,
    head: Head,
    endpoint: LoadedEndpoint,
    entity_name: str,
    rules: Rules,
    sides: dict[int, Side],
) -> Job:
    snapshot = _opened(_SNAPSHOT, head.snapshot, head.organization_id, head.content_id)
    target, source = sides[head.endpoint_id], _partner(head, snapshot, sides)
    entity, rule = endpoint.config.entity(entity_name), _rule_of(head, rules)
    overrides = _opened(_OVERRIDES, head.overrides, head.organization_id, head.content_id)
    assert entity is not None
    assert rule is not None
    return Job(
        claim=claim,
        delivery_id=head.id,
        conversation_id=head.conversation_id,
        attempt_id=uuid7(),
        look_up=head.state in UNDER_WAY,
        part=head.part,
        effect_key=head.effect_key,
        endpoint=endpoint,
        entity=entity,
        rule=rule,
        canonical=snapshot.get("message")
        or _opened(_CANONICAL, head.canonical, head.organization_id, head.body_id),
        snapshot=snapshot,
        target=target.reference(),
        shadow=_opened(_SHADOW, target.shadow, target.organization_id, target.id),
        partner=source.reference() if source else None,
        since=head.since,
        overrides=decode_attributes(overrides or {}),
        participants=_known(sides) if rule.asks_participants else {},
    )


def _known(sides: dict[int, Side]) -> dict[str, Any]:
    """The conversation's tickets by the short name of their endpoint; costs a query, so only if asked."""
    slugs = Endpoint.objects.filter(pk__in=sides).values_list("pk", "slug")
    return {slug: _ticket(sides[pk]) for pk, slug in slugs}


def _ticket(side: Side) -> dict[str, Any]:
    shadow = _opened(_SHADOW, side.shadow, side.organization_id, side.id)
    return ticket_document(side.external_id, side.number, side.link, shadow)


def _opened(field: EncryptedField, stored: bytes | None, organization_id: int, key: UUID) -> Any:
    return None if stored is None else field.open_at(stored, organization_id, key)


def _sides(conversation_ids: Sequence[UUID]) -> dict[UUID, dict[int, Side]]:
    """Conversation → endpoint id → its ticket there."""
    found: dict[UUID, dict[int, Side]] = {pk: {} for pk in conversation_ids}
    for conversation_id, endpoint_id, *side in every(_PARTICIPANTS, [uuids(found)]):
        found[conversation_id][endpoint_id] = Side(*side)
    return found


def _secretive(heads: Sequence[Head]) -> set[int]:
    """The endpoints that these comments come from and whose internal comments never leave them.

    Asked in the claiming transaction: what a person has switched on is in force from the next claim.
    """
    sources = {head.source_id for head in heads if head.part.startswith(COMMENT)}
    if not sources:
        return set()
    keeping = Endpoint.objects.filter(pk__in=sources, internal_comments=InternalComments.NEVER_LEAVE)
    return set(keeping.values_list("pk", flat=True))


def _partner(head: Head, snapshot: dict[str, Any], sides: dict[int, Side]) -> Side | None:
    """The ticket that this one is about to its reader: where the message came from, or, for a number
    written back, the ticket that was created because of it."""
    if head.source_id != head.endpoint_id:
        return sides.get(head.source_id)
    return sides.get(snapshot.get("partner_endpoint", 0))


def _mark_under_way(jobs: Sequence[Job]) -> None:
    if not jobs:
        return
    if look_ups := [job.delivery_id for job in jobs if job.look_up]:
        Delivery.objects.filter(pk__in=look_ups).update(
            state=DeliveryState.VERIFYING, in_doubt_since=Coalesce("in_doubt_since", Now())
        )
    execute(
        _BEGIN,
        [
            bigints(job.delivery_id for job in jobs if not job.look_up),
            uuids(job.attempt_id for job in jobs),
            bigints(job.endpoint.organization_id for job in jobs),
            bigints(job.delivery_id for job in jobs),
            bigints(job.rule.version_id for job in jobs),
            texts("verify" if job.look_up else "send" for job in jobs),
            bigints(job.claim.token for job in jobs),
        ],
    )
