"""When to tell a sender to come back later: too fast, too much waiting already, or no room on disk."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from conversations.models import Message
from conversations.problems import come_back
from endpoints.models import Endpoint
from oneio.deadline import database_deadline
from oneio.state import postgres_directory, state_directory

# How long an answer to "does this endpoint's oldest message wait too long?" is good for.
QUEUE_LOOK_SECONDS = 5.0
QUEUE_RETRY_SECONDS = 60.0
DISK_RETRY_SECONDS = 60.0
_BUCKET = struct.Struct("<dd")
_queue_looks: dict[int, tuple[float, bool]] = {}
DISK_LOOK_SECONDS = 1.0
_disk_looks: dict[str, tuple[float, int]] = {}


def check(endpoint: Endpoint) -> None:
    """Let a request pass, or raise the Problem that asks its sender to wait."""
    if free_bytes() < settings.DISK_MIN_FREE_BYTES:
        raise come_back(
            endpoint, "disk_full", "There is too little room on disk to store more.", DISK_RETRY_SECONDS
        )
    if queue_is_old(endpoint):
        raise come_back(
            endpoint, "queue_too_old", "Messages of this endpoint wait too long already.", QUEUE_RETRY_SECONDS
        )
    rate = endpoint.inbound_per_second
    wait = seconds_to_wait(endpoint.pk, rate) if rate else 0.0
    if wait:
        raise come_back(endpoint, "too_fast", f"This endpoint may send {rate:g} messages per second.", wait)


def free_bytes() -> int:
    """The room left where messages are stored: beside the embedded database, else beside our own state.

    Looked up once a second by each process.
    """
    looked_at, free = _disk_looks.get("free", (-DISK_LOOK_SECONDS, 0))
    if time.monotonic() - looked_at >= DISK_LOOK_SECONDS:
        place = postgres_directory() if settings.EMBEDDED_DATABASE else state_directory()
        free = _free(place if place.exists() else state_directory())
        _disk_looks["free"] = (time.monotonic(), free)
    return free


def queue_is_old(endpoint: Endpoint) -> bool:
    """Whether the endpoint's oldest unrouted message waits longer than the setting allows.

    A suspended endpoint's messages wait on purpose. Looked up once in 5 s by each process.
    """
    if endpoint.suspended:
        return False
    looked_at, old = _queue_looks.get(endpoint.pk, (-QUEUE_LOOK_SECONDS, False))
    if time.monotonic() - looked_at >= QUEUE_LOOK_SECONDS:
        _queue_looks[endpoint.pk] = (time.monotonic(), old)  # one request looks, the others go on
        with database_deadline():
            old = _oldest_is_too_old(endpoint)
        _queue_looks[endpoint.pk] = (time.monotonic(), old)
    return old


def forget() -> None:
    """Drop what was looked up, so that the next request looks again."""
    _queue_looks.clear()
    _disk_looks.clear()


def seconds_to_wait(endpoint_id: int, rate: float) -> float:
    """Take one token of the endpoint's bucket: 0 when there was one, else the seconds until there is.

    The bucket holds one second's worth. It is a file of 16 bytes under a lock, shared by all web processes of
    this machine: a row in the database would be locked and rewritten by every request.
    """
    with _bucket_file(endpoint_id).open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        now, size = time.monotonic(), max(1.0, rate)
        tokens = _refilled(os.pread(file.fileno(), _BUCKET.size, 0), now, rate, size)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / rate
        file.truncate(0)
        file.write(_BUCKET.pack(tokens if wait else tokens - 1, now))
    return wait


def _refilled(stored: bytes, now: float, rate: float, size: float) -> float:
    if len(stored) != _BUCKET.size:
        return size
    tokens, at = _BUCKET.unpack(stored)
    # The clock starts again with the machine.
    return min(size, tokens + (now - at) * rate) if at <= now else size


def _bucket_file(endpoint_id: int) -> Path:
    folder = state_directory() / "limits"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / str(endpoint_id)


def _oldest_is_too_old(endpoint: Endpoint) -> bool:
    allowed = timedelta(seconds=settings.QUEUE_MAX_AGE_SECONDS)
    is_old = ExpressionWrapper(Q(received_at__lt=Now() - allowed), output_field=BooleanField())
    oldest = Message.objects.waiting().filter(endpoint=endpoint)
    return bool(oldest.annotate(is_old=is_old).values_list("is_old", flat=True).first())


def _free(place: Path) -> int:
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize
