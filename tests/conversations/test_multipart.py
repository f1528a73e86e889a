"""Forms: the first file, byte for byte, however the body is cut into pieces."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.incoming import Malformed
from conversations.multipart import MAX_BUFFER_BYTES, first_file, is_multipart

TYPE = 'multipart/form-data; boundary="b-1"'


def form(content: bytes) -> bytes:
    return (
        b'--b-1\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--b-1\r\nContent-Disposition: form-data; name="f"; filename="a b.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n"
        + content
        + b'\r\n--b-1\r\nContent-Disposition: form-data; name="g"; filename="c"\r\n\r\nother\r\n--b-1--\r\n'
    )


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


@given(st.binary(max_size=300) | st.text("\r\n-b1", max_size=60).map(str.encode), st.integers(1, 200))
def test_first_file_arrives_byte_for_byte(content: bytes, size: int) -> None:
    if b"--b-1" in content:
        return

    upload = first_file(TYPE, cut(form(content), size))

    assert (upload.file_name, upload.content_type) == ("a b.txt", "text/plain")
    assert b"".join(upload.pieces) == content


@given(st.integers(1, 400))
def test_form_that_ends_early_is_malformed(missing: int) -> None:
    body = form(b"x" * 200)[:-missing].rstrip(b"-\r\n")

    with pytest.raises(Malformed):
        b"".join(first_file(TYPE, cut(body, 50)).pieces)


def test_large_file_never_fills_the_buffer() -> None:
    content = b"\r\n" * 2_000_000

    upload = first_file(TYPE, cut(form(content), 256 * 1024))

    assert max(map(len, upload.pieces)) <= MAX_BUFFER_BYTES


@pytest.mark.parametrize("boundary", ["", "ä", "x" * 201])
def test_senseless_boundary_is_malformed(boundary: str) -> None:
    with pytest.raises(Malformed, match="boundary"):
        first_file(f"multipart/form-data; boundary={boundary}", iter([b"x"]))


def test_forms_are_told_from_files() -> None:
    assert is_multipart(TYPE)
    assert not is_multipart("application/octet-stream")
    assert not is_multipart("")
