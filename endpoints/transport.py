"""How bytes leave: sockets and connections that keep the network policy and the clocks of an exchange."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import certifi
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from endpoints.network import Address, BlockedAddress, Lookup, NetworkPolicy, resolve
from endpoints.outcomes import Phase

HOSTS_KEPT = 200
CONNECTIONS_PER_HOST = 64
# Servers close idle connections after 5 s and more; a request that meets that close has an unknown fate.
MAX_IDLE = 4.0
# What fits goes out as one packet; two would wake the target twice, and the second may wait for an answer.
GATHERED_BYTES = 32 * 1024

# urllib3 writes whole URLs, whose query may hold an API key.
for _name in ("connection", "connectionpool", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(lambda record: False)


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


# Sockets and connections are made deep inside urllib3; each exchange happens in one thread from end to end.
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
            raise  # urllib3 still reads the answer that may have come before the end
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


class _Connection(HTTPConnection):
    """Dials only addresses that the policy allows; sends head and small body of a request in one piece."""

    last_used = 0.0
    _gathered: bytearray | None = None

    def _new_conn(self) -> socket.socket:
        return _dial(current_exchange.get(), self._dns_host, self.port or self.default_port)

    @property
    def is_connected(self) -> bool:
        return time.monotonic() - self.last_used < MAX_IDLE and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._gathered = bytearray()
        try:
            super().request(*args, **kwargs)
            self._send_gathered()
        finally:
            self._gathered = None
        current_exchange.get().sent_whole = True

    def send(self, data: Any) -> None:
        """Keep what is small until the request is complete."""
        if self._gathered is not None and isinstance(data, bytes) and len(data) <= GATHERED_BYTES:
            self._gathered += data
            if len(self._gathered) <= GATHERED_BYTES:
                return
            data = b""
        self._send_gathered()
        if data:
            super().send(data)

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered:
            super().send(bytes(gathered))

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        response = super().getresponse()
        self.last_used = time.monotonic()
        return response


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS; a failed handshake is told apart from everything later."""

    def connect(self) -> None:
        exchange = current_exchange.get()
        try:
            super().connect()
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


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class GuardedAdapter(HTTPAdapter):
    """The requests adapter with our connections, one TLS context made once, and no retries."""

    def __init__(self, ca_file: str) -> None:
        self._context = _tls_context(ca_file)
        super().__init__(pool_connections=HOSTS_KEPT, pool_maxsize=CONNECTIONS_PER_HOST, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def request_url(self, request: Any, proxies: Any) -> str:
        """The path alone: there are no proxies to ask for."""
        return str(request.path_url)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to add: the context already demands and knows what to trust."""


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
    context.sslsocket_class = _TimedTlsSocket
    return context


def _certificate_message(host: str, error: ssl.SSLCertVerificationError) -> str:
    return (
        f"The certificate of {host} is not trusted: {error.verify_message}. "
        "Renew it there, correct the host name, or have its authority added to the settings."
    )
