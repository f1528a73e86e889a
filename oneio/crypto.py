"""Envelope encryption and keyed hashes: every secret and payload passes through here.

A ring of key encryption keys (settings) wraps one data key per organization (database). A ciphertext is
`version | data key id | nonce | AES-256-GCM`, and is bound to its organization, table, column and
primary key, so that a value copied to another place refuses to open. The version, which says whether the
value was deflated first, is bound with them.
"""

from __future__ import annotations

import hmac
import os
import zlib
from base64 import b64decode
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction

from oneio.deadline import database_deadline
from oneio.randomness import random_bytes
from oneio.together import shared

AS_IT_IS, DEFLATED = 1, 2
# Below this little is saved, and deflating takes 25 µs where other work has used the processor's caches.
# With zlib's usual window most of the time would go into laying it out.
WORTH_DEFLATING = 1024
WINDOW_BITS, MEMORY_LEVEL = 13, 5
KEY_BYTES = 32
NONCE_BYTES = 12
_HEADER_BYTES = 1 + 8 + NONCE_BYTES


class Undecryptable(Exception):
    """A stored value does not open: it was moved, changed, or its key is not in the ring."""


class Place(NamedTuple):
    """Where a ciphertext lives; part of what is authenticated."""

    organization_id: int
    table: str
    column: str
    primary_key: object

    def associated_data(self) -> bytes:
        """The bytes that bind a ciphertext to this place."""
        return f"{self.organization_id}|{self.table}|{self.column}|{self.primary_key}".encode()


def encrypt(plaintext: bytes, place: Place, *, deflate: bool = False) -> bytes:
    """Seal `plaintext` for `place` with the organization's active data key; `deflate`: it is text, which is
    stored in less room where that is worth it."""
    version, content = AS_IT_IS, plaintext
    if deflate and len(plaintext) >= WORTH_DEFLATING:
        version, content = DEFLATED, _deflated(plaintext)
    key_id, cipher = _active_key(place.organization_id)
    nonce = random_bytes(NONCE_BYTES)
    header = bytes([version]) + key_id.to_bytes(8) + nonce
    return header + cipher.encrypt(nonce, content, _authenticated(place, version))


def decrypt(envelope: bytes, place: Place) -> bytes:
    """Open what `encrypt` sealed for the same place. Raises Undecryptable."""
    if len(envelope) < _HEADER_BYTES or envelope[0] not in (AS_IT_IS, DEFLATED):
        raise Undecryptable(f"{place.table}.{place.column} holds no value of a known format.")
    version, key_id, nonce = envelope[0], int.from_bytes(envelope[1:9]), envelope[9:_HEADER_BYTES]
    cipher = _key(key_id, place.organization_id)
    try:
        content = cipher.decrypt(nonce, envelope[_HEADER_BYTES:], _authenticated(place, version))
    except InvalidTag:
        raise Undecryptable(
            f"{place.table}.{place.column} of row {place.primary_key} was moved or changed outside oneio."
        ) from None
    return zlib.decompress(content, -WINDOW_BITS) if version == DEFLATED else content


def keyed_hash(purpose: str, *parts: object) -> bytes:
    """HMAC-SHA256 over a purpose and parts, for values that must be compared but never read back.

    Each part is length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    """
    message = purpose.encode()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        message += len(data).to_bytes(8) + data
    return hmac.digest(_hash_key(), message, "sha256")


def create_data_key(organization_id: int) -> None:
    """Make a fresh data key the organization's active one; older ones still open what they sealed."""
    from oneio.models import DataKey

    with transaction.atomic():
        DataKey.objects.filter(organization_id=organization_id, active=True).update(active=False)
        key = DataKey.objects.create(organization_id=organization_id, active=True, wrapped=b"")
        key.wrapped = _wrap(AESGCM.generate_key(KEY_BYTES * 8), key.pk, organization_id)
        key.save(update_fields=["wrapped"])
    forget_keys()


def rewrap_data_keys() -> int:
    """Wrap every data key with the ring's first key, so that an old one can be retired. Returns how many."""
    from oneio.models import DataKey

    keys = list(DataKey.objects.all())
    for key in keys:
        key.wrapped = _wrap(_unwrap(key.wrapped, key.pk, key.organization_id), key.pk, key.organization_id)
    DataKey.objects.bulk_update(keys, ["wrapped"])
    return len(keys)


def forget_keys() -> None:
    """Drop unwrapped data keys from this process's memory; they are read again when needed."""
    _active_key.cache_clear()
    _key.cache_clear()


def _authenticated(place: Place, version: int) -> bytes:
    return place.associated_data() + (b"|deflated" if version == DEFLATED else b"")


def _deflated(plaintext: bytes) -> bytes:
    packer = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
    return packer.compress(plaintext) + packer.flush()


@cache
@shared
def _active_key(organization_id: int) -> tuple[int, AESGCM]:
    from oneio.models import DataKey

    with database_deadline():
        key = DataKey.objects.get(organization_id=organization_id, active=True)
    return key.pk, _key(key.pk, organization_id)


@cache
def _key(key_id: int, organization_id: int) -> AESGCM:
    from oneio.models import DataKey

    with database_deadline():
        key = DataKey.objects.filter(pk=key_id, organization_id=organization_id).first()
    if key is None:
        raise Undecryptable(f"Data key {key_id} does not belong to organization {organization_id}.")
    return AESGCM(_unwrap(key.wrapped, key.pk, organization_id))


def _wrap(data_key: bytes, key_id: int, organization_id: int) -> bytes:
    ring_id, cipher = next(iter(_ring().items()))
    nonce = os.urandom(NONCE_BYTES)
    sealed = cipher.encrypt(nonce, data_key, f"data key|{organization_id}|{key_id}".encode())
    return bytes([AS_IT_IS, len(ring_id)]) + ring_id.encode() + nonce + sealed


def _unwrap(wrapped: bytes | memoryview, key_id: int, organization_id: int) -> bytes:
    wrapped = bytes(wrapped)
    start = 2 + wrapped[1]
    ring_id, nonce, sealed = (
        wrapped[2:start].decode(),
        wrapped[start : start + NONCE_BYTES],
        wrapped[start + NONCE_BYTES :],
    )
    cipher = _ring().get(ring_id)
    if cipher is None:
        raise Undecryptable(f"Encryption key {ring_id} is missing from ONEIO_ENCRYPTION_KEYS. Add it back.")
    try:
        return cipher.decrypt(nonce, sealed, f"data key|{organization_id}|{key_id}".encode())
    except InvalidTag:
        raise Undecryptable(
            f"Encryption key {ring_id} is not the one that wrapped data key {key_id}."
        ) from None


def _ring() -> Mapping[str, AESGCM]:
    return {entry["id"]: AESGCM(b64decode(entry["key"])) for entry in settings.ENCRYPTION_KEYS}


def _hash_key() -> bytes:
    return _decoded(settings.HASH_KEY)


@cache
def _decoded(key: str) -> bytes:
    return b64decode(key)
