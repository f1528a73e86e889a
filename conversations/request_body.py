"""Reads a request's body piece by piece, never more than allowed, and notices when it breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, cast

from django.http import HttpRequest, UnreadablePostError

from conversations.problems import Problem, incomplete, unsupported

PIECE_BYTES = 256 * 1024


def check_encoding(request: HttpRequest) -> None:
    """Refuse a compressed body. Raises Problem (415)."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"", "identity"}:
        raise unsupported(
            "Compressed bodies are not read here.",
            "Send it uncompressed, without the header Content-Encoding.",
        )


def read_whole(request: HttpRequest, limit: int, too_large: Problem) -> bytes:
    """The whole body of at most `limit` bytes. Raises `too_large`, or Problem when it breaks off."""
    if (declared_length(request) or 0) > limit:
        raise too_large
    body = bytearray()
    for piece in pieces(request):
        body += piece
        if len(body) > limit:
            raise too_large
    return bytes(body)


def pieces(request: HttpRequest) -> Iterator[bytes]:
    """The body in pieces of at most 256 KiB as they arrive. Raises Problem when it breaks off."""
    length = declared_length(request)
    stream, missing = _stream(request, length), length
    while missing is None or missing > 0:
        piece = _read(stream, PIECE_BYTES if missing is None else min(missing, PIECE_BYTES))
        if not piece:
            break
        missing = None if missing is None else missing - len(piece)
        yield piece
    if missing:
        raise incomplete()


def exactly(size: int | None, content: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces; where `size` is given, Problem is raised unless they are as many bytes together."""
    left = size or 0
    for piece in content:
        left -= len(piece)
        yield piece
    if size is not None and left:
        raise incomplete()


def declared_length(request: HttpRequest) -> int | None:
    """What Content-Length says; None where it is absent, as with a chunked body."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isascii() and text.isdecimal() else None


def _stream(request: HttpRequest, length: int | None) -> IO[bytes]:
    # Django reads nothing where there is no length; the server marks a stream that ends by itself.
    if length is None and request.META.get("wsgi.input_terminated"):
        return cast("IO[bytes]", request.META["wsgi.input"])
    return cast("IO[bytes]", request)


def _read(stream: Any, size: int) -> bytes:
    try:
        return bytes(stream.read(size))
    except (UnreadablePostError, OSError):
        raise incomplete() from None
