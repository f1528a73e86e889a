from __future__ import annotations

import gzip
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from endpoints import transport
from endpoints.http import Content, HttpAnswer, HttpClient, HttpFailure, HttpRequest, NetworkPolicy, Phase
from endpoints.sandbox.tls import ensure_certificate
from tests.endpoints.wire import OK, Wire, answering, serve
from tests.patience import PATIENCE, comes_to_an_end

LOCAL = NetworkPolicy(allow_loopback=True)
DRIPPED_SECONDS = 2.0
"""Within them the slowest machine has sent a request, and an answer that drips for ever has begun."""


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(LOCAL)
    yield client
    client.close()


def failure_of(client: HttpClient, request: HttpRequest) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        client.send(request)
    return caught.value


def get(url: str, **more: Any) -> HttpRequest:
    return HttpRequest("GET", url, **more)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def resolves_to(*addresses: str) -> Any:
    """A resolver that knows only these addresses, each time one more, the last one for ever."""
    asked: list[str] = []

    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        address = addresses[min(len(asked), len(addresses)) - 1]
        return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    lookup.asked = asked  # type: ignore[attr-defined]
    return lookup


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ensure_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls(certificate: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    return context


def test_request_arrives_as_described(client: HttpClient) -> None:
    with serve(answering(OK)) as wire:
        request = HttpRequest(
            "POST", wire.url("/a%2Fb"), {"X-A": "1"}, {"q": "ä b"}, json={"t": "é"}, auth=("u", "p")
        )

        answer = client.send(request)

    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert answer.status == 200
    assert answer.json() == {}
    assert head.startswith(b"POST /a%2Fb?q=%C3%A4+b HTTP/1.1\r\n")
    assert b"\r\nX-A: 1\r\n" in head
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert b"\r\nAuthorization: Basic dTpw\r\n" in head + b"\r\n"
    assert body == b'{"t": "\\u00e9"}'


def test_text_body_is_sent_as_utf8(client: HttpClient) -> None:
    with serve(answering(OK)) as wire:
        client.send(HttpRequest("POST", wire.url(), {"Content-Type": "text/xml"}, body="<ä/>"))

    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert body == "<ä/>".encode()
    assert b"Content-Type: text/xml" in head


def test_refused_port_means_nothing_sent(client: HttpClient) -> None:
    failure = failure_of(client, get(f"http://127.0.0.1:{closed_port()}/"))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "refused")
    assert "refuses connections" in failure.message


def test_unknown_name_means_nothing_sent(client: HttpClient) -> None:
    failure = failure_of(client, get("http://no-such-host.invalid/"))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "dns")


def test_hanging_resolver_ends_in_time() -> None:
    release = threading.Event()

    def lookup(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        release.wait(2 * PATIENCE)
        return []

    client = HttpClient(LOCAL, lookup)

    with comes_to_an_end():
        failure = failure_of(client, get("http://slow.example/", connect_timeout=0.2))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "dns")
    release.set()


def test_full_backlog_is_connect_timeout(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)

        failure = failure_of(client, get(f"http://127.0.0.1:{address[1]}/", connect_timeout=0.3))
        for one in waiting:
            one.close()

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "connect_timeout")


def test_next_address_is_tried_when_one_refuses() -> None:
    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [address for ip in ("127.0.0.2", "127.0.0.1") for address in socket.getaddrinfo(ip, port)[:1]]

    client = HttpClient(LOCAL, lookup)
    with serve(answering(OK)) as wire:
        answer = client.send(get(wire.url(host="two.example")))
        client.close()

    assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "172.16.5.5",
        "192.168.1.1",
        "100.64.0.1",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "169.254.169.254",
        "0xa9fea9fe",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "[::7f00:1]",
    ],
)
def test_closed_network_is_never_dialled(host: str) -> None:
    client = HttpClient(NetworkPolicy())

    failure = failure_of(client, get(f"http://{host}/", connect_timeout=PATIENCE))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "blocked_address")


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1", "0.0.0.0"]
)
def test_metadata_stays_closed_when_all_allowed(address: str) -> None:
    assert not NetworkPolicy(allow_loopback=True, allow_private=True).allows(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_open(address: str) -> None:
    assert NetworkPolicy().allows(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.9", "fc00::9", "::ffff:10.0.0.1", "100.64.0.1"])
def test_private_networks_open_by_setting(address: str) -> None:
    assert NetworkPolicy(allow_private=True).allows(address)
    assert not NetworkPolicy(allow_loopback=True).allows(address)


def test_name_resolving_to_private_address_is_blocked() -> None:
    client = HttpClient(LOCAL, resolves_to("10.0.0.5"))

    failure = failure_of(client, get("http://intranet.example/"))

    assert failure.reason == "blocked_address"
    assert "10.0.0.5" in failure.message


def test_one_bad_address_blocks_the_name() -> None:
    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [*socket.getaddrinfo("127.0.0.1", port), *socket.getaddrinfo("10.0.0.5", port)]

    failure = failure_of(HttpClient(LOCAL, lookup), get("http://mixed.example/"))

    assert failure.reason == "blocked_address"


def test_name_is_resolved_once_and_dialled_there() -> None:
    lookup = resolves_to("127.0.0.1", "10.0.0.5")
    client = HttpClient(LOCAL, lookup)
    with serve(answering(OK)) as wire:
        answer = client.send(get(wire.url(host="rebind.example")))
        client.close()

    assert answer.status == 200
    assert lookup.asked == ["rebind.example"]
    assert f"Host: rebind.example:{wire.port}".encode() in wire.requests[0]


def test_rebound_name_is_checked_on_next_connection() -> None:
    client = HttpClient(LOCAL, resolves_to("127.0.0.1", "169.254.169.254"))
    with serve(answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) as wire:
        client.send(get(wire.url(host="rebind.example")))

        failure = failure_of(client, get(wire.url(host="rebind.example")))

    assert failure.reason == "blocked_address"


def test_silence_ends_in_read_timeout(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.recv(1)

    with serve(script) as wire:
        failure = failure_of(client, get(wire.url(), read_timeout=0.2))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "read_timeout")


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"]
)
def test_slow_drip_meets_wall_clock_deadline(client: HttpClient, start: bytes) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(start)
        while True:
            time.sleep(0.05)
            connection.sendall(b"x")

    with serve(script) as wire, comes_to_an_end():
        failure = failure_of(client, get(wire.url(), read_timeout=PATIENCE, deadline=DRIPPED_SECONDS))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "deadline")


def test_stuck_upload_is_partly_sent(client: HttpClient) -> None:
    release = threading.Event()
    with serve(lambda wire, connection, number: release.wait(PATIENCE) and None) as wire:
        request = HttpRequest("POST", wire.url(), body=b"x" * 30_000_000, read_timeout=0.3)

        failure = failure_of(client, request)
        release.set()

    assert (failure.phase, failure.reason) == (Phase.SEND, "write_timeout")


def test_reset_after_request_may_be_done(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        reset(connection)

    with serve(script) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(), json={}))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "reset")
    assert wire.connections == 1


def test_close_without_answer_may_be_done(client: HttpClient) -> None:
    with serve(lambda wire, connection, number: wire.take(connection) and None) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(), json={}))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "reset")


def test_half_a_body_may_be_done(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\nhalf")

    with serve(script) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(), json={}))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "reset")


def test_garbage_answer_may_be_done(client: HttpClient) -> None:
    with serve(answering(b"SMTP ready\r\n\r\n")) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(), json={}))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "bad_answer")


def test_idle_connection_closed_by_server_is_replaced(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(OK)

    with serve(script) as wire:
        client.send(get(wire.url()))
        wire.wait_for_end()

        answer = client.send(HttpRequest("POST", wire.url(), json={}))

    assert answer.status == 200
    assert wire.connections == 2


def test_kept_connection_closing_under_request_is_unknown(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(OK)
        wire.take(connection)

    with serve(script) as wire:
        client.send(get(wire.url()))

        failure = failure_of(client, HttpRequest("POST", wire.url(), json={}))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "reset")
    assert len(wire.requests) == 2


def test_kept_connection_refusing_first_byte_is_not_sent(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(OK)
        reset(connection)

    # The reset arrives between the pool's look at the connection and the first write.
    monkeypatch.setattr(transport.Connection, "is_connected", True)
    with serve(script) as wire:
        client.send(get(wire.url()))
        wire.wait_for_end()

        failure = failure_of(client, HttpRequest("POST", wire.url(), json={}))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "reset")
    assert len(wire.requests) == 1


def test_long_idle_connection_is_not_reused(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(answering(OK)) as wire:
        client.send(get(wire.url()))
        monkeypatch.setattr(transport, "MAX_IDLE", 0)
        client.send(get(wire.url()))
        monkeypatch.setattr(transport, "MAX_IDLE", PATIENCE)
        client.send(get(wire.url()))
        client.close()

    assert wire.connections == 2


def test_too_large_body_is_a_failure(client: HttpClient) -> None:
    with serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)) as wire:
        failure = failure_of(client, get(wire.url(), max_body=1000))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "body_too_large")


def test_unasked_compression_cannot_grow_past_cap(client: HttpClient) -> None:
    packed = gzip.compress(b"x" * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with serve(answering(head.encode() + packed)) as wire:
        failure = failure_of(client, get(wire.url(), max_body=100_000))

    assert failure.reason == "body_too_large"


def test_error_status_survives_a_broken_body(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 50\r\n\r\nhalf")

    with serve(script) as wire:
        answer = client.send(get(wire.url()))

    assert (answer.status, answer.headers["retry-after"]) == (429, "7")


def test_redirect_is_answered_not_followed(client: HttpClient) -> None:
    with serve(answering(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")) as wire:
        answer = client.send(get(wire.url()))
        client.close()

    assert answer.status == 302
    assert len(wire.requests) == 1


def test_answer_before_end_of_upload_is_read(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with serve(script) as wire:
        answer = client.send(HttpRequest("POST", wire.url(), body=b"x" * 1_000_000))

    assert (answer.status, answer.text) == (413, "big")


def test_cookies_are_not_kept(client: HttpClient) -> None:
    with serve(answering(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=other-tenant\r\n\r\n"))) as wire:
        client.send(get(wire.url()))
        client.send(get(wire.url()))
        client.close()

    assert b"cookie" not in wire.requests[1].lower()


def test_untrusted_certificate_means_nothing_sent(client: HttpClient, tls: ssl.SSLContext) -> None:
    with serve(answering(OK), tls) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(scheme="https"), json={}))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "certificate")
    assert "self-signed" in failure.message
    assert wire.requests == []


def test_named_authority_is_trusted(certificate: Any, tls: ssl.SSLContext) -> None:
    client = HttpClient(NetworkPolicy(allow_loopback=True, ca_file=str(certificate.cert)))
    with serve(answering(OK), tls) as wire:
        answer = client.send(get(wire.url(scheme="https", host="localhost")))
        client.close()

    assert answer.status == 200


@pytest.mark.parametrize(("size", "whole"), [(1000, True), (100_000, False)])
def test_small_request_goes_out_in_one_piece(
    certificate: Any, tls: ssl.SSLContext, size: int, whole: bool
) -> None:
    first: list[bytes] = []

    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        first.append(connection.recv(65536))  # over TLS exactly what was sent at once
        rest = first[0]
        while not rest.endswith(b"!"):
            rest = connection.recv(65536)
        connection.sendall(OK)

    client = HttpClient(NetworkPolicy(allow_loopback=True, ca_file=str(certificate.cert)))
    with serve(script, tls) as wire:
        answer = client.send(HttpRequest("POST", wire.url(scheme="https"), body="x" * size + "!"))

    assert answer.status == 200
    assert first[0].endswith(b"!") is whole


def test_certificate_of_another_name_is_refused(certificate: Any, tls: ssl.SSLContext) -> None:
    policy = NetworkPolicy(allow_loopback=True, ca_file=str(certificate.cert))
    client = HttpClient(policy, resolves_to("127.0.0.1"))
    with serve(answering(OK), tls) as wire:
        failure = failure_of(client, get(wire.url(scheme="https", host="evil.example")))

    assert failure.reason == "certificate"


def test_server_name_is_sent_in_handshake(certificate: Any) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    context.sni_callback = lambda _, name, __: names.append(name)
    client = HttpClient(LOCAL, resolves_to("127.0.0.1"))
    with serve(answering(OK), context) as wire:
        failure_of(client, get(wire.url(scheme="https", host="tenant.example")))

    assert names == ["tenant.example"]


def test_plain_server_on_https_means_nothing_sent(client: HttpClient) -> None:
    with serve(lambda wire, connection, number: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as wire:
        failure = failure_of(client, get(wire.url(scheme="https")))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "tls")


def test_hanging_handshake_is_connect_timeout(client: HttpClient) -> None:
    with serve(lambda wire, connection, number: _wait_for_close(connection)) as wire:
        failure = failure_of(client, get(wire.url(scheme="https"), connect_timeout=0.3))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "connect_timeout")


def _wait_for_close(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silence_and_drip_are_timed_over_tls_too(certificate: Any, tls: ssl.SSLContext, scheme: str) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        wire.take(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            time.sleep(0.05)
            connection.sendall(b"X")

    client = HttpClient(NetworkPolicy(allow_loopback=True, ca_file=str(certificate.cert)))
    with serve(script, tls if scheme == "https" else None) as wire:
        failure = failure_of(client, get(wire.url(scheme=scheme), deadline=DRIPPED_SECONDS))

    assert (failure.phase, failure.reason) == (Phase.RECEIVE, "deadline")


def test_environment_cannot_redirect_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login thief password thief\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client = HttpClient(LOCAL)
    with serve(answering(OK)) as wire:
        answer = client.send(get(wire.url()))
        client.close()

    assert answer.status == 200
    assert b"authorization" not in wire.requests[0].lower()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_environment_cannot_add_authorities(
    monkeypatch: pytest.MonkeyPatch, certificate: Any, tls: ssl.SSLContext, variable: str
) -> None:
    monkeypatch.setenv(variable, str(certificate.cert))
    client = HttpClient(LOCAL)
    with serve(answering(OK), tls) as wire:
        failure = failure_of(client, get(wire.url(scheme="https")))

    assert failure.reason == "certificate"


def test_many_threads_share_one_client(client: HttpClient) -> None:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        while request := wire.take(connection):
            path = request.split(b" ", 2)[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    def ask(number: int) -> HttpAnswer:
        return client.send(get(wire.url(f"/{number}")))

    with serve(script) as wire, ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(ask, range(640)))
        client.close()

    assert [answer.text for answer in answers] == [f"/{number}" for number in range(640)]
    assert wire.connections <= 64


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com/api",
        "http://",
        "http:///path",
        "http://example.com:99999/",
        "http://user:secret@example.com/",
        "http://[::1/",
        "http://*.example.com/",
    ],
)
def test_unusable_address_is_named_so(client: HttpClient, url: str) -> None:
    failure = failure_of(client, get(url))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "bad_url")
    assert "secret" not in failure.message


@pytest.mark.parametrize(
    "request_parts",
    [
        {"headers": {"X": "a\r\nInjected: 1"}},
        {"headers": {"X": "日本"}},
        {"json": {"x": float("nan")}},
        {"json": {"x": object()}},
        {"body": "\ud800"},
    ],
)
def test_uncarriable_request_is_not_sent(client: HttpClient, request_parts: dict[str, Any]) -> None:
    with serve(answering(OK)) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(), **request_parts))

    assert (failure.phase, failure.reason) == (Phase.CONNECT, "bad_request")
    assert wire.requests == []


@pytest.mark.parametrize("sizes", [[100_000, 1], [50_000, 50_000, 0, 9], [99_999], [0, 100_009]])
def test_content_of_another_length_stays_incomplete(client: HttpClient, sizes: list[int]) -> None:
    content = Content(100_000, lambda: (b"a" * size for size in sizes))
    with serve(answering(OK)) as wire:
        failure = failure_of(client, HttpRequest("POST", wire.url(), content=content))

    assert failure.reason == "content"
    assert wire.requests == []


def test_secrets_are_in_no_log_or_repr(client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request = get(f"http://127.0.0.1:{closed_port()}/", params={"key": "s3cret"}, auth=("u", "s3cret"))
    with serve(answering(OK)) as wire:
        client.send(get(wire.url("/?key=s3cret")))
        client.close()

    failure = failure_of(client, request)

    assert "s3cret" not in caplog.text + repr(request) + str(failure) + repr(failure)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"NaN", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000])
def test_body_that_is_no_json_gives_none(body: bytes) -> None:
    assert HttpAnswer(200, {}, body).json() is None  # type: ignore[arg-type]


def test_text_of_an_answer_is_bounded() -> None:
    assert len(HttpAnswer(500, {}, b"x" * 100_000).text) == 4096  # type: ignore[arg-type]
