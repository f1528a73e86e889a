"""The pump: one worker process's loop that routes, claims, sends and records until it is told to stop.

Its main thread alone does database work and never waits for a request; requests run on a thread pool and
come back through a queue. What is lost with the process is found again by its expired leases.
"""

from __future__ import annotations

import gc
import logging
import os
import queue as queues
import selectors
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import (
    Error,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)

from conversations import delays, deliveries, jobs, queue, router, sender, tokens
from conversations.asking import Asker
from conversations.files import FileStore
from conversations.queue import LaneClaim
from conversations.sender import Done
from conversations.tokens import TokenFetched
from endpoints import gates
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.network import NetworkPolicy
from oneio.blame import place_of
from oneio.heartbeat import Heartbeat
from oneio.wakeup import CHANNEL, connect
from routing.rules import RuleBook

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.01
DRAIN_SECONDS = 20.0
CLAIM_AT_MOST = 32
SEVERAL = 4
ENOUGH_FOR_A_TURN = 16
GATHER_SECONDS = 0.01
BUSY_SECONDS = 0.1
DATABASE_RETRY_SECONDS = 1.0
SOLO_SECONDS = 5.0
RELEASE_EVERY_SECONDS = 1.0
GC_THRESHOLD = (5_000, 20, 50)
BROKEN_SECONDS = 30.0
SOLITUDE_EVERY_SECONDS = 30.0
SOLITUDE_WAIT_SECONDS = 5.0


def run(pump_id: str) -> None:
    """Pump until the process is to stop or its supervisor is gone. The task that django-q2 hands out."""
    connections.close_all()  # nothing inherited from before the fork is used
    plan_for_full_tables()
    _spare_the_collector()
    heartbeat = Heartbeat(pump_id)
    pump = Pump(heartbeat)
    try:
        pump.run()
    finally:
        pump.close()
        heartbeat.end()
        connections.close_all()


class Pump:
    """One process's hands in the queue."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        self.http = HttpClient(
            NetworkPolicy(settings.ALLOW_LOOPBACK, settings.ALLOW_PRIVATE_NETWORKS, settings.EXTRA_CA_FILE)
        )
        self.files = FileStore()
        self.threads = ThreadPoolExecutor(settings.HTTP_THREADS, "http", initializer=_forbid_database)
        self.finished: queues.SimpleQueue[Done | TokenFetched] = queues.SimpleQueue()
        self.book, self.configs = RuleBook(), EndpointConfigs()
        self.in_hand: dict[int, LaneClaim] = {}
        self.broken: dict[int, float] = {}
        self.back: list[Done | TokenFetched] = []
        self.fetching = 0
        self.solo_until = self.busy_until = 0.0
        self.solitude_at = time.monotonic() + SOLITUDE_EVERY_SECONDS
        self.renewed_at = time.monotonic()
        self.patience = LOOK_AGAIN_SECONDS
        self.late = False
        self.outlook = queue.Outlook(False, False, None)
        self.released_at = 0.0
        self.bell = Bell(heartbeat.stop_descriptor)
        self.asker = Asker(self.http, self.bell.ring, _forbid_database)

    def run(self) -> None:
        """Work, wait, work again; survives a database that goes away for a while."""
        called = False
        while not self.heartbeat.must_end():
            try:
                worked, called = self._turn(called), False
                if worked:
                    self.patience = LOOK_AGAIN_SECONDS
                else:
                    called = self._rest()
                self._gather()
            except (Error, psycopg.Error) as error:
                log.warning("The database does not answer (%s); trying again.", type(error).__name__)
                connections.close_all()
                self.bell.forget()
                time.sleep(DATABASE_RETRY_SECONDS)
        self._drain()

    def close(self) -> None:
        """Let go of threads and sockets; requests still under way are left to the look-up."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.asker.close()
        self.http.close()
        self.bell.close()

    def _turn(self, called: bool = False) -> bool:
        """One round over all kinds of work. False when nothing is left that can be begun now: what has just
        been recorded or set going is seen by the look after it. `called`: somebody has just stored something,
        most likely a message, which is then taken without looking around first."""
        self.heartbeat.beat()
        self._renew()
        self._release_delayed()
        self._record()
        self.asker.settle()
        if called:
            self.late = not self._route()
            if not self.late:
                return True
        self.outlook = queue.outlook(self._left_out())
        claimed = self.outlook.lanes and self._claim()
        return (self.outlook.messages and not called and self._route()) or claimed

    def _route(self) -> bool:
        """Route a batch and begin with what it leads to. False when nothing waits that could be routed."""
        if not router.route_next(self.book, self.configs, self.asker):
            return False
        # Routing a full batch takes a while: what has come back meanwhile frees its slots at once.
        self._record()
        self._claim()
        return True

    def _gather(self) -> None:
        """While results come several at once, let more come back before the next turn: its statements cost
        nearly the same for one result as for many. One that comes alone waits for nobody."""
        if self.in_hand and time.monotonic() < self.busy_until and self.finished.qsize() < ENOUGH_FOR_A_TURN:
            time.sleep(GATHER_SECONDS)

    def _release_delayed(self) -> bool:
        """Now and then, let delayed deliveries go whose wait may be over."""
        if time.monotonic() - self.released_at < RELEASE_EVERY_SECONDS:
            return False
        self.released_at = time.monotonic()
        return delays.release_due(self.book, self.configs) > 0

    def _rest(self) -> bool:
        """Wait for a bell. True when somebody has just stored something. All pumps hear that, and over a lone
        message they only get into each other's way: who came too late last time lets others begin."""
        called = self.bell.wait(self._pause())
        if called and self.late:
            time.sleep(LOOK_AGAIN_SECONDS)
        return called

    def _pause(self) -> float:
        """Seconds to wait for a bell at most. What another pump has in its hands may leave more when it is
        done, and nobody rings for that: it is looked at again soon, and then less and less often."""
        due = self.outlook.seconds
        pause = min(POLL_SECONDS, max(due, 0.0) if due is not None else POLL_SECONDS)
        if self.outlook.messages or self.outlook.lanes:
            pause, self.patience = min(pause, self.patience), min(POLL_SECONDS, self.patience * 1.25)
        return pause

    def _record(self) -> bool:
        """Record all that has come back. What a dropped connection keeps from it is recorded later: an
        outcome is too precious to lose."""
        self.back += _all_of(self.finished)
        worked = bool(self.back)
        if len(self.back) >= SEVERAL:
            self.busy_until = time.monotonic() + BUSY_SECONDS
        if done := [result for result in self.back if isinstance(result, Done)]:
            self._finish(done)
        for fetched in [result for result in self.back if isinstance(result, TokenFetched)]:
            self._settle(fetched)
        return worked

    def _finish(self, done: list[Done]) -> None:
        try:
            deliveries.finish(done, self.configs)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 (one result must not stop the others)
            self._isolate(done, error)
        self._let_go(done)

    def _let_go(self, done: list[Done]) -> None:
        for result in done:
            self.in_hand.pop(result.job.claim.lane_id, None)
        recorded = {id(result) for result in done}
        self.back = [result for result in self.back if id(result) not in recorded]

    def _settle(self, fetched: TokenFetched) -> None:
        try:
            tokens.settle(fetched)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 (such as an endpoint that was deleted meanwhile)
            log.error("A token could not be kept: %s", type(error).__name__)
        self.fetching -= 1
        self.back.remove(fetched)
        self.configs.forget(fetched.endpoint.id)

    def _isolate(self, done: list[Done], error: Exception) -> None:
        """Record results one by one, and hold the delivery whose result cannot be recorded."""
        if len(done) > 1:
            for result in done:
                self._finish([result])
            return
        log.error("A result could not be recorded: %s", place_of(error))
        deliveries.give_up(done[0], error)

    def _claim(self) -> bool:
        """Claim due lanes, endpoint by endpoint, while there is room for their requests."""
        claimed = False
        empty: list[int] = []
        while (room := self._room()) > 0:
            turn, prepared = self._claim_turn(min(room, CLAIM_AT_MOST), empty + self._left_out())
            if turn is None:
                break
            for job in prepared:
                self._submit(job)
            time.sleep(0)  # their threads first: they would wait for the interpreter until this one waits
            claimed = claimed or bool(prepared)
            if not prepared:
                empty.append(turn.endpoint_id)
            elif len(turn.lanes) < min(room, CLAIM_AT_MOST):
                break  # it had no more; the next round asks the others
        return claimed

    def _wants_solitude(self) -> bool:
        """Now and then a busy pump lets its requests run out, so that suspect lanes get their turn."""
        if not self.in_hand or time.monotonic() < self.solitude_at:
            return False
        if time.monotonic() < self.solitude_at + SOLITUDE_WAIT_SECONDS and queue.suspects_are_due():
            return True
        self.solitude_at = time.monotonic() + SOLITUDE_EVERY_SECONDS
        return False

    def _room(self) -> int:
        if self._wants_solitude():
            return 0
        if time.monotonic() < self.solo_until and self.in_hand:
            return 0
        return self._free_threads()

    def _free_threads(self) -> int:
        return settings.HTTP_THREADS - len(self.in_hand) - self.fetching

    def _share(self, endpoint_id: int) -> int:
        """How many more requests one endpoint may have under way: with what it has, half of the threads that
        the others leave. So those that hang leave threads to those that answer, and nothing waits for one."""
        held = sum(claim.endpoint_id == endpoint_id for claim in self.in_hand.values())
        return max(0, (self._free_threads() - held + 1) // 2)

    def _left_out(self) -> list[int]:
        """The endpoints that get no turn now: they rest because they are broken, or have their share."""
        resting = [endpoint_id for endpoint_id, until in self.broken.items() if time.monotonic() < until]
        held = {claim.endpoint_id for claim in self.in_hand.values()}
        return resting + [endpoint_id for endpoint_id in held if not self._share(endpoint_id)]

    def _claim_turn(self, room: int, without: list[int]) -> tuple[queue.Turn | None, list[sender.Job]]:
        """One endpoint's turn and its jobs. One that cannot be prepared gives its lanes back by the rollback
        and rests for a while; the others go on."""
        turn = None
        try:
            with transaction.atomic():
                turn = queue.claim_lanes(room, suspects=not self.in_hand, without=without, share=self._share)
                return turn, self._prepare(turn) if turn else []
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if turn is None:
                raise
            log.error("Endpoint %s cannot be worked on: %s", turn.endpoint_id, place_of(error))
            self.broken[turn.endpoint_id] = time.monotonic() + BROKEN_SECONDS
            return turn, []

    def _prepare(self, turn: queue.Turn) -> list[sender.Job]:
        if not turn.lanes:
            return []
        endpoint = self._endpoint(turn.endpoint_id)
        if endpoint.wants_token:
            self._fetch_token(endpoint)
            queue.release([claim.lane_id for claim in turn.lanes])
            return []
        rules = self.book.of(endpoint.environment_id, turn.revision)
        prepared = jobs.prepare(turn.lanes, endpoint, rules, self.configs)
        for source in {file.source.id: file.source for job in prepared if (file := job.file)}.values():
            if source.wants_token:
                # Later: who has that endpoint's gate may wait for the one that this transaction holds.
                transaction.on_commit(partial(self._fetch_token, source), robust=True)
        return prepared

    def _endpoint(self, endpoint_id: int) -> LoadedEndpoint:
        """The endpoint, read again if it lacks a token that another worker may just have fetched."""
        if self.configs.get(endpoint_id).wants_token:
            self.configs.forget(endpoint_id)
        return self.configs.get(endpoint_id)

    def _fetch_token(self, endpoint: LoadedEndpoint) -> None:
        def ask() -> None:
            self.fetching += 1
            self._run(lambda: tokens.fetch(endpoint, self.http))

        if gates.begin_token_refresh(endpoint.id):
            # After the commit: whoever waits for the token must see that it is on its way.
            transaction.on_commit(ask)

    def _submit(self, job: sender.Job) -> None:
        self.in_hand[job.claim.lane_id] = job.claim
        if job.claim.deaths > 1:
            self.solo_until = time.monotonic() + SOLO_SECONDS
        self._run(lambda: sender.perform(job, self.http, self.files))

    def _run(self, work: Callable[[], Done | TokenFetched]) -> None:
        def carry_out() -> None:
            self.finished.put(work())
            self.bell.ring()

        self.threads.submit(carry_out)

    def _renew(self) -> None:
        """Prolong our leases; what another worker has taken over is not ours to count any more."""
        if time.monotonic() - self.renewed_at < settings.LEASE_SECONDS / 4:
            return
        self.renewed_at = time.monotonic()
        kept = queue.renew((lane, claim.token) for lane, claim in self.in_hand.items())
        self.in_hand = {lane: claim for lane, claim in self.in_hand.items() if lane in kept}
        for claim in self.in_hand.values():
            claim.lease.prolong(self.renewed_at)

    def _drain(self) -> None:
        """Claim nothing more; wait for requests under way, then leave. What is left becomes unknown."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while (self.in_hand or self.fetching > 0) and time.monotonic() < deadline:
            try:
                self.heartbeat.beat()
                self._renew()
                if not self._record():
                    self.bell.wait(0.1, stopping=True)
            except (Error, psycopg.Error):
                connections.close_all()
                time.sleep(DATABASE_RETRY_SECONDS)


class Bell:
    """Wakes the pump: a finished request, a NOTIFY, or the word to stop."""

    def __init__(self, stop_descriptor: int | None) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._stop = stop_descriptor
        self._listener: psycopg.Connection[Any] | None = None

    def ring(self) -> None:
        """Wake the pump from another thread."""
        try:
            os.write(self._writer, b"!")
        except (BlockingIOError, OSError):
            return  # it is full of rings already, or the pump has ended

    def wait(self, seconds: float, *, stopping: bool = False) -> bool:
        """Until something rings, at most `seconds`. True when another process has said that work waits."""
        listener = self._listening()
        with selectors.PollSelector() as selector:  # unlike others, it is made without a system call
            selector.register(self._reader, selectors.EVENT_READ)
            selector.register(listener, selectors.EVENT_READ)
            if self._stop is not None and not stopping:
                selector.register(self._stop, selectors.EVENT_READ)
            selector.select(seconds)
        return self._quieten(listener)

    def forget(self) -> None:
        """Drop the LISTEN connection; the next wait opens a new one."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        """Close all descriptors; whoever rings later must not write into what has their numbers then."""
        self.forget()
        descriptors, self._reader, self._writer = (self._reader, self._writer), -1, -1
        for descriptor in descriptors:
            os.close(descriptor)

    def _listening(self) -> psycopg.Connection[Any]:
        if self._listener is None:
            self._listener = connect(connection.get_connection_params())
            self._listener.execute(f"LISTEN {CHANNEL}")
        return self._listener

    def _quieten(self, listener: psycopg.Connection[Any]) -> bool:
        try:
            while os.read(self._reader, 65536):
                pass
        except BlockingIOError:
            pass
        return bool(list(listener.notifies(timeout=0)))


# Every hot statement takes few rows through an index, one after the other. What PostgreSQL believes of how
# many there are is often minutes old, and by it a full queue may seem empty: ways that read all are shut.
PLANNER = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}


def plan_for_full_tables() -> None:
    """Plans are made once, maybe while a table is empty, and must be good when it holds millions of rows.

    Left to itself, PostgreSQL plans anew for each short array, which costs more than the statement."""
    options = connection.settings_dict["OPTIONS"]
    wanted = " ".join(f"-c {name}={value}" for name, value in PLANNER.items())
    options["options"] = f"{options.get('options', '')} {wanted}".strip()


def _spare_the_collector() -> None:
    """Take what is loaded for good out of garbage collection, and collect the rest less often: rows come
    and go by the hundred, and none of them form cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def _all_of(finished: queues.SimpleQueue[Done | TokenFetched]) -> list[Done | TokenFetched]:
    results = []
    while True:
        try:
            results.append(finished.get_nowait())
        except queues.Empty:
            return results


def _forbid_database() -> None:
    """HTTP threads hold values only: a query from one would open a connection that nobody closes."""
    connection.execute_wrappers.append(_refuse)


def _refuse(*_: Any) -> Any:
    raise RuntimeError("An HTTP thread must not use the database.")
