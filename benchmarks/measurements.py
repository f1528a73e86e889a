"""The measurements: each drives the running product for some seconds and says what it saw."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.correctness import Correctness, examine
from benchmarks.load import Plan, Sent
from benchmarks.metering import Meter
from benchmarks.product import Access, BenchmarkError, Product

POLL_SECONDS = 0.05
STALLED_SECONDS = 60.0
CALM_PER_SECOND = 20.0
BUSY_SHARE = 0.8
DELAY_SECONDS = 0.05
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each measurement sends; times are in seconds."""

    warm_up: int = 300
    accepted: int = 5000
    floor: int = 4000
    delivered: int = 6000
    delivered_slowly: int = 5000
    calm: float = 15.0
    busy: float = 10.0
    tickets: int = 200
    updates: int = 10

    def scaled(self, factor: float) -> Sizes:
        """The same, larger or smaller; a ticket's number of updates stays."""
        return replace(
            self,
            warm_up=_at_least(20, self.warm_up * factor),
            accepted=_at_least(50, self.accepted * factor),
            floor=_at_least(50, self.floor * factor),
            delivered=_at_least(50, self.delivered * factor),
            delivered_slowly=_at_least(50, self.delivered_slowly * factor),
            calm=max(1.0, self.calm * factor),
            busy=max(1.0, self.busy * factor),
            tickets=_at_least(5, self.tickets * factor),
        )


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long something took, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles:
        """From single durations in seconds."""
        ranked = sorted(seconds)
        found = (ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.50, 0.95, 0.99))
        return cls(*(round(value * 1000, 2) for value in found))


@dataclass(frozen=True, slots=True)
class Accepting:
    """What the web server takes in, nothing else running."""

    per_second: float
    latency: Percentiles
    drained_per_second: float


@dataclass(frozen=True, slots=True)
class Flow:
    """Messages on their whole way, from the first post to the last arrival."""

    per_second: float
    accepted_per_second: float
    cpu_ms: dict[str, float] = field(default_factory=dict)
    cpu_ms_by_process: dict[str, float] = field(default_factory=dict)


class Bench:
    """One run over a product whose web server and workers are started as the measurements need them."""

    def __init__(self, product: Product, access: Access, sizes: Sizes) -> None:
        self.product, self.access, self.sizes = product, access, sizes
        self.meter = Meter(product.roots)
        self.sent: list[Sent] = []
        self.arrivals: list[tuple[str, float]] = []

    def floor(self) -> float:
        """Messages per second of the least work by hand."""
        connection = {"host": str(self.product.postgres.socket), "user": "oneio", "dbname": "oneio"}
        messages, url = self.sizes.floor, self.product.sink.url
        took = self.product.python("benchmarks.floor", str(messages), url, text=json.dumps(connection))
        self.product.sink.forget()
        return messages / float(took)

    def warm_up(self) -> None:
        """Let caches fill and connections open."""
        self._deliver(self._plan("W", self.sizes.warm_up))

    def accept(self) -> Accepting:
        """Post as fast as the web server answers, then start the workers and see the pile drained."""
        sent = self.product.post(self._plan("A", self.sizes.accepted))
        latency = Percentiles.of([row.answered - row.sent for row in sent])
        self.product.start_workers()
        arrivals = self._await(sent)
        first, last = arrivals[0][1], arrivals[-1][1]
        return Accepting(_rate(sent), latency, len(sent) / (last - first))

    def saturate(self, delay: float) -> Flow:
        """Post as fast as the web server answers while the workers deliver."""
        messages = self.sizes.delivered_slowly if delay else self.sizes.delivered
        self.product.sink.answer_after(delay)
        before, by_process = self.meter.cpu(), self.meter.per_process()
        sent, arrivals = self._deliver(self._plan("D" if delay else "S", messages))
        after, by_process_after = self.meter.cpu(), self.meter.per_process()
        self.product.sink.answer_after(0)
        took = arrivals[-1][1] - min(row.sent for row in sent)
        cost = {name: (after[name] - before[name]) * 1000 / messages for name in after}
        return Flow(messages / took, _rate(sent), cost, _grown(by_process, by_process_after, messages))

    def latency(self, prefix: str, per_second: float, seconds: float) -> Percentiles:
        """From when each message was due until it arrived, at a steady rate."""
        plan = replace(self._plan(prefix, max(1, round(per_second * seconds))), rate=per_second)
        sent, arrivals = self._deliver(plan)
        due = {row.reference: row.due for row in sent}
        return Percentiles.of([at - due[reference] for reference, at in arrivals])

    def order(self) -> None:
        """Messages of the same tickets right behind each other, for the count at the end."""
        self._deliver(self._plan("O", self.sizes.tickets, self.sizes.updates + 1))

    def correctness(self) -> Correctness:
        """Whether all that was accepted in the whole run arrived once and in order."""
        return examine([row.reference for row in self.sent], [reference for reference, _ in self.arrivals])

    def _plan(self, prefix: str, tickets: int, messages: int = 1) -> Plan:
        return Plan(self.product.port, self.access.authorization, prefix, tickets, messages)

    def _deliver(self, plan: Plan) -> tuple[list[Sent], list[tuple[str, float]]]:
        sent = self.product.post(plan)
        return sent, self._await(sent)

    def _await(self, sent: list[Sent]) -> list[tuple[str, float]]:
        """Wait until everything has arrived; note and forget it. Raises BenchmarkError if nothing moves."""
        count, since = -1, time.monotonic()
        while count < len(sent):
            time.sleep(POLL_SECONDS)
            self.product.check()
            now = self.product.sink.count()
            if now != count:
                count, since = now, time.monotonic()
            if time.monotonic() - since > STALLED_SECONDS:
                raise BenchmarkError(f"Only {count} of {len(sent)} messages arrived; then nothing moved.")
        time.sleep(SETTLE_SECONDS)
        arrivals = self.product.sink.arrivals()
        self.product.sink.forget()
        self.sent += sent
        self.arrivals += arrivals
        return arrivals


def _rate(sent: Sequence[Sent]) -> float:
    return len(sent) / (max(row.answered for row in sent) - min(row.sent for row in sent))


def _grown(before: dict[str, float], after: dict[str, float], messages: int) -> dict[str, float]:
    """CPU milliseconds per message of each process that did something."""
    cost = {name: (seconds - before.get(name, 0.0)) * 1000 / messages for name, seconds in after.items()}
    return {name: round(value, 3) for name, value in cost.items() if value >= 0.005}


def _at_least(least: int, wanted: float) -> int:
    return max(least, round(wanted))
