"""Wakes waiting workers soon after something was committed; losing a wake-up costs a poll, never work."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import psycopg
from django.db import connection

CHANNEL = "oneio_work"
# NOTIFY takes a lock that serialises commits: one for many messages is enough.
DEBOUNCE_SECONDS = 0.002
# Commits that are further apart than that hardly meet.
QUIET_SECONDS = 0.02
RECONNECT_SECONDS = 1.0


class Waker:
    """One thread and one autocommit connection of this process that send NOTIFY, never the request itself."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._pid = 0
        self._asked_at = 0.0

    def quiet(self) -> bool:
        """Whether nothing was stored just before: then the caller's own commit may carry the NOTIFY, which
        wakes workers sooner by a thread's turn and a statement. Ask once for each commit."""
        last, self._asked_at = self._asked_at, time.monotonic()
        return self._asked_at - last > QUIET_SECONDS

    def wake(self) -> None:
        """Ask for a wake-up: returns at once. Call after commit."""
        if self._pid != os.getpid():
            self._start()
        self._due.set()

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._due = threading.Event()
            self._pid = os.getpid()
            parameters = connection.get_connection_params()
            threading.Thread(target=self._run, args=(parameters,), daemon=True, name="waker").start()

    def _run(self, parameters: dict[str, object]) -> None:
        while True:
            with contextlib.suppress(psycopg.Error):
                self._notify_forever(parameters)
            time.sleep(RECONNECT_SECONDS)

    def _notify_forever(self, parameters: dict[str, object]) -> None:
        with connect(parameters) as database:
            # A NOTIFY is a commit, but there is nothing in it to keep: it need not wait for the disk.
            database.execute("SET synchronous_commit = off")
            while True:
                self._due.wait()
                self._due.clear()
                database.execute(f"NOTIFY {CHANNEL}")
                time.sleep(DEBOUNCE_SECONDS)


def connect(parameters: dict[str, object]) -> psycopg.Connection[tuple[object, ...]]:
    """An autocommit connection outside Django's, from its connection parameters."""
    own = {"cursor_factory", "context", "pool", "prepare_threshold"}
    return psycopg.connect(
        **{name: value for name, value in parameters.items() if name not in own},  # type: ignore[arg-type]
        autocommit=True,
    )


_waker = Waker()
wake, quiet = _waker.wake, _waker.quiet
