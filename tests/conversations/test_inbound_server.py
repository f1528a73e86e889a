"""The inbound API behind the real web server: streaming, broken connections and a silent log."""

from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest
import requests
from django.db import connection

from conversations.attachments import read_chunks
from conversations.models import Attachment, AttachmentChunk, Message
from tests.conversations.inbound import ATTACHMENTS, MESSAGES, Sender
from tests.patience import PATIENCE, comes_to_an_end, wait_for
from tests.web_server import Server, running

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PIECE = bytes(range(256)) * 4096
FORM = "multipart/form-data; boundary=b-1"
FORM_HEAD = b'--b-1\r\nContent-Disposition: form-data; name="f"; filename="core.bin"\r\n\r\n'
FORM_END = b"\r\n--b-1--\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The real web server with the test database."""
    with running(tmp_path / "server.log") as server:
        yield server


def test_20_mib_file_streams_through_the_server(server: Server) -> None:
    sender = Sender()

    answer = requests.post(server.url + ATTACHMENTS, data=PIECE * 20, auth=sender.auth, timeout=60)

    assert answer.status_code == 202, answer.text
    attachment = Attachment.objects.get(pk=answer.json()["attachment_id"])
    assert b"".join(read_chunks(attachment)) == PIECE * 20


def test_20_mib_form_without_length_streams_too(server: Server) -> None:
    sender = Sender()

    answer = requests.post(
        server.url + ATTACHMENTS,
        data=chain([FORM_HEAD], repeat(PIECE, 20), [FORM_END]),
        headers={"Content-Type": FORM},
        auth=sender.auth,
        timeout=60,
    )

    assert answer.status_code == 202, answer.text
    attachment = Attachment.objects.get(pk=answer.json()["attachment_id"])
    assert b"".join(read_chunks(attachment)) == PIECE * 20


@pytest.mark.parametrize(
    ("size", "status"), [("2097152", 202), ("2097153", 400), ("2097151", 400), ("x", 400)]
)
def test_file_without_length_must_have_the_size_told(server: Server, size: str, status: int) -> None:
    address = f"{server.url}{ATTACHMENTS}&size={size}"

    answer = requests.post(address, data=repeat(PIECE, 2), auth=Sender().auth, timeout=60)

    assert answer.status_code == status, answer.text
    assert [file.size for file in Attachment.objects.all()] == [2097152] * (status == 202)


@pytest.mark.parametrize(
    ("framing", "start"), [("Content-Length: 9000000", b""), ("Transfer-Encoding: chunked", b"200000\r\n")]
)
def test_broken_connection_leaves_no_file(server: Server, framing: str, start: bytes) -> None:
    head = (
        f"POST {ATTACHMENTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {Sender().basic}\r\n"
        f"Content-Type: {FORM}\r\n{framing}\r\n\r\n"
    )

    with server.connect() as wire:
        wire.sendall(head.encode() + start + FORM_HEAD + PIECE)
        wait_for(AttachmentChunk.objects.exists)

    wait_for(lambda: not Attachment.objects.exists())
    assert not AttachmentChunk.objects.exists()
    assert not Message.objects.filter(state="received").exists()


def test_chunked_message_is_read_whole(server: Server) -> None:
    sender = Sender()

    answer = requests.post(
        server.url + MESSAGES,
        data=iter([b'{"a"', b": 1}"]),
        headers={"Content-Type": "application/json"},
        auth=sender.auth,
        timeout=20,
    )

    assert answer.status_code == 202, answer.text
    assert Message.objects.get().body.raw == b'{"a": 1}'


def test_token_in_the_address_is_not_logged(server: Server) -> None:
    sender = Sender()

    for path in (MESSAGES, "/api", "/api/nothing"):
        requests.post(f"{server.url}{path}?auth_token={sender.password}", json={"a": "canary-1"}, timeout=20)

    log = server.log.read_text()
    assert Message.objects.count() == 2
    assert sender.password not in log
    assert "canary-1" not in log


def test_odd_requests_are_answered_below_500(server: Server) -> None:
    sender = Sender()
    auth = f"Authorization: {sender.basic}\r\n".encode()
    odd = [
        b"POST /api/%ff%zz?%ff=%zz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api?%ff=%zz HTTP/1.1\r\nHost: localhost\r\n" + auth + b"Content-Length: 1\r\n\r\n{",
        b"POST /api HTTP/1.1\r\nHost: localhost\r\n" + auth + b"Content-Length: -5\r\n\r\n{}",
        b"POST /api HTTP/1.1\r\nHost: localhost\r\n"
        + auth
        + b"Content-Type: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: \xff\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api HTTP/1.1\r\nHost: localhost\r\nX-Huge: "
        + b"h" * 500_000
        + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api HTTP/1.1\r\nHost: localhost\r\n"
        + auth
        + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /api HTTP/1.1\r\nHost: else.where\r\n" + auth + b"Content-Length: 2\r\n\r\n{}",
    ]

    for request in odd:
        assert status_of(server, request) < 500, request[:80]


def test_locked_database_is_503_in_time(server: Server) -> None:
    sender = Sender()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE conversations_messagebody")

        with comes_to_an_end():
            answer = requests.post(server.url + MESSAGES, json={}, auth=sender.auth, timeout=2 * PATIENCE)

        cursor.execute("ROLLBACK")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")


def status_of(server: Server, request: bytes) -> int:
    """The status of the answer; 0 where the server just closes the connection."""
    with server.connect() as wire:
        try:
            wire.sendall(request)
            answer = wire.recv(1000)
        except ConnectionError:
            return 0
    return int(answer.split(b" ", 2)[1]) if answer else 0
