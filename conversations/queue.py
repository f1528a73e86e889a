"""The queue: claims lanes and inboxes, keeps leases, and wakes lanes up. The one module that talks SQL.

Safety stands on the locked row itself, because PostgreSQL checks only that again after waiting; all
times are the database's, so that no worker's clock matters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction

from conversations.models import UNFINISHED
from oneio.bulk import Writes
from oneio.statements import bigints, every, execute, one, uuids

# More would be cheaper for each, but the threads of requests that have come back stand idle meanwhile.
ROUTING_BATCH = 50
CRASHES_MEAN_HELD = 3
PROBE_PAUSED_EVERY_SECONDS = 300
# Nothing is sent in the last part of a lease: whoever takes over must find there what was sent before.
SENDING_SHARE = 0.75


@dataclass(slots=True)
class Lease:
    """Until when (seconds of time.monotonic) this process may send what a lane holds without asking again.

    It counts from before the database was asked, so that a process which stood still, or whose clock is
    wrong, never believes a lane to be its own for longer than the database does.
    """

    until: float = math.inf

    def holds(self) -> bool:
        """Whether a request may still go out."""
        return time.monotonic() < self.until

    def prolong(self, asked_at: float) -> None:
        """The database gave us the lane anew, having been asked at `asked_at`."""
        self.until = asked_at + settings.LEASE_SECONDS * SENDING_SHARE


@dataclass(frozen=True, slots=True)
class LaneClaim:
    """A lane in our hands until its lease ends. `deaths`: how often a worker died with it."""

    lane_id: int
    token: int
    endpoint_id: int
    deaths: int
    lease: Lease = field(default_factory=Lease, compare=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """One endpoint's turn: the lanes taken, none where its probe or its suspects leave nothing to take.
    `revision`: that of the rules in force in its environment."""

    endpoint_id: int
    lanes: tuple[LaneClaim, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class InboxClaim:
    """An endpoint's inbox in our hands. `solo`: route one message, because a router died with a batch."""

    endpoint_id: int
    token: int
    solo: bool


class LeaseLost(Exception):
    """Another worker has taken over: nothing of ours may be written any more."""


_BUSY = "SELECT count(*) FROM conversations_lane busy WHERE busy.lease_until > now() AND busy.endpoint_id ="
# Asked as the value of an endpoint's first lane: EXISTS may become a join, which reads them all where
# PostgreSQL believes that there are none.
_FIRST_DUE_LANE = """
    SELECT l.endpoint_id, l.due_at FROM conversations_lane l
    WHERE l.endpoint_id >= g.endpoint_id AND (l.endpoint_id, l.due_at) <= (g.endpoint_id, now())
      AND l.due_at IS NOT NULL
    ORDER BY l.endpoint_id, l.due_at LIMIT 1
"""
_ELAPSED = "extract(epoch FROM GREATEST(now() - g.tokens_at, interval '0'))::float"
# Organizations take turns, then each one's endpoints: both tables have a row per endpoint and are short.
# An endpoint whose rate leaves nothing to take gets no turn: a turn is written down, and pumps look often.
# Who waits for the gate has begun before the one that had it: time never goes back for a bucket.
_NEXT_GATE = f"""
    SELECT g.endpoint_id, e.max_in_flight, g.circuit <> 'closed' OR g.paused_at IS NOT NULL,
           e.max_per_second, g.tokens, {_ELAPSED},
           COALESCE((SELECT number FROM routing_revision r WHERE r.environment_id = e.environment_id), 0),
           first.due_at
    FROM endpoints_endpointgate g JOIN endpoints_endpoint e ON e.id = g.endpoint_id
    CROSS JOIN LATERAL ({_FIRST_DUE_LANE}) first
    JOIN (SELECT organization_id, max(served_at) AS served_at FROM endpoints_endpointgate GROUP BY 1) turn
      ON turn.organization_id = g.organization_id
    WHERE e.status = 'active'
      AND (g.paused_at IS NULL OR g.pause_reason = 'credentials'
           AND g.served_at < now() - make_interval(secs => {PROBE_PAUSED_EVERY_SECONDS}))
      AND (g.closed_until IS NULL OR g.closed_until <= now())
      AND (g.token_refresh_until IS NULL OR g.token_refresh_until <= now())
      AND (g.circuit <> 'half_open' OR NOT EXISTS (
           SELECT FROM conversations_lane p WHERE p.id = g.probe_lane AND p.lease_until > now()))
      AND (COALESCE(e.max_per_second, 0) = 0 OR g.circuit <> 'closed' OR g.paused_at IS NOT NULL
           OR g.tokens + {_ELAPSED} * e.max_per_second >= 1)
      AND first.endpoint_id = g.endpoint_id
      AND e.max_in_flight > ({_BUSY} e.id)
      AND NOT (e.id = ANY(%s))
    ORDER BY turn.served_at, g.served_at LIMIT 1 FOR NO KEY UPDATE OF g SKIP LOCKED
"""
# One endpoint's lanes, from the first that the look at its gate found: before it lie only remains of rows, by
# the ten thousand where an old snapshot keeps them. Said so that only lane_due has them in this order (as
# above): by `endpoint_id =` alone PostgreSQL also takes lane_next_due, and reads all that waits for others.
# What is in flight is counted anew: whoever had the gate a moment ago may have taken lanes that the look at
# it did not see yet.
_CLAIM_LANES = f"""
    WITH due AS (
        SELECT id, lease_until IS NOT NULL AS died FROM conversations_lane
        WHERE (endpoint_id, due_at) >= (%s, %s) AND (endpoint_id, due_at) <= (%s, now()) AND due_at <= now()
          AND (lease_until IS NULL OR lease_until <= now()) AND (deaths = 0 OR %s)
        ORDER BY endpoint_id, due_at LIMIT GREATEST(0, LEAST(%s, %s - ({_BUSY} %s)))
        FOR NO KEY UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE conversations_lane l
        SET lease_until = now() + make_interval(secs => %s), due_at = now() + make_interval(secs => %s),
            token = l.token + 1, deaths = l.deaths + due.died::int
        FROM due WHERE due.id = l.id
        RETURNING l.id, l.token, l.endpoint_id, l.deaths
    ), probe AS (
        SELECT CASE WHEN %s THEN (SELECT id FROM taken LIMIT 1) END AS lane
    ), served AS (
        UPDATE endpoints_endpointgate g
        SET served_at = clock_timestamp(),
            circuit = CASE WHEN probe.lane IS NOT NULL AND circuit = 'open' THEN 'half_open' ELSE circuit END,
            probe_lane = COALESCE(probe.lane, probe_lane),
            tokens = GREATEST(COALESCE(known.tokens - (SELECT count(*) FROM taken), g.tokens), 0),
            tokens_at = CASE WHEN known.tokens IS NULL THEN tokens_at ELSE GREATEST(tokens_at, now()) END
        FROM probe, (SELECT %s::float AS tokens) known WHERE g.endpoint_id = %s
    )
    SELECT * FROM taken
"""
_PROBE_IS_OUT = """
    SELECT EXISTS (
        SELECT FROM endpoints_endpointgate g JOIN conversations_lane p ON p.id = g.probe_lane
        WHERE g.endpoint_id = %s AND g.circuit = 'half_open' AND p.lease_until > now()
    )
"""
# A lane's due time: the end of its lease, or what its lowest unfinished delivery says.
_RECOMPUTE = f"""
    UPDATE conversations_lane l
    SET due_at = CASE WHEN %s THEN head.due_at ELSE COALESCE(l.lease_until, head.due_at) END,
        lease_until = CASE WHEN NOT %s THEN l.lease_until END,
        deaths = CASE WHEN %s THEN 0 ELSE l.deaths END
    FROM (
        SELECT lane.id, (
            SELECT CASE WHEN d.state IN ('held', 'delayed') THEN NULL ELSE d.due_at END
            FROM conversations_delivery d
            WHERE d.lane_id = lane.id AND d.state IN {tuple(state.value for state in UNFINISHED)}
            ORDER BY d.id LIMIT 1
        ) AS due_at
        FROM conversations_lane lane WHERE lane.id = ANY(%s)
    ) head
    WHERE head.id = l.id
"""
_RENEW = """
    WITH mine AS (
        SELECT l.id FROM conversations_lane l JOIN unnest(%s::bigint[], %s::bigint[]) AS claimed(id, token)
          ON l.id = claimed.id AND l.token = claimed.token
        WHERE l.lease_until > now() ORDER BY l.id FOR NO KEY UPDATE OF l
    )
    UPDATE conversations_lane l
    SET lease_until = now() + make_interval(secs => %s), due_at = now() + make_interval(secs => %s)
    FROM mine WHERE l.id = mine.id
    RETURNING l.id
"""
_LOCK_LANES = """
    SELECT id, token, now() FROM conversations_lane WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""
# A claim that is lost in a crash of the database costs nothing: it does not wait for the disk.
_CLAIM_INBOX = """
    WITH unsynchronised AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'off', true) AS setting
    ), next AS (
        SELECT i.endpoint_id, i.lease_until IS NOT NULL AS died FROM endpoints_inbox i
        JOIN (SELECT organization_id, max(served_at) AS served_at FROM endpoints_inbox GROUP BY 1) turn
          ON turn.organization_id = i.organization_id
        WHERE (i.lease_until IS NULL OR i.lease_until <= now())
          AND EXISTS (
              SELECT FROM conversations_message m
              WHERE m.endpoint_id = i.endpoint_id AND m.state = 'received'
                AND (m.wake_at IS NULL OR m.wake_at <= now())
          )
        ORDER BY turn.served_at, i.served_at LIMIT 1 FOR NO KEY UPDATE OF i SKIP LOCKED
    )
    UPDATE endpoints_inbox i
    SET lease_until = now() + make_interval(secs => %s), token = i.token + 1, served_at = now(),
        solo_through = CASE WHEN next.died THEN GREATEST(i.solo_through, (
            SELECT max(id) FROM (
                SELECT id FROM conversations_message m
                WHERE m.endpoint_id = i.endpoint_id AND m.state = 'received' ORDER BY id LIMIT %s
            ) batch)) ELSE i.solo_through END
    FROM next, unsynchronised WHERE next.endpoint_id = i.endpoint_id AND unsynchronised.setting IS NOT NULL
    RETURNING i.endpoint_id, i.token, i.solo_through IS NOT NULL
"""
_LOCK_INBOX = """
    SELECT now(),
           COALESCE((SELECT r.number FROM routing_revision r JOIN endpoints_endpoint e
                       ON e.environment_id = r.environment_id WHERE e.id = i.endpoint_id), 0),
           set_config('synchronous_commit',
                      CASE WHEN %s THEN current_setting('synchronous_commit') ELSE 'off' END, true)
    FROM endpoints_inbox i WHERE endpoint_id = %s AND token = %s FOR NO KEY UPDATE
"""
_RELEASE_INBOX = """
    UPDATE endpoints_inbox i
    SET lease_until = NULL,
        solo_through = CASE WHEN %s THEN (
            SELECT max(id) FROM conversations_message m
            WHERE m.endpoint_id = i.endpoint_id AND m.state = 'received'
        ) WHEN EXISTS (
            SELECT FROM conversations_message m
            WHERE m.endpoint_id = i.endpoint_id AND m.state = 'received' AND m.id <= i.solo_through
        ) THEN i.solo_through END
    WHERE i.endpoint_id = %s AND i.token = %s RETURNING i.endpoint_id
"""
# Only under the inbox's lock: a router that does not see an earlier message yet must not route later ones.
_WAKE_MESSAGES = """
    WITH inbox AS MATERIALIZED (
        SELECT endpoint_id FROM endpoints_inbox WHERE endpoint_id = %s FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE conversations_message m SET wake_at = now() FROM inbox
    WHERE m.endpoint_id = inbox.endpoint_id AND m.id = ANY(%s) AND m.state = 'received' AND m.wake_at > now()
"""
_MISSING_LANES = """
    INSERT INTO conversations_lane
        (conversation_id, endpoint_id, environment_id, organization_id, token, deaths, due_at)
    SELECT c, e, env, org, 0, 0, now() FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[])
        AS wanted(c, e, env, org)
    ON CONFLICT (conversation_id, endpoint_id) DO NOTHING
    RETURNING id, conversation_id, endpoint_id
"""
_FIND_LANES = """
    SELECT l.id, l.conversation_id, l.endpoint_id FROM conversations_lane l
    JOIN (SELECT DISTINCT * FROM unnest(%s::uuid[], %s::bigint[])) AS wanted(c, e)
      ON l.conversation_id = wanted.c AND l.endpoint_id = wanted.e
"""
_OUTLOOK = f"""
    SELECT EXISTS (SELECT FROM conversations_lane WHERE due_at <= now())
             AND (%s OR EXISTS (SELECT FROM endpoints_endpointgate g
                                CROSS JOIN LATERAL ({_FIRST_DUE_LANE}) first
                                WHERE NOT (g.endpoint_id = ANY(%s)) AND first.endpoint_id = g.endpoint_id)),
           EXISTS (SELECT FROM conversations_message
                   WHERE state = 'received' AND (wake_at IS NULL OR wake_at <= now())),
           extract(epoch FROM LEAST(
               (SELECT min(due_at) FROM conversations_lane WHERE due_at > now()),
               (SELECT min(wake_at) FROM conversations_message WHERE state = 'received' AND wake_at > now())
           ) - now())::float
"""
_LOST_LANES = f"""
    SELECT l.id FROM conversations_lane l
    WHERE l.due_at IS NULL AND EXISTS (
        SELECT FROM conversations_delivery d
        WHERE d.lane_id = l.id AND d.state IN ('queued', 'sending', 'verifying')
    ) AND (
        SELECT d.state FROM conversations_delivery d
        WHERE d.lane_id = l.id AND d.state IN {tuple(state.value for state in UNFINISHED)}
        ORDER BY d.id LIMIT 1
    ) NOT IN ('held', 'delayed')
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Where a lane belongs: its conversation and endpoint, and their environment and organization."""

    conversation_id: UUID
    endpoint_id: int
    environment_id: int
    organization_id: int


@contextmanager
def unsynchronised() -> Any:
    """A transaction whose loss in a crash of the database costs nothing: no wait for the disk."""
    with transaction.atomic():
        execute("SET LOCAL synchronous_commit = off")
        yield


def claim_lanes(
    limit: int,
    *,
    suspects: bool,
    without: Sequence[int] = (),
    share: Callable[[int], int] | None = None,
) -> Turn | None:
    """Take up to `limit` due lanes of the endpoint that was served least recently, of the organization that
    was; in the caller's transaction. `suspects`: also lanes with which a worker died before. `without`:
    endpoint ids to leave. `share`: endpoint id → for how many more of its lanes the caller has room.
    None when no endpoint has due work and an open gate."""
    asked_at = time.monotonic()
    gate = one(_NEXT_GATE, [bigints(without)])
    if gate is None:
        return None
    endpoint_id, in_flight, probing, rate, tokens, elapsed, revision, first = gate
    tokens = min(max(rate, 1.0), tokens + elapsed * rate) if rate else None
    if probing:
        take = 0 if one(_PROBE_IS_OUT, [endpoint_id])[0] else 1
    else:
        take = min(limit, share(endpoint_id) if share else limit, limit if tokens is None else int(tokens))
    lease = settings.LEASE_SECONDS
    due = [endpoint_id, first, endpoint_id, suspects, take, in_flight, endpoint_id]
    rows = every(_CLAIM_LANES, [*due, lease, lease, probing, tokens, endpoint_id])
    claims = tuple(LaneClaim(*row) for row in rows)
    for claim in claims:
        claim.lease.prolong(asked_at)
    return Turn(endpoint_id, claims, revision)


def suspects_are_due() -> bool:
    """Whether lanes wait with which a worker died before: they are claimed only by a worker that is idle."""
    row = one("SELECT EXISTS (SELECT FROM conversations_lane WHERE due_at <= now() AND deaths > 0)")
    return bool(row and row[0])


def renew(claims: Iterable[tuple[int, int]]) -> set[int]:
    """Prolong the leases of (lane id, token) pairs. Returns the lanes that are still ours."""
    pairs = list(claims)
    if not pairs:
        return set()
    lease = settings.LEASE_SECONDS
    lanes, tokens = bigints(lane for lane, _ in pairs), bigints(token for _, token in pairs)
    rows = every(_RENEW, [lanes, tokens, lease, lease])
    return {row[0] for row in rows}


def lock_lanes(lane_ids: Iterable[int]) -> dict[int, int]:
    """Lock lanes in the order of their ids; lane id → current token."""
    return lock_lanes_now(lane_ids)[0]


def lock_lanes_now(lane_ids: Iterable[int]) -> tuple[dict[int, int], datetime | None]:
    """The same with the database's time; None where there is no such lane."""
    rows = every(_LOCK_LANES, [bigints(sorted(lane_ids))])
    return {lane: token for lane, token, _ in rows}, rows[0][2] if rows else None


def lanes_for(
    tenants: Iterable[Tenant], writes: Writes | None = None
) -> tuple[dict[tuple[UUID, int], int], set[int]]:
    """The locked lanes of these (conversation, endpoint) pairs, made where missing; and which were there
    before: those are to be recomputed, while a new one is due with the first delivery put into it. What
    `writes` holds is written with them: the conversations may be new."""
    lanes, fresh = make_lanes(tenants, writes)
    known = set(lanes.values()) - fresh
    if known:
        lock_lanes(known)
    return lanes, known


def make_lanes(
    tenants: Iterable[Tenant], writes: Writes | None = None
) -> tuple[dict[tuple[UUID, int], int], set[int]]:
    """The lanes of these (conversation, endpoint) pairs, made where missing, not locked; and which of them
    were made: those nobody else can see yet. They are due at once. `writes` as in `lanes_for`."""
    wanted, writes = list(dict.fromkeys(tenants)), writes or Writes()
    if not wanted:
        return {}, set()
    conversations = uuids(tenant.conversation_id for tenant in wanted)
    endpoints = bigints(tenant.endpoint_id for tenant in wanted)
    environments = bigints(tenant.environment_id for tenant in wanted)
    organizations = bigints(tenant.organization_id for tenant in wanted)
    made = writes.send_with(_MISSING_LANES, [conversations, endpoints, environments, organizations])
    rows = made if len(made) == len(wanted) else every(_FIND_LANES, [conversations, endpoints])
    lanes = {(conversation, endpoint): lane for lane, conversation, endpoint in rows}
    return lanes, {row[0] for row in made}


def release(lane_ids: Sequence[int]) -> None:
    """Give back lanes whose work is recorded, and set when they are due next. Lock them first."""
    if lane_ids:
        execute(_RECOMPUTE, [True, True, True, bigints(lane_ids)])


def recompute(lane_ids: Sequence[int]) -> None:
    """Set when these lanes are due next, from their heads. Lock them first; all who change a delivery do."""
    if lane_ids:
        execute(_RECOMPUTE, [False, False, False, bigints(lane_ids)])


def claim_inbox() -> InboxClaim | None:
    """Take the waiting inbox served least recently, of the organization that was; outside a transaction, so
    that it is committed before anything is routed."""
    row = one(_CLAIM_INBOX, [settings.LEASE_SECONDS, ROUTING_BATCH])
    return InboxClaim(*row) if row else None


def release_inbox(claim: InboxClaim, writes: Writes | None = None, *, solo: bool = False) -> None:
    """Give an inbox back; in the transaction that routes, with what `writes` holds. `solo`: what waits is to
    be routed one by one. Raises LeaseLost if it is another's by now."""
    writes = writes or Writes()
    if claim.solo:
        writes.send()  # whether one by one is over depends on which messages wait then
    if not writes.send_with(_RELEASE_INBOX, [solo, claim.endpoint_id, claim.token]):
        raise LeaseLost


def lock_inbox(claim: InboxClaim, *, waits_for_disk: bool = True) -> tuple[datetime, int]:
    """Lock a claimed inbox for the rest of the transaction, which may be told to commit without waiting for
    the disk. Raises LeaseLost if it is another's by now. Returns the database's time, and the revision of the
    rules in force in the inbox's environment."""
    row = one(_LOCK_INBOX, [waits_for_disk, claim.endpoint_id, claim.token])
    if row is None:
        raise LeaseLost
    return row[0], row[1]


def wake_messages(endpoint_id: int, ids: Sequence[int]) -> None:
    """Let set-aside messages of an endpoint be looked at now. While it is being routed that is left to
    their own time."""
    execute(_WAKE_MESSAGES, [endpoint_id, bigints(ids)])


class Outlook(NamedTuple):
    """What waits: whether lanes are due, whether messages are to be routed, and seconds until more will be
    (None if nothing is planned)."""

    lanes: bool
    messages: bool
    seconds: float | None


def outlook(without: Sequence[int] = ()) -> Outlook:
    """What waits, asked in one statement; lanes of the endpoints `without` do not count."""
    return Outlook(*one(_OUTLOOK, [not without, bigints(without)]))


def database_now() -> datetime:
    """The time of the current transaction, by the database's clock."""
    now: datetime = one("SELECT now()")[0]
    return now


def work_is_due() -> bool:
    """Whether a message waits to be routed or a lane is due."""
    seen = outlook()
    return seen.lanes or seen.messages


def heal_lost_lanes() -> int:
    """Give a due time to lanes that have open work, none, and no hold. Returns how many (expected: 0)."""
    lanes = [row[0] for row in every(_LOST_LANES)]
    if not lanes:
        return 0
    with transaction.atomic():
        lock_lanes(lanes)
        recompute(lanes)
    return len(lanes)
