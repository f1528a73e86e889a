"""The one outbound HTTP client: guarded against private networks, bounded in time and size, never repeating.

The standard library's client speaks the protocol over our own connections; `requests` only reads
addresses. Its sessions keep cookies, read the environment and follow redirects, and what prepares
them for each request, down through urllib3's pools, took longer than the exchange itself.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from endpoints.network import Lookup, NetworkPolicy
from endpoints.outcomes import Phase
from endpoints.transport import Connections, Exchange, HttpFailure, Origin, always, current_exchange

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
            return _read_json(self.body.decode(json.detect_encoding(self.body), "surrogatepass"))
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
        self._connections = Connections(policy.ca_file)
        self._may_send: Callable[[], bool] = always

    def only_while(self, may_send: Callable[[], bool]) -> HttpClient:
        """The same client, whose requests go out only if `may_send()` is true when the first byte is due.
        One that may not fails in Phase.CONNECT with the reason `too_late`."""
        client = HttpClient.__new__(HttpClient)
        client.__dict__ |= self.__dict__ | {"_may_send": may_send}
        return client

    def send(self, request: HttpRequest) -> HttpAnswer:
        """Send once, without following redirects. Raises HttpFailure and nothing else."""
        with self._asking(request) as reading:
            body = reading.whole()
            elapsed = time.monotonic() - reading.exchange.started
            return HttpAnswer(reading.response.status, _headers_in(reading.response), body, elapsed)

    @contextmanager
    def download(self, request: HttpRequest) -> Iterator[Download]:
        """Send once and read the answer's body while it arrives, up to the request's `max_body`. Raises
        HttpFailure, also from the pieces; what is raised inside the block passes."""
        with self._asking(request) as reading:
            yield Download(reading.response.status, _headers_in(reading.response), reading.pieces())

    @contextmanager
    def _asking(self, request: HttpRequest) -> Iterator[_Reading]:
        """An answer to be read. Its connection is kept if that happens to the end."""
        prepared = _prepare(request)
        with self._exchange(request, prepared.place) as exchange:
            connection = self._connections.take(prepared.place.origin)
            try:
                response = connection.ask(request.method, *prepared[1:])
                with closing(response):
                    yield (reading := _Reading(response, exchange, request.max_body))
            except BaseException:
                connection.close()
                raise
            if reading.is_complete and exchange.sent_whole and not response.will_close:
                self._connections.give_back(connection)
            else:
                connection.close()

    @contextmanager
    def _exchange(self, request: HttpRequest, place: Place) -> Iterator[Exchange]:
        exchange = self._begin(request, place)
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
        self._connections.close()

    def _begin(self, request: HttpRequest, place: Place) -> Exchange:
        return Exchange(
            host=place.name,
            policy=self._policy,
            lookup=self._lookup,
            connect_timeout=min(request.connect_timeout, request.deadline),
            read_timeout=request.read_timeout,
            deadline=request.deadline,
            may_send=self._may_send,
        )


@dataclass(slots=True)
class _Reading:
    """An answer whose body is being read, `limit` bytes of it at most."""

    response: http.client.HTTPResponse
    exchange: Exchange
    limit: int
    is_complete: bool = False

    def whole(self) -> bytes:
        """The whole body; of an error's, which only people read, whatever came."""
        body = bytearray()
        try:
            for piece in self.pieces():
                body += piece
        except (HttpFailure, urllib3.exceptions.HTTPError, http.client.HTTPException):
            if self.response.status < 400:
                raise
            return bytes(body[: self.limit])
        return bytes(body)

    def pieces(self) -> Iterator[bytes]:
        """The body piece by piece."""
        size = 0
        for piece in _raw_pieces(self.response):
            size += len(piece)
            if size > self.limit:
                raise self.exchange.failure(
                    "body_too_large", f"{self.exchange.host} answered with more than {self.limit} bytes."
                )
            yield piece
        self.is_complete = True


class Place(NamedTuple):
    """An address taken apart; `name` is its host as it was written."""

    name: str
    origin: Origin
    target: str


class Prepared(NamedTuple):
    """A request as it goes onto the wire."""

    place: Place
    target: str
    headers: dict[str, str]
    body: bytes | Content


def _prepare(request: HttpRequest) -> Prepared:
    try:
        place = _place(request.url, tuple(request.params.items()))
        body = _body(request)
        return Prepared(place, place.target, _headers(request, place.origin, body), body)
    except requests.exceptions.InvalidURL:
        raise _bad_url("its host name is not valid") from None
    except (requests.RequestException, ValueError, TypeError):
        raise HttpFailure(
            Phase.CONNECT, "bad_request", "The request holds something that HTTP or JSON cannot carry."
        ) from None


@lru_cache(maxsize=URLS_KEPT)
def _place(url: str, params: tuple[tuple[str, str], ...]) -> Place:
    """Where an address leads. Tickets are mostly created at the same few ones."""
    name = _checked_host(url)
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, dict(params))
    parts = urlsplit(str(prepared.url))
    secure = parts.scheme == "https"
    port = parts.port or (http.client.HTTPS_PORT if secure else http.client.HTTP_PORT)
    return Place(name, Origin(secure, parts.hostname or "", port), prepared.path_url)


def _headers(request: HttpRequest, origin: Origin, body: bytes | Content) -> dict[str, str]:
    """Names ignore case: of two that differ in nothing else, the later one counts."""
    given = {
        "Host": origin.header(),
        "User-Agent": USER_AGENT,
        **request.headers,
        "Accept-Encoding": "identity",
    }
    if request.auth:
        login = ":".join(request.auth).encode("latin-1")
        given["Authorization"] = f"Basic {b64encode(login).decode()}"
    if body or request.method not in {"GET", "HEAD"}:
        given["Content-Length"] = str(len(body))
    headers = {name.lower(): (name, value) for name, value in given.items()}
    if request.json is not None:
        headers.setdefault("content-type", ("Content-Type", "application/json"))
    return dict(headers.values())


def _headers_in(response: http.client.HTTPResponse) -> CaseInsensitiveDict[str]:
    """The headers of an answer; what stands in several of the same name is one list."""
    found: dict[str, tuple[str, str]] = {}
    for name, value in response.getheaders():
        before = found.get(key := name.lower())
        found[key] = (name, f"{before[1]}, {value}" if before else value)
    return CaseInsensitiveDict(found.values())


def _body(request: HttpRequest) -> bytes | Content:
    if request.content is not None:
        return request.content
    if request.body:
        return request.body.encode() if isinstance(request.body, str) else request.body
    return _write_json(request.json).encode() if request.json is not None else b""


def _raw_pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as it arrives, unpacked where somebody packed it unasked."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        told = dict(response.headers.items())
        packed = urllib3.HTTPResponse(response, told, original_response=response, preload_content=False)
        yield from packed.stream(_CHUNK, decode_content=True)
        return
    while piece := response.read(_CHUNK):
        yield piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _checked_host(url: str) -> str:
    """The host's name. Raises HttpFailure."""
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
    return parts.hostname or ""


def _bad_url(why: str) -> HttpFailure:
    return HttpFailure(Phase.CONNECT, "bad_url", f"The address cannot be used: {why}. Correct the base URL.")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


# Made once: the short forms make an encoder or decoder for each text that is not quite usual.
_write_json = json.JSONEncoder(allow_nan=False).encode
_read_json = json.JSONDecoder(parse_constant=_refuse_constant).decode
