"""The load generator, in a process of its own: posts incidents over kept connections and notes the times.

Usage: python -m benchmarks.load < plan.json > sent.json   (a `Plan` in, rows of `Sent` out)
"""

from __future__ import annotations

import asyncio
import json
import selectors
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import NamedTuple

from benchmarks import incident, wire

ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: `tickets` tickets whose names begin with `prefix`, each with `messages` messages.

    With a `rate` (per second) messages are sent when due, answered or not (open loop); without one, each
    connection sends its next message when the last was answered (closed loop). A ticket's messages go
    over one connection, in order, in a closed loop.
    """

    port: int
    authorization: str
    prefix: str
    tickets: int
    messages: int = 1
    connections: int = 16
    rate: float = 0.0
    path: str = "/api/v1/messages"


class Sent(NamedTuple):
    """One message: its reference, and when it was due, sent and answered (monotonic seconds)."""

    reference: str
    due: float
    sent: float
    answered: float
    status: int


class Work(NamedTuple):
    """One message to be sent at `due`."""

    reference: str
    due: float
    request: bytes


class Lane(asyncio.Protocol):
    """One kept connection that has one request under way at a time."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.framer = wire.Framer()
        self.queue: deque[Work] = deque()
        self.current: Work | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.generator.lost(self)

    def data_received(self, data: bytes) -> None:
        answer = self.framer.feed(data)
        if answer is not None and self.current is not None:
            work, self.current = self.current, None
            self.generator.answered(self, work, self.sent_at, wire.status_of(answer[0]))

    def send(self, work: Work) -> None:
        """Put one message on the wire."""
        self.current, self.sent_at = work, time.monotonic()
        self.transport.write(work.request)


class Generator:
    """Carries out a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sent: list[Sent] = []
        self.lanes: list[Lane] = []
        self.idle: deque[Lane] = deque()
        self.waiting: deque[Work] = deque()
        self.finished = asyncio.Event()
        self.total = plan.tickets * plan.messages

    async def run(self) -> list[Sent]:
        """Send everything; returns when all is answered. Raises TimeoutError or ConnectionError."""
        loop = asyncio.get_running_loop()
        for _ in range(self.plan.connections):
            _, lane = await loop.create_connection(lambda: Lane(self), "127.0.0.1", self.plan.port)
            self.lanes.append(lane)
        if self.plan.rate:
            await self._keep_the_rate()
        else:
            self._send_all_at_once()
        await self._end(ANSWER_SECONDS + self.total / 20)
        return self.sent

    def answered(self, lane: Lane, work: Work, sent_at: float, status: int) -> None:
        """Note an answer and give the connection its next message."""
        self.sent.append(Sent(work.reference, work.due, sent_at, time.monotonic(), status))
        queue = lane.queue or self.waiting
        if queue:
            following = queue.popleft()
            lane.send(following if self.plan.rate else following._replace(due=time.monotonic()))
        else:
            self.idle.append(lane)
        if len(self.sent) == self.total:
            self.finished.set()

    def lost(self, lane: Lane) -> None:
        """A connection has ended; before all is answered that means the server broke it."""
        self.finished.set()

    async def _end(self, seconds: float) -> None:
        await asyncio.wait_for(self.finished.wait(), seconds)
        if len(self.sent) < self.total:
            raise ConnectionError("The web server closed a connection before it answered.")
        for lane in self.lanes:
            lane.transport.close()

    def _send_all_at_once(self) -> None:
        """Tickets are dealt out to the connections; each sends its own, one after the other."""
        for number in range(self.plan.tickets):
            queue = self.lanes[number % len(self.lanes)].queue
            queue += [self._work(number, sequence, 0.0) for sequence in range(self.plan.messages)]
        for lane in self.lanes:
            if lane.queue:
                lane.send(lane.queue.popleft()._replace(due=time.monotonic()))

    async def _keep_the_rate(self) -> None:
        self.idle.extend(self.lanes)
        works = [self._work(number, 0, number / self.plan.rate) for number in range(self.plan.tickets)]
        start = time.monotonic() + 0.1
        for work in works:
            due = start + work.due
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            self._send_now(work._replace(due=due))

    def _send_now(self, work: Work) -> None:
        if self.idle:
            self.idle.popleft().send(work)
        else:
            self.waiting.append(work)

    def _work(self, number: int, sequence: int, due: float) -> Work:
        ticket = f"{self.plan.prefix}{number:06d}"
        body = incident.body(ticket, sequence)
        request = wire.post(self.plan.path, "localhost", self.plan.authorization, body)
        return Work(incident.reference(ticket, sequence), due, request)


def to_text(plan: Plan) -> str:
    """A plan as this module's standard input takes it."""
    return json.dumps(asdict(plan))


def main() -> None:
    """Carry out the plan on standard input."""
    plan = Plan(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=_punctual_loop) as runner:
        json.dump(runner.run(Generator(plan).run()), sys.stdout)


def _punctual_loop() -> asyncio.AbstractEventLoop:
    """A loop that keeps time: epoll, which asyncio takes by itself, wakes up to a millisecond too late."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    main()
