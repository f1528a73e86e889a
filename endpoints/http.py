"""The one outbound HTTP client: guarded against private networks, bounded in time and size, never repeating.

Requests are prepared by `requests` and sent through its adapter without its Session: that one keeps
cookies, reads the environment, and reads a redirect's body without any limit.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from endpoints.network import Lookup, NetworkPolicy
from endpoints.outcomes import Phase
from endpoints.transport import Exchange, GuardedAdapter, HttpFailure, always, current_exchange

__all__ = [
    "Content",
    "Download",
    "HttpAnswer",
    "HttpClient",
    "HttpFailure",
    "HttpRequest",
    "NetworkPolicy",
    "Phase",
]

USER_AGENT = "oneio"
MAX_BODY = 2 * 1024 * 1024
TEXT_LIMIT = 4096
_CHUNK = 64 * 1024
URLS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is read while it is sent: exactly `length` bytes in `pieces()`."""

    length: int
    pieces: Callable[[], Iterator[bytes]]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        """The pieces. Raises HttpFailure if they cannot be read or are not as long as was said.

        The last piece waits until nothing follows it: who got as many bytes as announced keeps the file.
        """
        exchange, left, last = current_exchange.get(), self.length, b""
        try:
            for piece in filter(None, self.pieces()):
                left -= len(piece)
                if left < 0:
                    break
                if last:
                    yield last
                last = piece
        except HttpFailure:
            raise
        except Exception as error:
            raise exchange.failure("content", f"The file cannot be read: {type(error).__name__}.") from error
        if left:
            raise exchange.failure("content", "The file is not as long as it was when it was received.")
        if last:
            yield last


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `url` is absolute; times are in seconds, sizes in bytes; at most one of json, body and
    content.

    `deadline` bounds the whole exchange by the wall clock, `read_timeout` each wait for the next bytes.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    body: bytes | str | None = field(default=None, repr=False)
    content: Content | None = field(default=None, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    connect_timeout: float = 10
    read_timeout: float = 70
    deadline: float = 120
    max_body: int = MAX_BODY


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names ignore case; `elapsed` is in seconds."""

    status: int
    headers: CaseInsensitiveDict[str] = field(repr=False)
    body: bytes = field(repr=False)
    elapsed: float = 0.0

    def json(self) -> Any | None:
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None

    @property
    def text(self) -> str:
        """The beginning of the body as text, for people to read."""
        return self.body[:TEXT_LIMIT].decode("utf-8", errors="replace")


@dataclass(frozen=True, slots=True)
class Download:
    """An answer whose body is read piece by piece, while the exchange lasts."""

    status: int
    headers: CaseInsensitiveDict[str] = field(repr=False)
    pieces: Iterator[bytes] = field(repr=False)

    def head(self) -> HttpAnswer:
        """The answer with the beginning of its body, for one that is no file."""
        return HttpAnswer(self.status, self.headers, next(self.pieces, b""))


class HttpClient:
    """Sends requests from any number of threads over shared keep-alive connections."""

    def __init__(self, policy: NetworkPolicy, lookup: Lookup = socket.getaddrinfo) -> None:
        self._policy = policy
        self._lookup = lookup
        self._adapter = GuardedAdapter(policy.ca_file)
        self._may_send: Callable[[], bool] = always

    def only_while(self, may_send: Callable[[], bool]) -> HttpClient:
        """The same client, whose requests go out only if `may_send()` is true when the first byte is due.
        One that may not fails in Phase.CONNECT with the reason `too_late`."""
        client = copy(self)
        client._may_send = may_send
        return client

    def send(self, request: HttpRequest) -> HttpAnswer:
        """Send once, without following redirects. Raises HttpFailure and nothing else."""
        prepared = _prepare(request)
        with self._exchange(request) as exchange:
            return self._carry_out(prepared, exchange, request.max_body)

    @contextmanager
    def download(self, request: HttpRequest) -> Iterator[Download]:
        """Send once and read the answer's body while it arrives, up to the request's `max_body`. Raises
        HttpFailure, also from the pieces; what is raised inside the block passes."""
        prepared = _prepare(request)
        with self._exchange(request) as exchange:
            response = self._adapter.send(prepared, stream=True, timeout=exchange.read_timeout)
            try:
                pieces = _pieces(response, exchange, request.max_body)
                yield Download(response.status_code, response.headers, pieces)
            finally:
                response.raw.close()

    @contextmanager
    def _exchange(self, request: HttpRequest) -> Iterator[Exchange]:
        exchange = self._begin(request)
        token = current_exchange.set(exchange)
        try:
            yield exchange
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
            # Their texts hold the URL, whose query may hold an API key.
            raise exchange.broken(error) from None
        except ValueError as error:
            raise exchange.broken(error) from None
        finally:
            current_exchange.reset(token)

    def close(self) -> None:
        """Close all kept connections."""
        self._adapter.close()

    def _begin(self, request: HttpRequest) -> Exchange:
        return Exchange(
            host=urlsplit(request.url).hostname or "",
            policy=self._policy,
            lookup=self._lookup,
            connect_timeout=min(request.connect_timeout, request.deadline),
            read_timeout=request.read_timeout,
            deadline=request.deadline,
            may_send=self._may_send,
        )

    def _carry_out(self, prepared: requests.PreparedRequest, exchange: Exchange, max_body: int) -> HttpAnswer:
        response = self._adapter.send(prepared, stream=True, timeout=exchange.read_timeout)
        try:
            body = _read_body(response, exchange, max_body)
        except BaseException:
            response.raw.close()
            raise
        elapsed = time.monotonic() - exchange.started
        return HttpAnswer(response.status_code, response.headers, body, elapsed)


def _prepare(request: HttpRequest) -> requests.PreparedRequest:
    _check_url(request.url)
    headers = {"User-Agent": USER_AGENT, **request.headers, "Accept-Encoding": "identity"}
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_method(request.method)
        prepared.url = _whole_url(request.url, tuple(request.params.items()))
        prepared.prepare_headers(headers)
        prepared.prepare_body(_data(request), None, request.json)
        if request.auth:
            prepared.prepare_auth(request.auth)
        return prepared
    except requests.exceptions.InvalidURL:
        raise _bad_url("its host name is not valid") from None
    except (requests.RequestException, ValueError, TypeError):
        raise HttpFailure(
            Phase.CONNECT, "bad_request", "The request holds something that HTTP or JSON cannot carry."
        ) from None


@lru_cache(maxsize=URLS_KEPT)
def _whole_url(url: str, params: tuple[tuple[str, str], ...]) -> str | None:
    """The address as it is asked for. Tickets are mostly created at the same few ones."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, dict(params))
    return prepared.url


def _data(request: HttpRequest) -> Any:
    if request.content is not None:
        # Without a single byte, requests would announce a body of unknown length.
        return request.content if request.content.length else b""
    return request.body.encode() if isinstance(request.body, str) else request.body


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise _bad_url("it cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise _bad_url("it does not begin with https:// or http://")
    if not complete:
        raise _bad_url("it names no host or no valid port")
    if "@" in parts.netloc:
        raise _bad_url("it holds a user name; credentials belong into the endpoint's own fields")


def _bad_url(why: str) -> HttpFailure:
    return HttpFailure(Phase.CONNECT, "bad_url", f"The address cannot be used: {why}. Correct the base URL.")


def _read_body(response: requests.Response, exchange: Exchange, limit: int) -> bytes:
    """The whole body up to the limit; of an error's body, which only people read, whatever came."""
    body = bytearray()
    try:
        for piece in _pieces(response, exchange, limit):
            body += piece
    except (HttpFailure, urllib3.exceptions.HTTPError, http.client.HTTPException):
        if response.status_code < 400:
            raise
        response.raw.close()
        return bytes(body[:limit])
    response.raw.release_conn()
    return bytes(body)


def _pieces(response: requests.Response, exchange: Exchange, limit: int) -> Iterator[bytes]:
    size = 0
    for piece in response.raw.stream(_CHUNK, decode_content=True):
        size += len(piece)
        if size > limit:
            raise exchange.failure(
                "body_too_large", f"{exchange.host} answered with more than {limit} bytes."
            )
        yield piece


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")
