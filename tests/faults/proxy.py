"""A proxy between the workers and a target that spoils exchanges: chosen at run time, or random by a seed.

No fault delays a request: what a worker has sent is either passed on at once or never. A request that a
network delivers after its sender's lease has ended is beyond what any sender can repair.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from socket import SO_LINGER, SOL_SOCKET

from tests.faults.framing import Framed, read_body, read_head, read_message

LATENCY_SECONDS = 0.4
PIECES = 8
PIECE_SECONDS = 0.05


class Fault(StrEnum):
    """What can become of one exchange."""

    LATENCY = "latency"
    """The answer comes late."""
    RESET_BEFORE_REQUEST = "reset_before_request"
    """The connection is reset before the request's body has been read."""
    RESET_AFTER_REQUEST = "reset_after_request"
    """The whole request is taken, then the connection is reset; the target never sees it."""
    SLOW_BODY = "slow_body"
    """The answer comes in small pieces."""
    CUT_BODY = "cut_body"
    """The target does it; the connection is closed in the middle of the answer."""
    APPLY_THEN_DROP = "apply_then_drop"
    """The target does it; the connection is closed without an answer."""
    REPLY_TWICE = "reply_twice"
    """The answer comes twice."""
    WITHHOLD = "withhold"
    """The target does it; the answer is kept back until `release`, or for ever."""


STORM: Mapping[Fault, float] = {
    Fault.LATENCY: 0.02,
    Fault.RESET_BEFORE_REQUEST: 0.005,
    Fault.RESET_AFTER_REQUEST: 0.005,
    Fault.SLOW_BODY: 0.005,
    Fault.CUT_BODY: 0.005,
    Fault.APPLY_THEN_DROP: 0.01,
    Fault.REPLY_TWICE: 0.005,
}
"""A bad day: the chance of each fault per exchange."""


class FaultProxy:
    """One listening port in front of one target. `chances`: fault → probability, changed at any time."""

    def __init__(self, target_port: int, seed: int = 0) -> None:
        self.chances: Mapping[Fault, float] = {}
        self.counts: Counter[Fault] = Counter()
        self.withheld: deque[int] = deque()
        """The callers' ports of answers kept back, oldest first."""
        self.port = 0
        self._target_port = target_port
        self._random = random.Random(seed)
        self._ordered: deque[tuple[Fault, Callable[[bytes], bool]]] = deque()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._released = asyncio.Event()

    async def start(self) -> None:
        """Listen: on a free port, later on the same again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and reset those that are open, as when the target's machine goes down."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            _reset(writer)

    def order(self, fault: Fault, times: int = 1, to: Callable[[bytes], bool] = lambda _: True) -> None:
        """Spoil the next `times` exchanges whose request head `to` accepts; goes before chance."""
        self._ordered.extend([(fault, to)] * times)

    def forget_orders(self) -> None:
        """Spoil nothing more of what was ordered."""
        self._ordered.clear()

    def release(self) -> None:
        """Let all answers go that were kept back. Call on the loop."""
        self._released.set()
        self._released = asyncio.Event()
        self.withheld.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await read_head(reader)
                fault = self._choose(head)
                if fault is Fault.RESET_BEFORE_REQUEST:
                    return _reset(writer)
                asked = Framed(head, await read_body(reader, head))
                if fault is Fault.RESET_AFTER_REQUEST:
                    return _reset(writer)
                upstream = upstream or await asyncio.open_connection("127.0.0.1", self._target_port)
                upstream[1].write(asked.whole)
                answered = await read_message(upstream[0])
                if not await self._answer(fault, answered.whole, writer):
                    return None
        except (OSError, EOFError, asyncio.CancelledError):
            return None  # one side has gone, or all is over
        finally:
            self._writers.discard(writer)
            writer.close()
            if upstream is not None:
                upstream[1].close()

    async def _answer(self, fault: Fault | None, answered: bytes, caller: asyncio.StreamWriter) -> bool:
        match fault:
            case Fault.APPLY_THEN_DROP:
                return False
            case Fault.CUT_BODY:
                caller.write(answered[:-4])
                await caller.drain()
                return False
            case Fault.SLOW_BODY:
                await _drip(answered, caller)
                return True
            case Fault.LATENCY:
                await asyncio.sleep(LATENCY_SECONDS * self._random.random())
            case Fault.WITHHOLD:
                self.withheld.append(caller.get_extra_info("peername")[1])
                await self._released.wait()
        caller.write(answered * (2 if fault is Fault.REPLY_TWICE else 1))
        await caller.drain()
        return True

    def _choose(self, head: bytes) -> Fault | None:
        for position, (fault, accepts) in enumerate(self._ordered):
            if accepts(head):
                del self._ordered[position]
                self.counts[fault] += 1
                return fault
        drawn = self._random.random()
        for fault, chance in self.chances.items():
            drawn -= chance
            if drawn < 0:
                self.counts[fault] += 1
                return fault
        return None


async def _drip(data: bytes, caller: asyncio.StreamWriter) -> None:
    size = len(data) // PIECES + 1
    for begin in range(0, len(data), size):
        caller.write(data[begin : begin + size])
        await caller.drain()
        await asyncio.sleep(PIECE_SECONDS)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
