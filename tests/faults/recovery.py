"""How long it takes until work goes on: real signals to workers as they are in real life, and a clock."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import psutil

from tests.faults.cut import creates
from tests.faults.history import Findings
from tests.faults.installation import wait_until
from tests.faults.line import FaultLine
from tests.faults.messages import mark_of
from tests.faults.proxy import Fault

DEFAULTS = {"ONEIO_PUMPS": "2", "ONEIO_HTTP_THREADS": "96", "ONEIO_LEASE_SECONDS": "20"}
"""The workers that one gets who sets nothing."""
REQUESTS = 4
"""How many are under way when workers are stopped."""
ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """`strike` uses tickets from its number on, REQUESTS at most, and says how many seconds each thing took.

    `asked`: what that is → within how many seconds it has to be, None where nothing is asked.
    """

    asked: Mapping[str, float | None]
    strike: Callable[[FaultLine, int], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """How long one thing took each time, in seconds."""

    what: str
    asked: float | None
    seconds: Sequence[float]

    @property
    def worst(self) -> float:
        """The longest."""
        return max(self.seconds)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def in_time(self) -> bool:
        """Whether it never took longer than is asked."""
        return self.asked is None or self.worst <= self.asked


@dataclass(frozen=True, slots=True)
class Recovery:
    """All that was measured, and what became of the messages."""

    measured: Sequence[Measured]
    findings: Findings

    @property
    def sound(self) -> bool:
        """Whether every message arrived, and once."""
        return self.findings.sound and self.findings.delivered == self.findings.attempted

    @property
    def in_time(self) -> bool:
        """Whether nothing took longer than is asked."""
        return all(one.in_time for one in self.measured)

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for a file."""
        times = [asdict(one) | {"worst": one.worst, "median": one.median} for one in self.measured]
        return {"measured": times, "sound": self.sound, "in_time": self.in_time, **self.findings.as_json()}


def measure_recovery(
    line: FaultLine,
    disturbances: Iterable[Disturbance],
    times: int,
    watch: Callable[[int], None] = lambda _: None,
) -> Recovery:
    """Let each disturbance happen `times` times, each when all pumps beat again."""
    pumps, done = len(line.installed.pumps()), count(1)
    measured = []
    for disturbance in disturbances if times else ():
        took = []
        for _ in range(times):
            wait_until(lambda: len(line.installed.pumps()) == pumps)
            number = next(done)
            took.append(disturbance.strike(line, number * REQUESTS))
            watch(number)
        columns = zip(*took, strict=True)
        measured += [
            Measured(*asked, one) for asked, one in zip(disturbance.asked.items(), columns, strict=True)
        ]
    return Recovery(measured, line.settle())


def _kill_idle_pumps(line: FaultLine, number: int) -> list[float]:
    return [_arrival_after_killing(line.installed.pumps(), line, number)]


def _kill_all_below_sentinel(line: FaultLine, number: int) -> list[float]:
    victims = [process.pid for process in _sentinel(line).children(recursive=True)]
    return [_arrival_after_killing(victims, line, number)]


def _kill_busy_pump(line: FaultLine, number: int) -> list[float]:
    line.proxy.order(Fault.WITHHOLD, to=creates)
    line.post(number, number + 1)
    began = _signal(line.wait_for_senders(1), signal.SIGKILL)
    line.network.do(line.release())
    wait_until(lambda: line.is_delivered(number))
    return [_since(began)]


def _kill_sentinel(line: FaultLine, number: int) -> list[float]:
    sentinel = _sentinel(line)
    group = {sentinel, *sentinel.children(recursive=True)}
    began = _signal([sentinel.pid], signal.SIGKILL)
    wait_until(lambda: group.isdisjoint(line.installed.workers.members()))
    ended = _since(began)
    return [ended, _arrival(line, number, began)]


def _stop_while_answers_come(line: FaultLine, number: int) -> list[float]:
    began = _stop_under_way(line, number)
    time.sleep(ANSWER_SECONDS)
    line.network.do(line.release())
    return [_end_of_workers(line, began)]


def _stop_while_no_answer_comes(line: FaultLine, number: int) -> list[float]:
    return [_end_of_workers(line, _stop_under_way(line, number))]


def _arrival_after_killing(victims: Iterable[int], line: FaultLine, number: int) -> float:
    return _arrival(line, number, _signal(victims, signal.SIGKILL))


def _arrival(line: FaultLine, number: int, began: float) -> float:
    """Of a message that is posted only now, so that nobody who is to die can have sent it."""
    line.post(number, number + 1)
    mark = mark_of(f"{line.prefix}{number:04d}", 0)
    wait_until(lambda: any(entry.mark == mark for entry in line.target.journal))
    return _since(began)


def _stop_under_way(line: FaultLine, number: int) -> float:
    line.proxy.order(Fault.WITHHOLD, times=REQUESTS, to=creates)
    line.post(number, number + REQUESTS)
    line.wait_for_senders(REQUESTS)
    return _signal([line.installed.workers.pid], signal.SIGTERM)


def _end_of_workers(line: FaultLine, began: float) -> float:
    """Wait for it without helping, and start them again."""
    workers = line.installed.workers
    wait_until(lambda: not workers.members())
    took = _since(began)
    line.network.do(line.release())
    workers.stop()
    workers.start_again()
    return took


def _sentinel(line: FaultLine) -> psutil.Process:
    sentinel = line.installed.sentinel()
    assert sentinel, "no sentinel lives"
    return sentinel


def _signal(processes: Iterable[int], number: signal.Signals) -> float:
    """When that began."""
    began = time.monotonic()
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
    return began


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


NEW_MESSAGE = "until a message posted then arrived"
ALL_ENDED = "until all processes had ended"
QUICK = (
    Disturbance({f"idle pumps killed, {NEW_MESSAGE}": 60.0}, _kill_idle_pumps),
    Disturbance({"busy pump killed, until its ticket was settled": 30.0}, _kill_busy_pump),
    Disturbance(
        {"sentinel killed, until none of its group lived": 5.0, f"sentinel killed, {NEW_MESSAGE}": None},
        _kill_sentinel,
    ),
    Disturbance(
        {f"stopped, answers after {ANSWER_SECONDS:.0f} s, {ALL_ENDED}": 25.0}, _stop_while_answers_come
    ),
    Disturbance({f"stopped, answers never, {ALL_ENDED}": 25.0}, _stop_while_no_answer_comes),
)
DISTURBANCES = (
    *QUICK,
    Disturbance({f"all below the sentinel killed, {NEW_MESSAGE}": 60.0}, _kill_all_below_sentinel),
)
"""All of them; after the last nobody gets django-q2's tasks until the supervisor has seen it."""
