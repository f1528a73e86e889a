"""The queue: who gets which lane, when, and that work is never left without a due time."""

from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from conversations import deliveries, queue
from conversations.models import Conversation, Delivery, Lane
from conversations.queue import LaneClaim, LeaseLost, Tenant
from conversations.tasks import sweep
from endpoints import gates
from endpoints.models import Endpoint, EndpointGate, Inbox
from tests.conversations.workers import (
    PAST,
    at_once,
    expire_leases,
    locked,
    other_worker,
    wait_for_waiting,
)
from tests.factories import (
    make_conversation,
    make_delivery,
    make_endpoint,
    make_environment,
    make_lane,
    make_message,
)
from tests.patience import PATIENCE

pytestmark = pytest.mark.django_db


def due_lane(endpoint: Endpoint, **fields: Any) -> Lane:
    return make_lane(endpoint=endpoint, **({"due_at": PAST} | fields))


def set_gate(endpoint: Endpoint, **fields: Any) -> None:
    EndpointGate.objects.filter(endpoint=endpoint).update(**fields)


def ago(seconds: float) -> datetime:
    """By the time of the transaction, which stands still while a test lasts."""
    return queue.database_now() - timedelta(seconds=seconds)


def claim(limit: int = 10, suspects: bool = True) -> list[LaneClaim] | None:
    turn = queue.claim_lanes(limit, suspects=suspects)
    return None if turn is None else list(turn.lanes)


def claim_without_waiting() -> list[LaneClaim] | None:
    """A claim that fails rather than wait for a lock."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        return claim()


def lanes_of(turn: list[LaneClaim] | None) -> list[int]:
    assert turn is not None
    return sorted(lane.lane_id for lane in turn)


def test_endpoint_served_longest_ago_is_next() -> None:
    recent, neglected = make_endpoint(), make_endpoint()
    due_lane(recent)
    wanted = due_lane(neglected)
    set_gate(neglected, served_at=PAST)

    assert lanes_of(claim()) == [wanted.pk]


def test_endpoints_take_turns() -> None:
    busy, quiet = make_endpoint(), make_endpoint()
    for endpoint in (busy, busy, busy, quiet):
        due_lane(endpoint)
    set_gate(busy, served_at=PAST)

    turns = [queue.claim_lanes(1, suspects=True) for _ in range(3)]

    assert [turn.endpoint_id for turn in turns if turn] == [busy.pk, quiet.pk, busy.pk]


def test_organizations_take_turns() -> None:
    flooding, quiet = make_environment(), make_environment()
    many = [make_endpoint(environment=flooding) for _ in range(3)]
    one = make_endpoint(environment=quiet)
    for endpoint in (*many, one, one, one):
        due_lane(endpoint)

    turns = [queue.claim_lanes(1, suspects=True) for _ in range(6)]

    served = [turn.endpoint_id == one.pk for turn in turns if turn]
    assert served in ([True, False] * 3, [False, True] * 3)
    assert {turn.endpoint_id for turn in turns if turn} == {one.pk, *(endpoint.pk for endpoint in many)}


def test_endpoints_named_are_left_out() -> None:
    endpoint = make_endpoint()
    due_lane(endpoint)

    assert queue.claim_lanes(1, suspects=True, without=[endpoint.pk]) is None


def test_lanes_of_those_left_out_are_not_in_sight() -> None:
    endpoint, other = make_endpoint(), make_endpoint()
    due_lane(endpoint)

    assert queue.outlook().lanes
    assert queue.outlook([other.pk]).lanes
    assert not queue.outlook([endpoint.pk]).lanes


def test_lane_that_is_due_later_waits() -> None:
    due_lane(make_endpoint(), due_at=ago(-60))

    assert claim() is None
    assert queue.outlook().seconds == pytest.approx(60)
    assert not queue.work_is_due()


def test_requests_at_once_are_counted_from_leases() -> None:
    endpoint = make_endpoint(max_in_flight=2)
    for _ in range(3):
        due_lane(endpoint)

    first = lanes_of(claim())

    assert len(first) == 2
    assert claim() is None
    queue.release(first[:1])
    assert len(lanes_of(claim())) == 1


def test_dead_workers_leases_take_no_slot() -> None:
    endpoint = make_endpoint(max_in_flight=1)
    due_lane(endpoint)
    claim()

    expire_leases()

    assert len(lanes_of(claim())) == 1


@pytest.mark.django_db(transaction=True)
def test_claimers_at_once_never_share_a_lane() -> None:
    endpoints = [make_endpoint(max_in_flight=1000) for _ in range(3)]
    for endpoint in endpoints:
        tenant = {"organization_id": endpoint.organization_id, "environment_id": endpoint.environment_id}
        conversations = Conversation.objects.bulk_create(Conversation(**tenant) for _ in range(200))
        Lane.objects.bulk_create(
            Lane(**tenant, conversation=one, endpoint=endpoint, due_at=PAST) for one in conversations
        )

    everybody_has_some = Barrier(4)

    def claim_some() -> list[int]:
        with transaction.atomic():
            return lanes_of(claim(5) or [])

    def claim_all() -> list[int]:
        mine: list[int] = []
        while not mine:
            mine += claim_some()
        everybody_has_some.wait(PATIENCE)
        while queue.work_is_due():
            mine += claim_some()
        return mine

    got = at_once(claim_all, 4)

    claimed = [lane for mine in got for lane in mine]
    assert sorted(claimed) == sorted(Lane.objects.values_list("id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_claimers_at_once_keep_the_limit_together() -> None:
    endpoint = make_endpoint(max_in_flight=2)
    for _ in range(3):
        due_lane(endpoint)

    with other_worker() as other:
        other.begin()
        taken = other.do(lambda: lanes_of(claim(1)))
        assert claim_without_waiting() is None  # what the other takes is not counted yet
        other.commit()

    assert len(taken) == len(lanes_of(claim())) == 1


@pytest.mark.django_db(transaction=True)
def test_lane_that_somebody_changes_is_left() -> None:
    endpoint = make_endpoint()
    changing, free = due_lane(endpoint), due_lane(endpoint)

    with locked("SELECT 1 FROM conversations_lane WHERE id = %s FOR UPDATE", [changing.pk]):
        assert lanes_of(claim_without_waiting()) == [free.pk]

    assert lanes_of(claim()) == [changing.pk]


def test_leased_lane_is_nobody_elses() -> None:
    due_lane(make_endpoint())

    claim()

    assert claim() is None


def test_expired_lease_gives_a_higher_token_and_a_death() -> None:
    due_lane(make_endpoint())
    [first] = claim() or []
    expire_leases()

    [second] = claim() or []

    assert (second.lane_id, second.token, second.deaths) == (first.lane_id, first.token + 1, 1)


def test_recorded_work_clears_the_deaths() -> None:
    lane = due_lane(make_endpoint(), lease_until=PAST)
    claim()

    queue.release([lane.pk])

    lane.refresh_from_db()
    assert (lane.deaths, lane.lease_until, lane.due_at) == (0, None, None)


def test_suspect_lane_is_left_to_an_idle_worker() -> None:
    endpoint = make_endpoint()
    harmless, suspect = due_lane(endpoint), due_lane(endpoint, deaths=1)

    assert lanes_of(claim(suspects=False)) == [harmless.pk]
    assert lanes_of(claim(suspects=False)) == []
    assert lanes_of(claim(suspects=True)) == [suspect.pk]


def test_only_own_live_leases_are_renewed() -> None:
    endpoint = make_endpoint()
    mine, taken_over, expired = (due_lane(endpoint) for _ in range(3))
    tokens = {lane.lane_id: lane.token for lane in claim() or []}
    soon = queue.database_now() + timedelta(seconds=1)
    Lane.objects.update(lease_until=soon, due_at=soon)
    Lane.objects.filter(pk=taken_over.pk).update(token=9)
    Lane.objects.filter(pk=expired.pk).update(lease_until=PAST, due_at=PAST)

    assert queue.renew(tokens.items()) == {mine.pk}

    ends = dict(Lane.objects.values_list("id", "lease_until"))
    assert ends[mine.pk] > soon
    assert (ends[taken_over.pk], ends[expired.pk]) == (soon, PAST)


@pytest.mark.django_db(transaction=True)
def test_renewal_locks_lanes_in_the_order_of_all() -> None:
    endpoint = make_endpoint()
    first, second = due_lane(endpoint), due_lane(endpoint)
    tokens = {lane.lane_id: lane.token for lane in claim() or []}
    ours = [(lane.pk, tokens[lane.pk]) for lane in (second, first)]

    def renew() -> set[int]:
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")  # as in a pump
        return queue.renew(ours)

    with other_worker() as router, other_worker() as pump:
        router.begin()
        router.do(lambda: queue.lock_lanes([first.pk]))
        renewed = pump.start(renew)
        wait_for_waiting()
        router.do(lambda: queue.lock_lanes([first.pk, second.pk]))  # a deadlock if it had the second
        router.commit()
        assert renewed.result(10) == {first.pk, second.pk}


def test_renewing_nothing_asks_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert queue.renew([]) == set()


@pytest.mark.parametrize(
    ("states", "due"),
    [
        (["queued"], True),
        (["verifying", "queued"], True),
        (["held", "queued"], False),
        (["delivered", "skipped", "cancelled"], False),
        (["delivered", "queued", "held"], True),
        ([], False),
    ],
)
def test_lane_is_due_when_its_head_is(states: list[str], due: bool) -> None:
    lane = make_lane(due_at=None if due else PAST)
    message = make_message(lane.endpoint, state="routed", conversation=lane.conversation)
    for state in states:
        reason = "person" if state == "held" else ""
        make_delivery(message, lane.endpoint, state, lane=lane, due_at=PAST, hold_reason=reason)

    queue.recompute([lane.pk])

    lane.refresh_from_db()
    assert lane.due_at == (PAST if due else None)


def test_leased_lane_is_due_at_the_end_of_its_lease() -> None:
    delivery = make_delivery()
    Lane.objects.update(lease_until=PAST, due_at=PAST)

    queue.recompute([delivery.lane_id])

    assert Lane.objects.get().due_at == PAST


@pytest.mark.django_db(transaction=True)
def test_head_that_ends_beside_an_enqueue_leaves_no_lane_lost() -> None:
    head = make_delivery(state="held", hold_reason="person")
    lane = head.lane
    tenant = Tenant(head.conversation_id, lane.endpoint_id, lane.environment_id, lane.organization_id)

    def enqueue() -> None:
        queue.lanes_for([tenant])
        make_delivery(head.message, lane.endpoint, lane=lane, rule=head.rule, effect_key="behind")
        queue.recompute([lane.pk])

    with other_worker() as router, other_worker() as person:
        router.begin()
        router.do(enqueue)
        skipped = person.start(lambda: deliveries.skip([head]))
        wait_for_waiting()  # for the lane, or it would not see what is enqueued
        router.commit()
        assert skipped.result(10) == 1

    lane.refresh_from_db()
    assert lane.due_at is not None


def test_sweep_heals_and_counts_lost_lanes(caplog: pytest.LogCaptureFixture) -> None:
    lost, held = make_delivery(due_at=PAST), make_delivery(state="held", hold_reason="person")
    make_delivery(held.message, held.endpoint, lane=held.lane)
    Lane.objects.update(due_at=None)

    assert sweep() == 1

    lost.lane.refresh_from_db()
    held.lane.refresh_from_db()
    assert (lost.lane.due_at, held.lane.due_at) == (PAST, None)
    assert "1 lanes" in caplog.text
    assert sweep() == 0


def test_rate_limit_gives_out_what_has_accumulated() -> None:
    endpoint = make_endpoint(max_per_second=5)
    for _ in range(12):
        due_lane(endpoint)

    set_gate(endpoint, tokens=0, tokens_at=ago(0.5))

    assert len(lanes_of(claim())) == 2
    assert claim() is None
    set_gate(endpoint, tokens_at=ago(60))
    assert len(lanes_of(claim())) == 5  # never more than one second's worth at once


def test_claim_without_a_rate_leaves_the_bucket_alone() -> None:
    endpoint = make_endpoint()
    due_lane(endpoint)
    set_gate(endpoint, tokens=3, tokens_at=PAST)

    claim()

    assert EndpointGate.objects.values_list("tokens", "tokens_at").get(endpoint=endpoint) == (3, PAST)


def test_claim_that_began_before_the_last_takes_no_more_than_is_left() -> None:
    endpoint = make_endpoint(max_per_second=100)
    for _ in range(3):
        due_lane(endpoint)

    set_gate(endpoint, tokens=2, tokens_at=ago(-60))

    assert len(lanes_of(claim())) == 2
    assert claim() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("circuit", "in_flight"), [("open", 50), ("closed", 1)])
def test_claims_at_the_same_moment_take_one_lane(circuit: str, in_flight: int) -> None:
    endpoint = make_endpoint(max_in_flight=in_flight)
    for _ in range(6):
        due_lane(endpoint)
    taken: list[int] = []

    def begin_anew() -> None:
        taken.append(Lane.objects.filter(lease_until__isnull=False).count())
        Lane.objects.update(lease_until=None, due_at=PAST)
        set_gate(endpoint, circuit=circuit, probe_lane=None, closed_until=PAST)
        connection.close()

    begin_anew()
    turn = Barrier(5, begin_anew, PATIENCE)

    def carry_on() -> None:
        for _ in range(100):
            claim_without_waiting()
            turn.wait()

    at_once(carry_on, 5)
    assert set(taken[1:]) == {1}


def test_rate_below_one_still_lets_one_through() -> None:
    endpoint = make_endpoint(max_per_second=0.1)
    due_lane(endpoint)
    set_gate(endpoint, tokens=0, tokens_at=ago(9))
    assert claim() is None

    set_gate(endpoint, tokens=0, tokens_at=ago(11))

    assert len(lanes_of(claim())) == 1


def test_exhausted_rate_leaves_the_turn_to_others() -> None:
    limited, other = make_endpoint(max_per_second=1), make_endpoint()
    set_gate(limited, tokens=0, served_at=PAST)
    waiting, free = due_lane(limited), due_lane(other)

    assert lanes_of(claim()) == [free.pk]
    assert claim() is None
    assert EndpointGate.objects.get(endpoint=limited).served_at == PAST
    set_gate(limited, tokens_at=ago(1))
    assert lanes_of(claim()) == [waiting.pk]


def test_rate_does_not_keep_a_probe_back() -> None:
    endpoint = make_endpoint(max_per_second=1)
    lane = due_lane(endpoint)

    set_gate(endpoint, tokens=0, circuit="open", closed_until=PAST)

    assert lanes_of(claim()) == [lane.pk]


def test_open_circuit_lets_one_probe_through() -> None:
    endpoint = make_endpoint()
    for _ in range(3):
        due_lane(endpoint)
    set_gate(endpoint, circuit="open", closed_until=ago(1))

    [probe] = lanes_of(claim())

    gate = EndpointGate.objects.get(endpoint=endpoint)
    assert (gate.circuit, gate.probe_lane) == ("half_open", probe)
    assert claim() is None
    expire_leases()
    assert len(lanes_of(claim())) == 1  # whoever probed has died: another one may


@pytest.mark.parametrize(
    "gate",
    [
        {"circuit": "open", "closed_until": datetime(2999, 1, 1, tzinfo=UTC)},
        {"closed_until": datetime(2999, 1, 1, tzinfo=UTC)},
        {"token_refresh_until": datetime(2999, 1, 1, tzinfo=UTC)},
        {"paused_at": PAST, "pause_reason": "person", "served_at": PAST},
        {"paused_at": PAST, "pause_reason": "credentials"},
    ],
)
def test_closed_gate_gives_no_lane(gate: dict[str, Any]) -> None:
    endpoint = make_endpoint()
    due_lane(endpoint)

    set_gate(endpoint, **gate)

    assert claim() is None


def test_rejected_credentials_are_probed_every_five_minutes() -> None:
    endpoint = make_endpoint()
    due_lane(endpoint)
    due_lane(endpoint)
    set_gate(endpoint, paused_at=PAST, pause_reason="credentials", served_at=ago(290))
    assert claim() is None

    set_gate(endpoint, served_at=ago(310))

    assert len(lanes_of(claim())) == 1
    assert claim() is None


def test_suspended_endpoint_goes_on_where_it_stopped() -> None:
    endpoint = make_endpoint()
    lane = due_lane(endpoint)

    gates.suspend(endpoint)
    assert claim() is None
    gates.resume(endpoint)

    assert lanes_of(claim()) == [lane.pk]


def test_lanes_are_made_once_and_found_again() -> None:
    conversation = make_conversation()
    endpoint = make_endpoint(environment=conversation.environment)
    tenant = Tenant(conversation.pk, endpoint.pk, conversation.environment_id, conversation.organization_id)

    first, again = queue.lanes_for([tenant, tenant]), queue.lanes_for([tenant])

    lane = Lane.objects.get().pk
    assert first == ({(conversation.pk, endpoint.pk): lane}, set())
    assert again == ({(conversation.pk, endpoint.pk): lane}, {lane})


def test_no_wish_for_lanes_makes_none() -> None:
    assert queue.lanes_for([]) == ({}, set())


def test_endpoint_has_one_router_at_a_time() -> None:
    make_message()
    assert queue.work_is_due()

    first = queue.claim_inbox()

    assert first is not None
    assert queue.claim_inbox() is None
    queue.release_inbox(first)
    assert queue.claim_inbox() is not None


@pytest.mark.django_db(transaction=True)
def test_routers_at_once_get_different_inboxes() -> None:
    endpoints = [make_message().endpoint_id, make_message().endpoint_id]

    claims = at_once(queue.claim_inbox)

    got = sorted(claim.endpoint_id for claim in claims if claim)
    assert len(got) == len(set(got))
    assert set(got) <= set(endpoints)


def test_inboxes_take_turns() -> None:
    one, other = make_endpoint(), make_endpoint()
    for endpoint in (one, one, other):
        make_message(endpoint)
    Inbox.objects.filter(endpoint=one).update(served_at=PAST)
    first = queue.claim_inbox()
    assert first is not None
    queue.release_inbox(first)
    Inbox.objects.filter(endpoint=other).update(served_at=PAST)

    second = queue.claim_inbox()

    assert second is not None
    assert (first.endpoint_id, second.endpoint_id) == (one.pk, other.pk)


def test_organizations_take_turns_at_the_router() -> None:
    flooding = make_environment()
    many = [make_message(make_endpoint(environment=flooding)).endpoint_id for _ in range(2)]
    one = make_message().endpoint_id
    Inbox.objects.filter(endpoint__in=many).update(served_at=PAST)
    Inbox.objects.filter(endpoint=many[0]).update(served_at=Now())

    claims = [queue.claim_inbox() for _ in range(2)]

    assert [claim.endpoint_id for claim in claims if claim] == [one, many[1]]


def test_router_that_lost_its_inbox_writes_nothing() -> None:
    make_message()
    first = queue.claim_inbox()
    Inbox.objects.update(lease_until=PAST)
    second = queue.claim_inbox()
    assert first is not None
    assert second is not None

    with pytest.raises(LeaseLost):
        queue.lock_inbox(first)
    with pytest.raises(LeaseLost):
        queue.release_inbox(first)

    queue.lock_inbox(second)


def test_batch_that_died_is_routed_one_by_one() -> None:
    endpoint = make_message().endpoint
    last = make_message(endpoint)
    queue.claim_inbox()
    Inbox.objects.update(lease_until=PAST)

    claim = queue.claim_inbox()

    assert claim is not None
    assert claim.solo
    assert Inbox.objects.get(endpoint=endpoint).solo_through == last.pk


def test_commits_that_may_be_lost_do_not_wait_for_the_disk() -> None:
    make_message()

    queue.claim_inbox()

    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")

        assert cursor.fetchone() == ("off",)


def test_held_head_keeps_its_lane_from_being_claimed() -> None:
    held = make_delivery(state="held", hold_reason="refused")
    behind = make_delivery(held.message, held.endpoint, lane=held.lane)

    queue.recompute([held.lane_id])

    assert claim() is None
    assert Delivery.objects.get(pk=behind.pk).state == "queued"
