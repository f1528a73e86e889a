"""The system that posts: a ticket's messages in order, each until it is acknowledged, as a careful one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress

from tests.faults.framing import Framed, read_message, request
from tests.faults.messages import body, is_mute, mark_of

ANSWER_SECONDS = 15.0
RETRY_SECONDS = 0.3
ACCEPTED = 202
PATH = "/api/v1/messages"


class Partner:
    """Posts to one web server. `per_second` spreads the messages over time; 0 posts as fast as answered."""

    def __init__(self, port: int, authorization: str, per_second: float = 0.0) -> None:
        self.attempted: list[str] = []
        self.acknowledged: dict[str, str] = {}
        """Mark → Response ID."""
        self.posts = 0
        self.failures = 0
        self._port, self._authorization = port, authorization
        self._gap = 1 / per_second if per_second else 0.0
        self._next_at = 0.0

    async def send(
        self, tickets: Sequence[str], messages: int, connections: int = 8, *, mute: bool = False
    ) -> None:
        """Post `messages` messages of each ticket; returns when all are acknowledged."""
        waiting = list(reversed(tickets))

        async def work() -> None:
            async with Line(self._port) as line:
                while waiting:
                    await self._send_ticket(line, waiting.pop(), messages, mute)

        await asyncio.gather(*(work() for _ in range(connections)))

    async def _send_ticket(self, line: Line, ticket: str, messages: int, mute: bool) -> None:
        for number in range(messages):
            await self._pace()
            await self._send_one(line, mark_of(ticket, number), mute and is_mute(ticket))

    async def _send_one(self, line: Line, mark: str, mute: bool) -> None:
        self.attempted.append(mark)
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/json",
            "Idempotency-Key": mark,
        }
        posted = request("POST", PATH, headers, body(mark, mute=mute))
        while mark not in self.acknowledged:
            self.posts += 1
            answered = await line.ask(posted)
            if answered is not None and answered.status == ACCEPTED:
                self.acknowledged[mark] = json.loads(answered.body)["response_id"]
            else:
                self.failures += 1
                await asyncio.sleep(RETRY_SECONDS)

    async def _pace(self) -> None:
        if not self._gap:
            return
        now = time.monotonic()
        at = max(now, self._next_at)
        # After an outage the partner does not catch up in one burst.
        self._next_at = at + self._gap
        await asyncio.sleep(at - now)


class Line:
    """One kept connection, made again when it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hang_up()

    async def ask(self, posted: bytes) -> Framed | None:
        """The answer, or None when there is none."""
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                self._streams[1].write(posted)
                return await read_message(self._streams[0])
        await self._hang_up()
        return None

    async def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None
