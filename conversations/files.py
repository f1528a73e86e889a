"""Reads and keeps files on HTTP threads, over connections of their own: their bytes pass no other thread.

A file that a message only spoke of is fetched from its system when the first target wants it, kept in
encrypted chunks, and handed on from there; a process that dies meanwhile leaves nothing that counts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection

from conversations.attachments import chunks, place_of
from endpoints.adapters.base import Capability, OutgoingFile
from endpoints.canonical import Attachment
from endpoints.configs import LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Outcome, Result
from oneio.crypto import Undecryptable, decrypt, encrypt
from oneio.wakeup import connect

AT_ONCE = 4
"""Files that one process reads or keeps at the same time, each with a database connection."""
_CHUNK = """
    SELECT data, last FROM conversations_attachmentchunk WHERE attachment_id = %s AND index = %s
"""
_IS_COMPLETE = "SELECT complete, size FROM conversations_attachment WHERE id = %s"
_FORGET = "DELETE FROM conversations_attachmentchunk WHERE attachment_id = %s"
_KEEP = """
    INSERT INTO conversations_attachmentchunk (attachment_id, index, last, data) VALUES (%s, %s, %s, %s)
"""
_COMPLETE = "UPDATE conversations_attachment SET size = %s, complete = true WHERE id = %s"
# One thread at a time fetches a file; the others find it complete. The lock goes with its connection.
_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"


class Unavailable(Exception):
    """The file cannot be had from where it is; `outcome` says why, in words for a person."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of ours as a thread may know it; `source` is where it can be fetched if it is not here yet."""

    id: UUID
    organization_id: int
    name: str
    content_type: str
    size: int
    complete: bool
    gone: bool
    remote_id: str
    url: str
    source: LoadedEndpoint


class FileStore:
    """A process's way to the bytes of files, for threads that may not use Django's connection."""

    def __init__(self) -> None:
        self._parameters: dict[str, Any] = connection.get_connection_params()
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def outgoing(self, file: FileRef, http: HttpClient, longest: int | None) -> OutgoingFile:
        """The file, ready to be handed on; fetched first if it is not here. `longest`: the rule's limit in
        bytes. Raises Unavailable."""
        if file.gone:
            raise Unavailable(_refused("gone", "It was deleted here (retention). Attach it again."))
        size = file.size if file.complete else self._fetch(file, http)
        if longest is not None and size > longest:
            raise Unavailable(
                _refused("too_large", f"It has {size} bytes; the rule takes {longest} at most.")
            )
        return OutgoingFile(file.name, file.content_type, size, lambda: self._pieces(file))

    def _pieces(self, file: FileRef) -> Iterator[bytes]:
        with self._database() as database:
            for index in count():
                row: Any = database.execute(_CHUNK, [file.id, index]).fetchone()
                if row is None:
                    raise Undecryptable(f"Attachment {file.id} is not complete.")
                data, last = row
                yield decrypt(bytes(data), place_of(file.organization_id, file.id, index, last))
                if last:
                    return

    def _fetch(self, file: FileRef, http: HttpClient) -> int:
        """Keep the file here; its size in bytes."""
        if not file.source.can(Capability.DOWNLOAD):
            raise Unavailable(_refused("no_download", "This endpoint type does not hand out files."))
        with self._database() as database:
            database.execute(_LOCK, [str(file.id)])
            complete, size = self._state(database, file)
            if complete:
                return size
            database.execute(_FORGET, [file.id])
            return self._download(database, file, http)

    def _download(self, database: psycopg.Connection[Any], file: FileRef, http: HttpClient) -> int:
        kept = 0

        def take(pieces: Iterator[bytes]) -> None:
            nonlocal kept
            for index, (chunk, last) in enumerate(chunks(pieces)):
                sealed = encrypt(chunk, place_of(file.organization_id, file.id, index, last))
                database.execute(_KEEP, [file.id, index, last, sealed])
                kept += len(chunk)

        remote = Attachment(file.remote_id, file.name, file.content_type, url=file.url)
        outcome = file.source.adapter.download(remote, http, take, settings.ATTACHMENT_MAX_BYTES)
        if not outcome.confirmed:
            database.execute(_FORGET, [file.id])
            raise Unavailable(outcome)
        database.execute(_COMPLETE, [kept, file.id])
        return kept

    def _state(self, database: psycopg.Connection[Any], file: FileRef) -> tuple[bool, int]:
        row: Any = database.execute(_IS_COMPLETE, [file.id]).fetchone()
        if row is None:
            raise Unavailable(_refused("gone", "It was deleted here."))
        return row[0], row[1]

    @contextmanager
    def _database(self) -> Iterator[psycopg.Connection[Any]]:
        with self._places, connect(self._parameters) as database:
            yield database


def _refused(code: str, detail: str) -> Outcome:
    return Outcome(Result.NOT_SENT, Failure.DATA, code=code, detail=detail)
