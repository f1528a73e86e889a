"""Identifiers that sort by time: UUID version 7 (RFC 9562)."""

import time
from datetime import datetime
from uuid import UUID

from oneio.randomness import random_bytes


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix time in milliseconds, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    value = int.from_bytes(milliseconds.to_bytes(6) + random_bytes(10))
    value = value & ~(0xF << 76) | (0x7 << 76)
    return UUID(int=value & ~(0x3 << 62) | (0x2 << 62))


def earliest(moment: datetime) -> UUID:
    """The lowest UUIDv7 of that millisecond: those made before it are less."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def as_uuid(text: str) -> UUID | None:
    """The UUID that a person typed or pasted, or None."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
