"""How bytes leave: sockets and connections that keep the network policy and the clocks of an exchange."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import certifi
from urllib3.util import wait_for_read

from endpoints.network import Address, BlockedAddress, Lookup, NetworkPolicy, resolve
from endpoints.outcomes import Phase

HOSTS_KEPT = 200
CONNECTIONS_PER_HOST = 64
# Servers close idle connections after 5 s and more; a request that meets that close has an unknown fate.
MAX_IDLE = 4.0
# What fits goes out as one packet; two would wake the target twice, and the second may wait for an answer.
GATHERED_BYTES = 32 * 1024
_HEADER_NAME = re.compile(r"[^:\s][^:\r\n]*")
_HEADER_VALUE = re.compile(r"(?:\S[^\r\n]*)?")


class HttpFailure(Exception):
    """No answer: `phase` says how far it got, `reason` is a code, `message` a sentence without secrets."""

    def __init__(self, phase: Phase, reason: str, message: str) -> None:
        super().__init__(message)
        self.phase = phase
        self.reason = reason
        self.message = message


def always() -> bool:
    """Nothing stands against sending."""
    return True


@dataclass(slots=True)
class Exchange:
    """One request on its way: its clocks (in seconds), and how far it got."""

    host: str
    policy: NetworkPolicy
    lookup: Lookup
    connect_timeout: float
    read_timeout: float
    deadline: float
    started: float = field(default_factory=time.monotonic)
    bytes_sent: int = 0
    sent_whole: bool = False
    closed_by_peer: bool = False
    may_send: Callable[[], bool] = always

    @property
    def phase(self) -> Phase:
        if self.bytes_sent == 0:
            return Phase.CONNECT
        return Phase.RECEIVE if self.sent_whole else Phase.SEND

    def failure(self, reason: str, message: str) -> HttpFailure:
        return HttpFailure(self.phase, reason, message)

    def connect_wait(self) -> float:
        """Seconds left for getting connected. Raises HttpFailure when there are none."""
        left = self.started + self.connect_timeout - time.monotonic()
        if left <= 0:
            raise self.connect_timed_out()
        return left

    def wait(self) -> float:
        """Seconds the next read or write may take. Raises HttpFailure when the deadline has passed."""
        left = self.started + self.deadline - time.monotonic()
        if left <= 0:
            raise self.timed_out()
        return min(left, self.read_timeout)

    def check_may_send(self) -> None:
        """Raise HttpFailure when nothing has been sent yet and nothing may be sent any more."""
        if self.bytes_sent == 0 and not self.may_send():
            raise self.failure("too_late", "The request was not sent: its time had passed.")

    def connect_timed_out(self) -> HttpFailure:
        return self.failure(
            "connect_timeout",
            f"{self.host} did not take the connection within {self.connect_timeout:g} s. "
            "Check the address, and that a firewall lets this server through.",
        )

    def timed_out(self) -> HttpFailure:
        if time.monotonic() >= self.started + self.deadline:
            return self.failure(
                "deadline",
                f"The exchange with {self.host} was not finished after {self.deadline:g} s.",
            )
        return self.failure(
            "write_timeout" if self.phase is not Phase.RECEIVE else "read_timeout",
            f"{self.host} was silent for {self.read_timeout:g} s.",
        )

    def reset(self) -> HttpFailure:
        return self.failure("reset", f"{self.host} closed the connection before its answer was complete.")

    def broken(self, error: Exception) -> HttpFailure:
        """The failure behind an error of the HTTP libraries."""
        if isinstance(error, ValueError) and self.phase is Phase.CONNECT:
            return self.failure("bad_request", "The request holds something that HTTP cannot carry.")
        if self.closed_by_peer:
            return self.reset()
        return self.failure("bad_answer", f"{self.host} answered with something that is not valid HTTP.")


# Sockets are used deep inside http.client; each exchange happens in one thread from end to end.
current_exchange: ContextVar[Exchange] = ContextVar("exchange")


class _TimedSocket(socket.socket):
    """A socket whose every wait is bounded by the exchange's clocks, and that counts what it sent."""

    def settimeout(self, value: float | None) -> None:
        """Mostly it is the same again; setting it is a system call, for which the thread must queue twice."""
        if value != self.gettimeout():
            super().settimeout(value)

    def recv_into(self, *args: Any) -> int:
        exchange = current_exchange.get()
        self.settimeout(exchange.wait())
        try:
            count = super().recv_into(*args)
        except TimeoutError:
            raise exchange.timed_out() from None
        except OSError:
            raise exchange.reset() from None
        exchange.closed_by_peer = count == 0
        return count

    def send(self, *args: Any) -> int:
        exchange = current_exchange.get()
        self.settimeout(exchange.wait())
        exchange.check_may_send()
        try:
            count = super().send(*args)
        except TimeoutError:
            raise exchange.timed_out() from None
        except (BrokenPipeError, ConnectionResetError):
            raise  # the answer may have come before the end: it is still read
        except OSError:
            raise exchange.reset() from None
        exchange.bytes_sent += count
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[self.send(view) :]


class _TimedTlsSocket(_TimedSocket, ssl.SSLSocket):
    """The same over TLS."""


class Origin(NamedTuple):
    """Where a connection leads; `host` as a resolver takes it."""

    secure: bool
    host: str
    port: int

    def header(self) -> str:
        """How a request's Host names it."""
        name = f"[{self.host}]" if ":" in self.host else self.host.rstrip(".")
        usual = http.client.HTTPS_PORT if self.secure else http.client.HTTP_PORT
        return name if self.port == usual else f"{name}:{self.port}"


class Connection:
    """One connection: dials only addresses that the policy allows, and has one exchange after the other."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.last_used = 0.0
        self._socket: socket.socket | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it was used a moment ago and its other end has neither closed it nor said anything."""
        if self._socket is None or time.monotonic() - self.last_used >= MAX_IDLE:
            return False
        return not wait_for_read(self._socket, 0.0)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | Iterable[bytes]
    ) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer; the body is the caller's to read. Raises
        HttpFailure and HTTPException, and ValueError for what a head cannot hold."""
        head = _head(method, target, headers)
        if self._socket is None:
            self._socket = self._dial()
        try:
            self._send(self._socket, head, body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer may have come before the end
        else:
            current_exchange.get().sent_whole = True
        answer = http.client.HTTPResponse(self._socket, method=method)
        try:
            answer.begin()
        except BaseException:
            answer.close()
            raise
        self.last_used = time.monotonic()
        return answer

    def close(self) -> None:
        """Close the socket; an answer that is still being read ends."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _dial(self) -> socket.socket:
        return _dial(current_exchange.get(), self.origin.host, self.origin.port)

    def _send(self, wire: socket.socket, head: bytes, body: bytes | Iterable[bytes]) -> None:
        if not isinstance(body, bytes):
            # The first piece is there before anything leaves: what cannot be read is not begun.
            pieces = iter(body)
            self._send(wire, head, next(pieces, b""))
            for piece in pieces:
                wire.sendall(piece)
        elif len(head) + len(body) <= GATHERED_BYTES:
            wire.sendall(head + body)
        else:
            wire.sendall(head)
            wire.sendall(body)


class TlsConnection(Connection):
    """The same over TLS; a failed handshake is told apart from everything later."""

    def __init__(self, origin: Origin, context: ssl.SSLContext) -> None:
        super().__init__(origin)
        self._context = context

    def _dial(self) -> socket.socket:
        exchange = current_exchange.get()
        plain = super()._dial()
        try:
            return self._context.wrap_socket(plain, server_hostname=self.origin.host.rstrip("."))
        except TimeoutError:
            raise exchange.connect_timed_out() from None
        except ssl.SSLCertVerificationError as error:
            raise exchange.failure("certificate", _certificate_message(exchange.host, error)) from None
        except OSError:
            raise exchange.failure(
                "tls",
                f"{exchange.host} broke off the secure connection. "
                "Check that this port speaks HTTPS, with TLS 1.2 or newer.",
            ) from None


class Connections:
    """Kept connections, shared by any number of threads; of those that lead to one place, the one used last
    goes first."""

    def __init__(self, ca_file: str) -> None:
        self._context = _tls_context(ca_file)
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Connection]] = {}
        weakref.finalize(self, _close_all, self._idle)  # a client that is forgotten leaves no socket open

    def take(self, origin: Origin) -> Connection:
        """A kept connection that still stands, or a new one, which opens when something is sent."""
        while (kept := self._pop(origin)) is not None:
            if kept.is_connected:
                return kept
            kept.close()
        return TlsConnection(origin, self._context) if origin.secure else Connection(origin)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self._lock:
            # Put at the end anew: what comes first has not been asked for longest.
            idle = self._idle[connection.origin] = self._idle.pop(connection.origin, [])
            idle.append(connection)
            surplus = idle[:-CONNECTIONS_PER_HOST]
            del idle[:-CONNECTIONS_PER_HOST]
            if len(self._idle) > HOSTS_KEPT:
                surplus += self._idle.pop(next(iter(self._idle)))
        for one in surplus:
            one.close()

    def close(self) -> None:
        """Close all that are kept."""
        with self._lock:
            _close_all(self._idle)

    def _pop(self, origin: Origin) -> Connection | None:
        with self._lock:
            idle = self._idle.get(origin)
            return idle.pop() if idle else None


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request. Raises ValueError for a header that would end its line or is not Latin-1."""
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ValueError("A header would end its line.")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _close_all(kept: dict[Origin, list[Connection]]) -> None:
    while kept:
        for connection in kept.popitem()[1]:
            connection.close()


def _dial(exchange: Exchange, host: str, port: int) -> socket.socket:
    addresses = _addresses(exchange, host, port)
    problem: OSError = OSError()
    for position, address in enumerate(addresses):
        try:
            return _open(address, exchange.connect_wait() / (len(addresses) - position))
        except OSError as error:
            problem = error
    if isinstance(problem, TimeoutError):
        raise exchange.connect_timed_out()
    if isinstance(problem, ConnectionRefusedError):
        raise exchange.failure(
            "refused", f"{host} refuses connections on port {port}. Is the system running and the port right?"
        )
    raise exchange.failure("unreachable", f"There is no way to {host} on port {port} from this server.")


def _addresses(exchange: Exchange, host: str, port: int) -> list[Address]:
    try:
        return resolve(host, port, exchange.policy, exchange.connect_wait(), exchange.lookup)
    except BlockedAddress as blocked:
        raise exchange.failure(
            "blocked_address",
            f"{host} has the address {blocked}, which lies in a network that requests may not reach. "
            "An administrator can allow loopback or private networks in the settings.",
        ) from None
    except TimeoutError:
        raise exchange.failure("dns", f"Looking up the name {host} took too long.") from None
    except (OSError, UnicodeError):
        raise exchange.failure(
            "dns", f"The name {host} could not be found. Check the base URL and this server's DNS."
        ) from None


def _open(address: Address, seconds: float) -> socket.socket:
    connection = _TimedSocket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address.target)
    except BaseException:
        connection.close()
        raise
    return connection


def _tls_context(ca_file: str) -> ssl.SSLContext:
    """Made by hand: the default makers read certificate and key-log settings from the environment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = _TimedTlsSocket
    return context


def _certificate_message(host: str, error: ssl.SSLCertVerificationError) -> str:
    return (
        f"The certificate of {host} is not trusted: {error.verify_message}. "
        "Renew it there, correct the host name, or have its authority added to the settings."
    )
