"""Keeps files encrypted in chunks: taken in while they arrive, read back only whole and unchanged.

A chunk's ciphertext is bound to its file, its number and whether it is the last, so a file that was cut,
or whose chunks were swapped, does not open.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from conversations.ingest import Arrival, once, store
from conversations.models import Attachment, AttachmentChunk, Message
from conversations.problems import DATABASE_ERRORS, attachment_too_large
from endpoints.canonical import Operation
from endpoints.models import Endpoint
from oneio.crypto import Place, Undecryptable, decrypt, encrypt
from oneio.deadline import database_deadline

CHUNK_BYTES = 256 * 1024
ABANDONED_AFTER = timedelta(hours=24)
FILE_NAME_LENGTH = 255
ANY_TYPE = "application/octet-stream"
_ANNOUNCED = {"attachment", "entity_type", "external_id", "size", "content_type"}


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file on its way in, the ticket it belongs to, and its bytes as they arrive."""

    entity_type: str
    external_id: str
    file_name: str
    content_type: str
    pieces: Iterator[bytes]


def take_in(endpoint: Endpoint, arrival: Arrival, file: IncomingFile) -> Attachment:
    """Store a file and the message that announces it; for a repeated Idempotency-Key return the earlier one.

    Until it is complete nobody can read it, and when it breaks off nothing stays. Raises Problem when it is
    larger than the setting allows, and whatever reading `file.pieces` raises.
    """
    attachment = _begin(endpoint, file)
    try:
        digest = store_chunks(attachment, _limited(file.pieces, settings.ATTACHMENT_MAX_BYTES))
        arrival = replace(arrival, raw=_announcement(attachment, file), digest=digest)
        message = once(endpoint, arrival, lambda: _finish(endpoint, arrival, attachment, file))
    except BaseException:
        with contextlib.suppress(*DATABASE_ERRORS), database_deadline():
            attachment.delete()
        raise
    if message.pk != attachment.message_id:
        attachment.delete()
        return message.attachments.get()
    return attachment


def read_chunks(attachment: Attachment) -> Iterator[bytes]:
    """The file's bytes in pieces of 256 KiB. Raises Undecryptable if a piece is missing or was changed."""
    if attachment.emptied_at:
        raise Undecryptable(f"Attachment {attachment.pk} was deleted (retention).")
    size = 0
    for index in count():
        chunk = AttachmentChunk.objects.filter(attachment=attachment, index=index).first()
        if chunk is None or not attachment.complete:
            raise Undecryptable(f"Attachment {attachment.pk} is not complete.")
        piece = decrypt(
            bytes(chunk.data), place_of(attachment.organization_id, attachment.pk, index, chunk.last)
        )
        size += len(piece)
        yield piece
        if chunk.last:
            break
    if size != attachment.size:
        raise Undecryptable(f"Attachment {attachment.pk} has {size} bytes instead of {attachment.size}.")


def remove_abandoned(endpoint: Endpoint) -> None:
    """Delete what is left of uploads that ended with their process, a day after they began."""
    Attachment.objects.filter(
        endpoint=endpoint, message=None, complete=False, created_at__lt=Now() - ABANDONED_AFTER
    ).delete()


def plain_file_name(name: str) -> str:
    """A file name without folders and control characters, 255 characters at most; empty if none is left."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(c for c in name if c.isprintable() and not "\ud800" <= c <= "\udfff").strip()
    return "" if set(name) <= {"."} else name[-FILE_NAME_LENGTH:]


def plain_content_type(told: str) -> str:
    """The content type as a header can carry it: of 100 visible signs at most, in one line."""
    return told if re.fullmatch(r"[\x20-\x7e]{1,100}", told) else ANY_TYPE


def _begin(endpoint: Endpoint, file: IncomingFile) -> Attachment:
    with database_deadline():
        remove_abandoned(endpoint)
        return Attachment.objects.create(
            organization_id=endpoint.organization_id,
            environment_id=endpoint.environment_id,
            endpoint=endpoint,
            file_name=file.file_name,
            content_type=plain_content_type(file.content_type),
        )


def store_chunks(attachment: Attachment, pieces: Iterator[bytes]) -> bytes:
    """Store all chunks, set the attachment's size, return the content's SHA-256."""
    digest = hashlib.sha256()
    for index, (chunk, last) in enumerate(chunks(pieces)):
        digest.update(chunk)
        attachment.size += len(chunk)
        sealed = encrypt(chunk, place_of(attachment.organization_id, attachment.pk, index, last))
        with database_deadline():
            AttachmentChunk.objects.create(attachment=attachment, index=index, last=last, data=sealed)
    return digest.digest()


def chunks(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of 256 KiB, each with whether it is the last; at least one."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) > CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES]), False
            del waiting[:CHUNK_BYTES]
    yield bytes(waiting), True


def _limited(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise attachment_too_large(limit)
        yield piece


def is_announcement(content: Any) -> bool:
    """Whether this is what stands in the message of a file that was posted by itself."""
    return isinstance(content, dict) and content.keys() == _ANNOUNCED


def _announcement(attachment: Attachment, file: IncomingFile) -> bytes:
    return json.dumps(
        {
            "attachment": str(attachment.pk),
            "entity_type": file.entity_type,
            "external_id": file.external_id,
            "size": attachment.size,
            "content_type": attachment.content_type,
        }
    ).encode()


def _finish(endpoint: Endpoint, arrival: Arrival, attachment: Attachment, file: IncomingFile) -> Message:
    message = store(
        endpoint,
        arrival,
        operation=Operation.ATTACH,
        entity_type=file.entity_type,
        external_id=file.external_id,
    )
    attachment.message, attachment.complete = message, True
    attachment.save(update_fields=["message", "size", "complete"])
    return message


def place_of(organization_id: int, attachment_id: UUID, index: int, last: bool) -> Place:
    """Where a chunk's ciphertext belongs."""
    return Place(organization_id, AttachmentChunk._meta.db_table, "data", f"{attachment_id}|{index}|{last}")
