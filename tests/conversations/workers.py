"""Other workers for tests: threads with database connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import connection, transaction

from conversations import jobs, queue
from conversations.models import Lane
from endpoints.configs import EndpointConfigs
from oneio.statements import one
from oneio.wakeup import connect
from routing.rules import RuleBook
from tests.patience import PATIENCE, wait_for

PAST = datetime(2020, 1, 1, tzinfo=UTC)
T = TypeVar("T")


def at_once(work: Callable[[], T], times: int = 2) -> list[T]:
    """The results of `times` threads that start `work` together, each with its own connection."""
    start = threading.Barrier(times)

    def carry_out(_: int) -> T:
        start.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(carry_out, range(times)))


class OtherWorker:
    """One more connection, in a thread of its own, that may keep a transaction open meanwhile."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._open = ExitStack()

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Begin `work` there; for what has to wait for a lock."""
        return self._thread.submit(work)

    def do(self, work: Callable[[], T]) -> T:
        """Do `work` there and wait for it."""
        return self.start(work).result(PATIENCE)

    def begin(self) -> None:
        """Open a transaction that stays open."""
        self.do(lambda: self._open.enter_context(transaction.atomic()))

    def commit(self) -> None:
        """Commit what was begun."""
        self.do(self._open.close)


@contextmanager
def other_worker() -> Iterator[OtherWorker]:
    """A second connection; closed at the end."""
    with ThreadPoolExecutor(1) as thread:
        try:
            yield OtherWorker(thread)
        finally:
            thread.submit(lambda: connection.close()).result(PATIENCE)  # this thread's own


def expire_leases() -> None:
    """As if the workers that hold lanes had died long ago."""
    Lane.objects.filter(lease_until__isnull=False).update(lease_until=PAST, due_at=PAST)


def take(endpoint_id: int, limit: int = 10) -> list[jobs.Job]:
    """Claim one endpoint's due lanes and prepare their jobs, as a pump does in one transaction."""
    others = list(Lane.objects.exclude(endpoint=endpoint_id).values_list("endpoint_id", flat=True))
    with transaction.atomic():
        turn = queue.claim_lanes(limit, suspects=True, without=others)
        assert turn is not None
        endpoint = EndpointConfigs().get(endpoint_id)
        return jobs.prepare(turn.lanes, endpoint, RuleBook().of(endpoint.environment_id))


def wait_for_waiting() -> None:
    """Until another connection waits for a lock."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database())"
    )
    wait_for(lambda: one(waiting) == (True,))


@contextmanager
def locked(sql: str, parameters: list[Any]) -> Iterator[None]:
    """Another connection holds the rows that `sql` locks."""
    with connect(connection.get_connection_params()) as database, database.transaction():
        database.execute(sql, parameters)
        yield
