"""What workers read stays bounded, whatever dead rows a long transaction keeps from being cleaned away, and
whatever PostgreSQL believes of how full the tables are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from conversations import finding, queue, router
from conversations.models import Conversation, Lane, Participant
from conversations.pump import PLANNER
from conversations.queue import InboxClaim
from endpoints.models import Endpoint
from oneio.bulk import update_rows
from oneio.wakeup import connect
from tests.conversations.workers import PAST
from tests.factories import make_endpoint, make_message

pytestmark = pytest.mark.django_db(transaction=True)
DONE = 20_000
DEAD_PER_LANE = 3
WAITING = 1000
CLAIMED = 32
LATER = PAST + timedelta(hours=1)


def make_lanes(endpoint: Endpoint, number: int, due_at: datetime = LATER) -> None:
    tenant = {"organization_id": endpoint.organization_id, "environment_id": endpoint.environment_id}
    conversations = Conversation.objects.bulk_create(Conversation(**tenant) for _ in range(number))
    Lane.objects.bulk_create(
        Lane(**tenant, conversation=one, endpoint=endpoint, due_at=due_at) for one in conversations
    )


@pytest.fixture(params=["counted", "uncounted", "counted when nothing was due"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """Its queue has 1,000 lanes due behind 60,000 dead rows that an open snapshot keeps; so has another's.
    What PostgreSQL believes of them is right, unknown, or as old as autovacuum may leave it."""
    made = make_endpoint(max_in_flight=64)
    make_lanes(made, DONE, PAST)
    with connect(connection.get_connection_params()) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM conversations_lane")
        with connection.cursor() as cursor:
            for _ in range(DEAD_PER_LANE - 1):
                cursor.execute(
                    "UPDATE conversations_lane SET due_at = due_at + interval '1 ms', token = token + 1"
                )
            cursor.execute("UPDATE conversations_lane SET due_at = NULL")
        if request.param == "counted when nothing was due":
            count_rows()
        make_lanes(make_endpoint(), WAITING)
        make_lanes(made, WAITING)
        if request.param == "counted":
            count_rows()
        yield made


def count_rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE conversations_lane")


def explained(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """The steps that PostgreSQL took to carry it out, as the pump lets it plan; taken back after."""
    with transaction.atomic(), connection.cursor() as cursor:
        for name, value in PLANNER.items():
            cursor.execute(f"SET LOCAL {name} = {value}")
        cursor.execute(f"PREPARE asked AS {numbered(sql)}")
        marks = ", ".join(["%s"] * len(parameters))
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked({marks})", parameters)
        [[[found]]] = cursor.fetchall()
        cursor.execute("DEALLOCATE asked")
        transaction.set_rollback(True)
    return list(steps(found["Plan"]))


def numbered(sql: str) -> str:
    """The statement with its parameters as PREPARE has them."""
    first, *others = sql.split("%s")
    return first + "".join(f"${number}{text}" for number, text in enumerate(others, 1))


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)


def pages(found: list[dict[str, Any]]) -> int:
    return int(found[0]["Shared Hit Blocks"] + found[0]["Shared Read Blocks"])


def lane_rows(found: list[dict[str, Any]]) -> int:
    """How many living rows of lanes were fetched, wanted or not."""
    scans = [
        one
        for one in found
        if one.get("Relation Name") == "conversations_lane" and "Scan" in one["Node Type"]
    ]
    return int(
        sum(
            one["Actual Loops"] * (one["Actual Rows"] + one.get("Rows Removed by Filter", 0)) for one in scans
        )
    )


def test_claim_reads_few_rows_behind_dead_ones(endpoint: Endpoint) -> None:
    gate = explained(queue._NEXT_GATE, [[]])
    due = [endpoint.pk, LATER, endpoint.pk, True, CLAIMED, 64, endpoint.pk]
    lanes = explained(queue._CLAIM_LANES, [*due, 20, 20, False, None, endpoint.pk])
    look = explained(queue._OUTLOOK, [False, [0]])

    assert lane_rows(look) < 10
    assert lane_rows(gate) < 10
    assert lane_rows(lanes) <= 2 * CLAIMED
    assert pages(gate) < DONE * DEAD_PER_LANE / 10
    assert pages(lanes) < DONE / 20  # the look at the gate passes the dead rows, the claim begins behind them


@contextmanager
def planning_like_a_pump() -> Iterator[None]:
    with connection.cursor() as cursor:
        for name, value in PLANNER.items():
            cursor.execute(f"SET {name} = {value}")
        yield
        for name in PLANNER:
            cursor.execute(f"RESET {name}")


def bodies_read(work: Callable[[], object]) -> int:
    """How many rows of messages' bodies `work` fetches, wanted or not."""

    def fetched() -> int:
        cursor.execute(
            "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'conversations_messagebody'"
        )
        return int(cursor.fetchone()[0])

    with transaction.atomic(), connection.cursor() as cursor:
        before = fetched()
        work()
        return fetched() - before


def test_plans_of_an_empty_table_are_good_when_it_is_full() -> None:
    endpoint = make_endpoint()
    written = [make_message(endpoint).body]
    steps = [
        lambda: update_rows(written, "problem"),
        lambda: router._waiting(InboxClaim(endpoint.pk, 1, solo=False)),
    ]
    with planning_like_a_pump(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE conversations_messagebody CASCADE")
        cursor.execute("ANALYZE conversations_message, conversations_messagebody")
        for work in steps:
            work()  # planned now
        written = [make_message(endpoint).body for _ in range(40)][-1:]

        assert [bodies_read(work) for work in steps] == [1, 40]


def test_known_tickets_are_found_among_many() -> None:
    endpoint = make_endpoint()
    entity, tenant = endpoint.entity_types.get(), {"organization_id": endpoint.organization_id}
    tenant["environment_id"] = endpoint.environment_id
    made = Conversation.objects.bulk_create(Conversation(**tenant) for _ in range(2000))
    Participant.objects.bulk_create(
        Participant(
            **tenant, conversation=one, endpoint=endpoint, entity_type=entity, external_id=str(number)
        )
        for number, one in enumerate(made)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE conversations_participant")

    keys, theirs = [[entity.pk], ["7"]], [made[7].pk]
    own = [endpoint.pk, *keys, endpoint.pk, theirs, *keys, theirs]
    found = explained(f"SELECT id FROM conversations_participant {finding._OWN}", own)

    assert found[0]["Actual Rows"] == 1
    assert sum(step.get("Rows Removed by Filter", 0) for step in found) == 0
