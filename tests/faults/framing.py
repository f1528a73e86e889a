"""HTTP/1.1 messages with a Content-Length on asyncio streams: all that proxy, target and sender speak."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, NamedTuple

END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Framed(NamedTuple):
    """One request or answer: `head` ends with the empty line."""

    head: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        """As it goes over the wire."""
        return self.head + self.body

    @property
    def words(self) -> list[str]:
        """The three parts of the first line."""
        return self.head.split(b"\r\n", 1)[0].decode().split(" ", 2)

    @property
    def status(self) -> int:
        """An answer's status code."""
        return int(self.words[1])


async def read_message(reader: asyncio.StreamReader) -> Framed:
    """The next message. Raises IncompleteReadError at the end of the stream, OSError when it breaks."""
    head = await read_head(reader)
    return Framed(head, await read_body(reader, head))


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """The next message up to its empty line."""
    return await reader.readuntil(END)


async def read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """What follows that head."""
    length = _LENGTH.search(head)
    return await reader.readexactly(int(length[1])) if length else b""


def answer(status: str, document: Any) -> bytes:
    """A JSON answer; `status` is code and reason."""
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request to this machine over a connection that is kept."""
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(body))} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
