"""The effect key: one name for one effect at one target, the same for every retry and replay of it."""

from __future__ import annotations

from base64 import b32encode
from uuid import UUID

from oneio.crypto import keyed_hash

KEY_CHARACTERS = 26


def effect_key(response_id: UUID | str, rule_id: int, endpoint_id: int, part: str, anew: int = 0) -> str:
    """26 lower-case letters and digits (130 bits). `anew` counts explicit wishes to create it once more."""
    digest = keyed_hash("effect", response_id, rule_id, endpoint_id, part, anew)
    return b32encode(digest).decode().lower()[:KEY_CHARACTERS]
