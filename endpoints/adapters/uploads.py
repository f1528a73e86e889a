"""Files as bodies of requests, read while they are sent: as they are, or as a part of a form."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

from endpoints.adapters.base import OutgoingFile, Upload
from endpoints.http import Content


def encoded(upload: Upload) -> tuple[str, Content]:
    """The content type and the body of a request that carries the file."""
    if not upload.part:
        return upload.file.content_type, Content(upload.file.size, upload.file.pieces)
    boundary = uuid4().hex
    head, tail = _head(upload, boundary), f"\r\n--{boundary}--\r\n".encode()
    length = len(head) + upload.file.size + len(tail)
    return f"multipart/form-data; boundary={boundary}", Content(
        length, lambda: _framed(head, upload.file, tail)
    )


def _head(upload: Upload, boundary: str) -> bytes:
    """RFC 7578: names in UTF-8, with quotes and line ends percent-encoded as browsers do."""
    name = upload.file.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{upload.part}"; filename="{name}"\r\n'
        f"Content-Type: {upload.file.content_type}\r\n\r\n"
    ).encode()


def _framed(head: bytes, file: OutgoingFile, tail: bytes) -> Iterator[bytes]:
    yield head
    yield from file.pieces()
    yield tail
