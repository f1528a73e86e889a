"""Supervises a django-q2 cluster: starts it in a process group of its own, watches it, stops it cleanly.

django-q2 cannot be trusted to end or to notice its dead, so nothing here waits for it without a limit:
a cluster that stands still or outstays its stop is killed as a group and started again.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from uuid import UUID, uuid4

import psutil
from django.conf import settings
from django.db import Error, connections
from django.utils import timezone
from django.utils.module_loading import import_string

from oneio import runtime
from oneio.blame import place_of
from oneio.broker import beating_pumps, bury, pump_processes, scheduled_work_is_stuck

log = logging.getLogger(__name__)
WATCH_SECONDS = 0.5
STALLED_AFTER_SECONDS = 30.0
STOP_SECONDS = 23.0
RESTART_PAUSE_SECONDS = 1.0
CHECK_SECONDS = 2.0


class Supervisor:
    """Keeps one cluster running until SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self._stop = False
        self._cluster: int | None = None
        self._word: int | None = None
        self._healthy_at = time.monotonic()
        self._started_at = timezone.now()
        self._checked_at = 0.0
        self._pumps: dict[UUID, int] = {}

    def run(self) -> None:
        """Start the cluster again as often as needed; returns when stopped."""
        with self._signals():
            while not self._stop:
                self._start()
                self._watch()
                self._end()
                if not self._stop:
                    log.warning("The workers ended unexpectedly and are started again.")
                    time.sleep(RESTART_PAUSE_SECONDS)

    def _start(self) -> None:
        connections.close_all()  # the child must inherit no open connection
        _load_what_all_need()
        runtime.cluster_id = uuid4()
        runtime.stop_descriptor, self._word = os.pipe()
        self._healthy_at, self._started_at = time.monotonic(), timezone.now()
        self._pumps = {}
        self._cluster = os.fork()
        if self._cluster == 0:
            os.close(self._word)
            _lead(runtime.stop_descriptor)
        with contextlib.suppress(PermissionError):  # the child has done it itself already
            os.setpgid(self._cluster, self._cluster)
        os.close(runtime.stop_descriptor)

    def _watch(self) -> None:
        """Until the cluster has ended, stands still, or is to stop."""
        while not self._stop and not self._has_ended():
            self._bury_the_dead()
            if self._stands_still():
                log.error(
                    "The workers have stood still for %d seconds; starting again.", STALLED_AFTER_SECONDS
                )
                return
            time.sleep(WATCH_SECONDS)

    def _end(self) -> None:
        """Say stop by closing the pipe, wait a limited time, then kill what is left of the group."""
        assert self._word is not None
        os.close(self._word)
        deadline = time.monotonic() + (STOP_SECONDS if self._stop else 0.0)
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(0.1)
        self._kill()

    def _kill(self) -> None:
        if self._cluster is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._cluster, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._cluster, 0)
        self._cluster = None

    def _has_ended(self) -> bool:
        assert self._cluster is not None
        try:
            return os.waitpid(self._cluster, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def _bury_the_dead(self) -> None:
        """Pumps whose processes are gone count no more; looking costs no query while all live."""
        assert self._cluster is not None
        dead = [pump for pump, pid in self._pumps.items() if not _lives(pid, self._cluster)]
        if dead:
            self._pumps = {pump: pid for pump, pid in self._pumps.items() if pump not in dead}
            with _database_may_be_away():
                bury(dead)

    def _stands_still(self) -> bool:
        """Whether fewer pumps than wanted have been beating for too long, or scheduled work does not end. A
        database that does not answer proves nothing."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return False
        self._checked_at = time.monotonic()
        complete = True
        with _database_may_be_away():
            self._pumps = pump_processes()
            complete = beating_pumps() >= settings.PUMPS and not scheduled_work_is_stuck(self._started_at)
        if complete:
            self._healthy_at = time.monotonic()
        return time.monotonic() - self._healthy_at > STALLED_AFTER_SECONDS

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stop = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _database_may_be_away() -> Iterator[None]:
    try:
        yield
    except Error:
        connections.close_all()


def _lives(pid: int, group: int) -> bool:
    """Whether a process of that group still runs; its id may have been given to a stranger."""
    try:
        return os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _lead(stop_descriptor: int) -> None:
    """The cluster's first process, which is django-q2's sentinel. Never returns."""
    try:
        os.setpgid(0, 0)
        _be_sentinel(_Word(stop_descriptor))
    except Exception as error:  # noqa: BLE001 (whatever it is, the supervisor starts again)
        log.error("The workers' sentinel failed: %s", place_of(error))
    finally:
        _kill_group()


def _be_sentinel(word: _Word) -> None:
    """Guard the workers until the word to stop. django-q2 would start this from another process, which then
    only waits and holds its share of memory."""
    from django_q.cluster import Sentinel

    signal.signal(signal.SIGALRM, _kill_group)
    Sentinel(word, threading.Event(), uuid4())


def _kill_group(*_: object) -> None:
    """Whatever went wrong, nobody of the group may stay behind."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


class _Word:
    """The supervisor's word to stop, which is the end of a pipe, asked for as an event. From then on stopping
    has a limit, also when the supervisor is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def is_set(self) -> bool:
        """Whether it has been said."""
        return self.wait(0.0)

    def wait(self, seconds: float) -> bool:
        """Whether it is said within that time."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        if not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, STOP_SECONDS)
        return True


def _load_what_all_need() -> None:
    """Load the pump's modules before the forks, so that its processes share their memory, and keep the
    collector from touching, and so copying, what is shared."""
    import_string(settings.PUMP)
    gc.collect()
    gc.freeze()
