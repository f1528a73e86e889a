"""Reading a body: as much as allowed, and complete or not at all."""

from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory

from conversations.problems import Problem, message_too_large
from conversations.request_body import PIECE_BYTES, pieces, read_whole

TOO_LARGE = message_too_large(10)


class Broken(BytesIO):
    """A connection that is lost after its content."""

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if not content:
            raise ConnectionResetError
        return content


def request(stream: BytesIO, length: str | None, **more: Any) -> WSGIRequest:
    environ = RequestFactory()._base_environ(REQUEST_METHOD="POST", **more)
    environ["wsgi.input"] = stream
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    return WSGIRequest(environ)


def test_body_of_known_length_is_read() -> None:
    assert read_whole(request(BytesIO(b"0123456789rest"), "10"), 10, TOO_LARGE) == b"0123456789"


def test_body_without_length_is_read_to_its_end() -> None:
    chunked = request(BytesIO(b"0123456789"), None, **{"wsgi.input_terminated": True})

    assert read_whole(chunked, 10, TOO_LARGE) == b"0123456789"


def test_body_without_length_or_end_is_empty() -> None:
    assert read_whole(request(BytesIO(b"0123456789"), None), 10, TOO_LARGE) == b""


def test_announced_size_is_refused_unread() -> None:
    stream = BytesIO(b"01234567890")

    with pytest.raises(Problem) as raised:
        read_whole(request(stream, "11"), 10, TOO_LARGE)

    assert raised.value is TOO_LARGE
    assert stream.tell() == 0


def test_endless_body_is_read_no_further_than_needed() -> None:
    stream = BytesIO(b"x" * 10 * PIECE_BYTES)

    with pytest.raises(Problem):
        read_whole(request(stream, None, **{"wsgi.input_terminated": True}), 10, TOO_LARGE)

    assert stream.tell() <= PIECE_BYTES


@pytest.mark.parametrize("stream", [BytesIO(b"01234"), Broken(b"01234")])
def test_body_that_breaks_off_is_refused(stream: BytesIO) -> None:
    with pytest.raises(Problem) as raised:
        read_whole(request(stream, "10"), 10, TOO_LARGE)

    assert (raised.value.status, raised.value.code) == (400, "incomplete")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "²", ""])
def test_senseless_length_counts_as_none(length: str) -> None:
    assert b"".join(pieces(request(BytesIO(b"0123"), length))) == b""
