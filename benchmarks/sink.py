"""The target system: a fast HTTP server in a process of its own that notes what arrives, and when.

Usage: python -m benchmarks.sink   (prints its port, then serves until it is terminated)
"""

from __future__ import annotations

import asyncio
import json
import re
import time

from benchmarks.wire import Framer, response

_MARK = re.compile(rb'"reference": ?"([^"]+)"')
BACKLOG = 1024


class Book:
    """What has arrived: (reference, monotonic seconds) in the order of arrival; and how slowly to answer."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[str, float]] = []
        self.delay = 0.0
        self.tickets = 0

    def note(self, body: bytes, method: bytes) -> bytes:
        """Write down a request; its answer. A new ticket gets an id of its own."""
        mark = _MARK.search(body)
        self.arrivals.append((mark[1].decode() if mark else "", time.monotonic()))
        if method != b"POST":
            return response("200 OK", b"{}")
        self.tickets += 1
        return response("201 Created", b'{"id": "S%d", "number": "S%d"}' % (self.tickets, self.tickets))

    def control(self, path: str) -> bytes:
        """Obey a request of the benchmark itself; these paths begin with /_."""
        command, _, value = path[2:].partition("/")
        match command:
            case "count":
                return str(len(self.arrivals)).encode()
            case "arrivals":
                return json.dumps(self.arrivals).encode()
            case "forget":
                self.arrivals.clear()
            case "delay":
                self.delay = float(value)
        return b"{}"


class Conversation(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.framer = Framer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        message = self.framer.feed(data)
        if message is None:
            return
        method, path, _ = message[0].split(b" ", 2)
        if path.startswith(b"/_"):
            self._answer(response("200 OK", self.book.control(path.decode())))
            return
        answer = self.book.note(message[1], method)
        if self.book.delay:
            asyncio.get_running_loop().call_later(self.book.delay, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


async def serve() -> None:
    """Serve on a free port, printed first, until the process is terminated."""
    book = Book()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(book), "127.0.0.1", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
