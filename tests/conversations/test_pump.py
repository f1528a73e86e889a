"""The pump: works on through lost connections, broken endpoints and stops, and never loses a result."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, connection

from conversations import deliveries, pump, queue, router, tokens
from conversations.deliveries import results
from conversations.models import Attempt, Delivery, Lane, Message
from conversations.pump import Bell, Pump
from conversations.queue import LaneClaim
from conversations.tokens import TokenFetched
from endpoints.adapters.base import Action, Token
from endpoints.models import Credentials, Endpoint
from oneio import runtime
from oneio.heartbeat import Heartbeat
from oneio.models import PumpHeartbeat
from oneio.wakeup import CHANNEL, connect
from tests.conversations.desk import BUSY, Office, office
from tests.conversations.workers import PAST
from tests.conversations.world import Line
from tests.factories import make_endpoint
from tests.patience import PATIENCE, comes_to_an_end, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        found.rule(write_back=False)
        yield found


@pytest.fixture
def stop() -> Iterator[Callable[[], None]]:
    """Say stop to pumps started here, as the supervisor does: by closing its end of a pipe."""
    runtime.stop_descriptor, word = os.pipe()
    said = []

    def say() -> None:
        if not said:
            os.close(word)
            said.append(True)

    yield say
    say()
    os.close(runtime.stop_descriptor)
    runtime.stop_descriptor = None


@contextmanager
def a_pump() -> Iterator[Pump]:
    """A pump to be turned by hand."""
    one = Pump(Heartbeat(str(uuid4())))
    try:
        yield one
    finally:
        one.threads.shutdown(wait=True)
        one.close()


@contextmanager
def running() -> Iterator[None]:
    """A pump at work in a thread with its own connections, until told to stop."""
    heartbeat = PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id)
    thread = threading.Thread(target=pump.run, args=(str(heartbeat.pk),))
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()


def turn_until(one: Pump, condition: Callable[[], bool]) -> None:
    def turned() -> bool:
        one._turn()
        return condition()

    wait_for(turned)


def delivered(number: int = 1) -> bool:
    return Delivery.objects.filter(state="delivered").count() == number


def work_then(place: Office, monkeypatch: pytest.MonkeyPatch, on_send: Callable[[], Any]) -> None:
    """Let the desk do something while it is asked."""
    carry_out = place.desk.carry_out

    def troubled(plan: Any) -> Any:
        on_send()
        return carry_out(plan)

    monkeypatch.setattr(place.desk, "carry_out", troubled)


def test_message_is_routed_and_delivered(place: Office, stop: Callable[[], None]) -> None:
    place.say()

    with running():
        wait_for(delivered)
        stop()

    assert place.desk.requests == [Action.CREATE]
    assert not PumpHeartbeat.objects.exists()


def test_http_thread_must_not_ask_the_database(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals: list[str] = []

    def ask() -> None:
        try:
            Message.objects.exists()
        except RuntimeError as error:
            refusals.append(str(error))
            connection.close()

    work_then(place, monkeypatch, ask)
    place.say()

    with a_pump() as one:
        turn_until(one, delivered)

    assert refusals == ["An HTTP thread must not use the database."]


def test_killed_connections_cost_only_time(
    place: Office, stop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "DATABASE_RETRY_SECONDS", 0.05)
    mine = connection.connection.info.backend_pid if connection.connection else 0
    parameters = connection.get_connection_params()

    def kill() -> None:
        with connect(parameters) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
                [mine],
            )

    work_then(place, monkeypatch, kill)
    for ticket in ("a", "b"):
        place.say(ticket)

    with running():
        wait_for(lambda: delivered(2))
        stop()

    assert place.desk.requests == [Action.CREATE] * 2  # what came back was recorded, not sent again


def test_result_survives_a_database_that_is_away(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    place.first(ticket="a")
    with a_pump() as one:
        one._claim()
        wait_for(lambda: not one.finished.empty())
        with monkeypatch.context() as patch:
            patch.setattr(deliveries, "finish", broken(OperationalError))
            for _ in range(2):
                with pytest.raises(OperationalError):
                    one._record()

        assert one._record()

        assert delivered()
        assert (one.in_hand, one.back) == ({}, [])


def test_results_behind_a_broken_one_survive_too(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for ticket in ("a", "b", "c"):
        place.first(ticket=ticket)
    finish, calls = deliveries.finish, []

    def troubled(done: Any, configs: Any) -> None:
        calls.append(len(done))
        if len(calls) == 1:
            raise IntegrityError  # so that results are recorded one by one
        if len(calls) == 3:
            raise OperationalError
        finish(done, configs)

    with a_pump() as one:
        one._claim()
        wait_for(lambda: one.finished.qsize() == 3)
        monkeypatch.setattr(deliveries, "finish", troubled)
        with pytest.raises(OperationalError):
            one._record()
        one._record()

        assert delivered(3)
        assert one.in_hand == {}


def test_result_that_cannot_be_kept_is_held(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned = place.first(ticket="a")
    place.first(ticket="b")
    finish = deliveries.finish

    def troubled(done: Any, configs: Any) -> None:
        if poisoned.pk in {one.job.delivery_id for one in done}:
            raise IntegrityError
        finish(done, configs)

    monkeypatch.setattr(deliveries, "finish", troubled)
    with a_pump() as one:
        turn_until(one, delivered)

    poisoned.refresh_from_db()
    assert (poisoned.state, poisoned.hold_reason) == ("held", "internal")


def test_token_survives_a_database_that_is_away(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = TokenFetched(place.configs.get(place.target.pk), Token("t", 600))
    with a_pump() as one:
        one.fetching = 1
        one.finished.put(fetched)
        with monkeypatch.context() as patch:
            patch.setattr(tokens, "settle", broken(OperationalError))
            with pytest.raises(OperationalError):
                one._record()
        assert one.fetching == 1

        one._record()

        assert (one.fetching, one.back) == (0, [])
    assert Credentials.objects.get(endpoint=place.target).token == "t"


def test_token_of_a_deleted_endpoint_stops_nothing(place: Office) -> None:
    fetched = TokenFetched(place.configs.get(place.target.pk), Token("t", 600))
    Endpoint.objects.get(pk=place.target.pk).gate.delete()
    with a_pump() as one:
        one.fetching = 1
        one.finished.put(fetched)

        one._record()

        assert one.fetching == 0


def test_broken_endpoint_rests_and_others_go_on(place: Office, caplog: pytest.LogCaptureFixture) -> None:
    place.first(ticket="a")
    fine = make_endpoint("desk", place.environment)
    place.rule(target=fine, write_back=False)
    place.first(ticket="b")
    Endpoint.objects.filter(pk=place.target.pk).update(timezone="Mars/Olympus")

    with a_pump() as one:
        turn_until(one, delivered)

        assert list(one.broken) == [place.target.pk]
    assert Delivery.objects.get(state="delivered").endpoint == fine
    assert caplog.text.count("cannot be worked on") == 1
    assert Lane.objects.filter(endpoint=place.target, lease_until=None, due_at__isnull=False).exists()


def test_constraint_that_strikes_while_claiming_stops_no_other(
    place: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.first(ticket="a")
    monkeypatch.setattr(pump.jobs, "prepare", broken(IntegrityError))

    with a_pump() as one:
        assert not one._claim()

        assert list(one.broken) == [place.target.pk]


def test_stop_waits_for_requests_under_way(
    place: Office, stop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stopping, answer = threading.Event(), threading.Event(), threading.Event()
    work_then(place, monkeypatch, lambda: (asked.set(), answer.wait(PATIENCE)))
    drain = Pump._drain
    monkeypatch.setattr(Pump, "_drain", lambda one: (stopping.set(), drain(one)))
    place.say("a")

    with running():
        assert asked.wait(PATIENCE)
        stop()
        assert stopping.wait(PATIENCE)
        place.say("b")
        answer.set()

    assert delivered(1)
    assert Message.objects.filter(state="received").count() == 1  # nothing more was begun


def test_stop_does_not_wait_for_ever(
    place: Office, stop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "DRAIN_SECONDS", 0.3)
    asked, answer = threading.Event(), threading.Event()
    work_then(place, monkeypatch, lambda: (asked.set(), answer.wait(3 * PATIENCE)))
    place.say()

    with running():
        assert asked.wait(PATIENCE)
        stop()
    answer.set()
    wait_for(lambda: not any(thread.name.startswith("http") for thread in threading.enumerate()))

    assert Delivery.objects.get().state == "sending"  # whoever comes next looks it up


def test_idle_pump_stops_at_once(
    place: Office, stop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "POLL_SECONDS", 3 * PATIENCE)

    with running():
        wait_for(lambda: PumpHeartbeat.objects.filter(pid__gt=0).exists())
        stop()

    assert not PumpHeartbeat.objects.exists()


def test_leases_are_renewed_while_a_request_lasts(
    place: Office, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()
    work_then(place, monkeypatch, lambda: (asked.set(), answer.wait(PATIENCE)))
    lane = place.first().lane

    with a_pump() as one:
        turn_until(one, asked.is_set)
        lane.refresh_from_db()
        before = lane.lease_until
        one.renewed_at -= settings.LEASE_SECONDS / 4
        one._turn()
        lane.refresh_from_db()
        assert lane.lease_until > before
        answer.set()
        turn_until(one, delivered)

    assert Attempt.objects.count() == 1
    assert Lane.objects.get().token == 1


def test_lane_that_was_taken_over_is_not_ours_any_more(place: Office, settings: Any) -> None:
    settings.LEASE_SECONDS = 0.001
    with a_pump() as one:
        lane = place.first().lane_id
        one.in_hand = {lane: LaneClaim(lane, 7, place.target.pk, 0)}

        one._renew()

        assert one.in_hand == {}


def test_lane_that_killed_workers_is_worked_on_alone(place: Office) -> None:
    suspect, other = place.first(ticket="a"), place.first(ticket="b")
    Lane.objects.filter(pk=suspect.lane_id).update(deaths=2, due_at=PAST)

    with a_pump() as one:
        one.in_hand = {-1: LaneClaim(-1, 1, -1, 0)}
        one._claim()
        assert suspect.lane_id not in one.in_hand  # not while anything else could die with it
        one.in_hand = {}
        turn_until(one, lambda: delivered(2))

    assert Lane.objects.get(pk=other.lane_id).due_at is None


def test_room_is_left_for_what_is_in_hand(place: Office, settings: Any) -> None:
    settings.HTTP_THREADS = 2
    for ticket in "abc":
        place.first(ticket=ticket)

    with a_pump() as one:
        one._claim()

        assert Delivery.objects.filter(state="queued").count() == 2


def test_endpoints_that_hang_leave_threads_to_others(place: Office, settings: Any) -> None:
    settings.HTTP_THREADS = 64
    with a_pump() as one:
        shares = []
        for endpoint_id in range(4):
            shares.append(one._share(endpoint_id))
            held = range(100 * endpoint_id, 100 * endpoint_id + shares[-1])
            one.in_hand |= {lane: LaneClaim(lane, 1, endpoint_id, 0) for lane in held}

        assert shares == [32, 16, 8, 4]
        assert one._left_out() == [0, 1, 2, 3]


def test_failed_request_waits_without_stopping_others(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_jitter", lambda _: 2 * PATIENCE)
    place.desk.answers.append(BUSY)
    for ticket in "ab":
        place.first(ticket=ticket)

    with a_pump() as one:
        turn_until(one, delivered)

    assert Delivery.objects.filter(state="queued", tries=1).count() == 1


def test_pause_ends_when_something_becomes_due(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "POLL_SECONDS", 2 * PATIENCE)
    place.first()
    Lane.objects.update(due_at=queue.database_now() + timedelta(seconds=PATIENCE))

    with a_pump() as one:
        one.outlook = queue.outlook()
        assert 0 < one._pause() <= PATIENCE
        Lane.objects.update(due_at=None)
        one.outlook = queue.outlook()
        assert one._pause() == pump.POLL_SECONDS


def test_what_another_pump_has_is_looked_at_again_soon(place: Office) -> None:
    place.say()
    place.say()
    queue.claim_inbox()

    with a_pump() as one:
        assert not one._turn()
        pauses = [one._pause() for _ in range(30)]

    assert pauses[0] == pump.LOOK_AGAIN_SECONDS
    assert pauses == sorted(pauses)  # less and less often
    assert pauses[-1] == pump.POLL_SECONDS


def test_called_pump_takes_a_message_without_looking_around(
    place: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "outlook", broken(AssertionError))
    place.say()

    with a_pump() as one:
        assert one._turn(called=True)

        assert len(one.in_hand) == 1


def test_called_pump_sees_what_else_is_due(place: Office) -> None:
    place.first()

    with a_pump() as one:
        assert one._turn(called=True)  # no message waits, but a lane does

        assert len(one.in_hand) == 1


def test_pump_that_came_too_late_lets_others_begin(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    still = SimpleNamespace(sleep=waits.append, monotonic=time.monotonic)
    monkeypatch.setattr(pump, "time", still)

    def woken() -> list[float]:
        waits.clear()
        assert one._rest()
        return waits

    with a_pump() as one:
        monkeypatch.setattr(one.bell, "wait", lambda *_: True)
        assert woken() == []
        one._turn(called=True)  # nothing is left for it
        assert woken() == [pump.LOOK_AGAIN_SECONDS]
        place.say()
        one._turn(called=True)
        assert woken() == []


def test_results_that_flow_are_gathered(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    still = SimpleNamespace(sleep=waits.append, monotonic=time.monotonic)
    monkeypatch.setattr(pump, "time", still)  # only the pump's: other threads sleep as ever
    with a_pump() as one:
        one.in_hand[1] = LaneClaim(1, 1, 1, 0)
        one._gather()
        assert pump.GATHER_SECONDS not in waits  # one that comes alone waits for nobody

        one.busy_until = time.monotonic() + 60
        one._gather()
        assert waits.count(pump.GATHER_SECONDS) == 1

        one.in_hand.clear()
        one._gather()
        assert waits.count(pump.GATHER_SECONDS) == 1  # nothing is under way that could come back


def test_database_error_while_routing_is_survived(
    place: Office, stop: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "DATABASE_RETRY_SECONDS", 0.05)
    route_next, calls = router.route_next, []

    def troubled(*arguments: Any) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError
        return route_next(*arguments)

    monkeypatch.setattr(router, "route_next", troubled)
    place.say()

    with running():
        wait_for(delivered)
        stop()


def test_bell_wakes_from_another_thread(transactional_db: None) -> None:
    connection.ensure_connection()
    bell = Bell(None)
    threading.Timer(0.1, bell.ring).start()

    with comes_to_an_end():
        bell.wait(2 * PATIENCE)

    bell.close()
    bell.ring()  # a request that comes back late rings nobody


def test_bell_wakes_from_a_commit_elsewhere(transactional_db: None) -> None:
    connection.ensure_connection()
    bell = Bell(None)
    bell.wait(0.01)
    with connect(connection.get_connection_params()) as other:
        other.execute(f"NOTIFY {CHANNEL}")

    with comes_to_an_end():
        assert bell.wait(2 * PATIENCE)

    bell.ring()
    assert not bell.wait(2 * PATIENCE)  # nobody else has called
    bell.close()


def test_full_bell_is_loud_enough(transactional_db: None) -> None:
    connection.ensure_connection()
    bell = Bell(None)
    for _ in range(70_000):
        bell.ring()

    bell.wait(1)

    started = time.monotonic()
    bell.wait(0.2)
    assert time.monotonic() - started > 0.15  # all rings were heard as one
    bell.close()


def test_ticket_reaches_a_real_system(line: Line, stop: Callable[[], None]) -> None:
    line.join()
    line.incident()

    with running():
        wait_for(lambda: delivered(2))
        stop()

    assert line.issue["fields"]["summary"] == "Core switch drops uplink"


def broken(error: type[Exception]) -> Callable[..., Any]:
    """Something that always fails."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
