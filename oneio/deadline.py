"""A limit on how long a request waits for the database, kept by this process and not by the server.

A statement time-out is the server's to keep, and a frozen or unreachable server keeps none. Here a watchdog
thread shuts the socket of a connection that is waited for too long; whoever waits gets OperationalError.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db import connection

DATABASE_SECONDS = 5.0
TICK_SECONDS = 0.1
CHECK_SECONDS = 2.0
# A busy connection is not asked before each request whether it still works: its last answer says so.
CHECKED_SECONDS = 1.0


class Watchdog:
    """One thread per process and what it watches: connections, and until when each may be waited for."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, psycopg.Connection[Any]]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._pid = 0

    @contextlib.contextmanager
    def watching(self, database: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
        """Cut `database` off if the block takes longer than `seconds`."""
        if self._pid != os.getpid():
            self._start()
        key = next(self._numbers)
        with self._lock:
            self._watched[key] = (time.monotonic() + seconds, database)
        self._awake.set()
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(key, None)

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            # After a fork the parent's entries and thread are not ours.
            self._pid, self._watched, self._awake = os.getpid(), {}, threading.Event()
            threading.Thread(target=self._run, daemon=True, name="database deadline").start()

    def _run(self) -> None:
        while True:
            self._awake.wait()
            with self._lock:
                self._cut_overdue(time.monotonic())
                if not self._watched:
                    self._awake.clear()
            time.sleep(TICK_SECONDS)

    def _cut_overdue(self, now: float) -> None:
        for key, (until, database) in list(self._watched.items()):
            if until < now:
                del self._watched[key]
                _shut(database)


_watchdog = Watchdog()


@contextlib.contextmanager
def database_deadline() -> Iterator[None]:
    """Give the block's work on Django's connection 5 s; then it fails with OperationalError.

    Making the connection has its own limits: `connect_timeout` and the pool's time-out.
    """
    connection.ensure_connection()
    database = connection.connection
    assert database is not None
    try:
        with _watchdog.watching(database, DATABASE_SECONDS):
            yield
    finally:
        if database.closed and not connection.in_atomic_block:
            connection.close()


class PooledConnection(psycopg.Connection[Any]):
    """A connection for the pool whose health check gives up on a frozen server, and is good for a second.

    Django runs its statements on cursors; `execute` on the connection itself is the pool's check alone.
    """

    _checked_at = -CHECKED_SECONDS

    def execute(self, *args: Any, **kwargs: Any) -> psycopg.Cursor[Any]:
        """Run one statement, for 2 s at most; nothing if one has just gone well."""
        if time.monotonic() - self._checked_at < CHECKED_SECONDS:
            return self.cursor()
        with _watchdog.watching(self, CHECK_SECONDS):
            answer = super().execute(*args, **kwargs)
        self._checked_at = time.monotonic()
        return answer


def _shut(database: psycopg.Connection[Any]) -> None:
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(database.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
