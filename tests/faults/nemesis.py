"""Kills, stops and restarts the parts of an installation, at random by a seed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults.background import Background
from tests.faults.installation import Installation
from tests.faults.proxy import FaultProxy

OUTAGE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault: when (seconds since the start), what, and whom it hit."""

    at: float
    what: str
    whom: str


class Nemesis:
    """Strikes one installation and its targets' proxies."""

    def __init__(
        self, victim: Installation, network: Background, proxies: list[FaultProxy], seed: int
    ) -> None:
        self.blows: list[Blow] = []
        self._victim, self._network, self._proxies = victim, network, proxies
        self._random = random.Random(seed)
        self._began = time.monotonic()
        self._order = self._rounds()

    def strike(self) -> Blow:
        """Deal the next blow; returns when it is dealt and what was stopped goes on."""
        what = next(self._order)
        at = time.monotonic() - self._began
        blow = Blow(round(at, 1), what.__name__, what())
        self.blows.append(blow)
        return blow

    def kill_pump(self) -> str:
        """SIGKILL to a worker process that pumps."""
        return self._signal(self._some_pump(), signal.SIGKILL)

    def stop_pump(self) -> str:
        """SIGSTOP to a pump until well past its lease, then SIGCONT."""
        pump = self._some_pump()
        hit = self._signal(pump, signal.SIGSTOP)
        time.sleep(self._victim.lease * self._random.uniform(1.2, 2.5))
        self._signal(pump, signal.SIGCONT)
        return hit

    def kill_sentinel(self) -> str:
        """SIGKILL to django-q2's sentinel."""
        sentinel = self._victim.sentinel()
        return self._signal(sentinel and sentinel.pid, signal.SIGKILL)

    def kill_supervisor(self) -> str:
        """SIGKILL to `manage.py worker`, which is then started anew."""
        pid = self._victim.workers.pid
        self._victim.workers.kill_first()
        self._victim.workers.start_again()
        return f"process {pid}"

    def kill_web_server(self) -> str:
        """SIGKILL to the whole web server, which is then started anew."""
        pid = self._victim.web.pid
        self._victim.web.kill()
        self._victim.start_web()
        return f"process {pid}"

    def restart_database(self) -> str:
        """PostgreSQL stopped with -m immediate and started again."""
        self._victim.restart_database()
        return "PostgreSQL"

    def unplug_target(self) -> str:
        """The target refuses connections for a while."""
        proxy = self._random.choice(self._proxies)
        self._network.do(proxy.stop())
        time.sleep(OUTAGE_SECONDS)
        self._network.do(proxy.start())
        return f"port {proxy.port}"

    def _rounds(self) -> Iterator[Callable[[], str]]:
        """Every kind of blow once per round, in a new order each time."""
        kinds: list[Callable[[], str]] = [
            self.kill_pump,
            self.stop_pump,
            self.kill_sentinel,
            self.kill_supervisor,
            self.kill_web_server,
            self.restart_database,
            self.unplug_target,
        ]
        while True:
            self._random.shuffle(kinds)
            yield from kinds

    def _some_pump(self) -> int | None:
        pumps = self._victim.pumps()
        return self._random.choice(pumps) if pumps else None

    def _signal(self, pid: int | None, number: signal.Signals) -> str:
        if pid is None:
            return "nobody was there"
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return f"process {pid}"
