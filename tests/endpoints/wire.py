"""Real TCP servers that misbehave on purpose: each test scripts what one connection sees."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket, int], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Wire:
    """A listening socket on 127.0.0.1; `script(connection, number)` runs for each connection, from 0."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script, self._tls = script, tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def take(self, connection: socket.socket) -> bytes:
        """One whole request, kept in `requests`; empty when the client has closed before its end."""
        data = b""
        while not _whole(data):
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        self.requests.append(data)
        return data

    def wait_for_end(self, number: int = 0) -> None:
        """Until the script of that connection has ended and the connection is closed."""
        self._threads[number + 1].join()

    def stop(self) -> None:
        """Close every socket and wait for every thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._run, args=(connection, self.connections))
            self.connections += 1
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), connection, self._secured(connection) as stream:
            self._script(stream, number)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


@contextmanager
def serve(
    script: Callable[[Wire, socket.socket, int], None], tls: ssl.SSLContext | None = None
) -> Iterator[Wire]:
    """A wire whose script also gets the wire itself."""
    wire = Wire(lambda connection, number: script(wire, connection, number), tls)
    try:
        yield wire
    finally:
        wire.stop()


def answering(answer: bytes) -> Callable[[Wire, socket.socket, int], None]:
    """A script that gives this answer to every request of a connection."""

    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        while wire.take(connection):
            connection.sendall(answer)

    return script


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
