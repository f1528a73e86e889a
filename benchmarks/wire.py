"""As little HTTP/1.1 as the load generator and the sink need, so that both cost next to nothing."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Framer:
    """Cuts a stream of bytes into messages with a Content-Length."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Head and body once a message is complete, else None; peers wait for an answer between messages."""
        self._buffer += data
        end = self._buffer.find(_END)
        if end < 0:
            return None
        length = _LENGTH.search(self._buffer, 0, end + 2)
        whole = end + len(_END) + (int(length[1]) if length else 0)
        if len(self._buffer) < whole:
            return None
        head, body = self._buffer[:end], self._buffer[end + len(_END) : whole]
        self._buffer = self._buffer[whole:]
        return head, body


def response(status: str, body: bytes) -> bytes:
    """A JSON answer; `status` is code and reason."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def post(path: str, host: str, authorization: str, body: bytes) -> bytes:
    """A POST of a JSON body over a connection that is kept."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def status_of(head: bytes) -> int:
    """The status code of an answer."""
    return int(head.split(b" ", 2)[1])
