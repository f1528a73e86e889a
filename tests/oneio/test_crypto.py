"""Envelope encryption: what is sealed opens in its own place alone, and keys can be changed while it runs."""

from base64 import b64encode
from typing import Any

import pytest

from oneio import crypto
from oneio.crypto import (
    Place,
    Undecryptable,
    create_data_key,
    decrypt,
    encrypt,
    keyed_hash,
    rewrap_data_keys,
)
from oneio.models import DataKey
from tests.factories import make_organization

pytestmark = pytest.mark.django_db
OLD_KEY = {"id": "old", "key": b64encode(b"o" * 32).decode()}
NEW_KEY = {"id": "new", "key": b64encode(b"n" * 32).decode()}


@pytest.fixture
def place() -> Place:
    return Place(make_organization().pk, "messages", "raw", "0194-a")


def use_ring(settings: Any, *keys: dict[str, str]) -> None:
    """Run on with these encryption keys, as a restarted process would."""
    settings.ENCRYPTION_KEYS = list(keys)
    crypto.forget_keys()


def test_sealed_value_opens_in_its_place(place: Place) -> None:
    sealed = encrypt(b"disk is full", place)

    assert decrypt(sealed, place) == b"disk is full"
    assert b"disk" not in sealed


def test_same_value_is_sealed_differently_each_time(place: Place) -> None:
    assert encrypt(b"disk is full", place) != encrypt(b"disk is full", place)


@pytest.mark.parametrize("where", [{"table": "deliveries"}, {"column": "headers"}, {"primary_key": "0194-b"}])
def test_moved_value_refuses_to_open(place: Place, where: dict[str, str]) -> None:
    sealed = encrypt(b"disk is full", place)

    with pytest.raises(Undecryptable, match="moved or changed"):
        decrypt(sealed, place._replace(**where))


def test_value_of_another_organization_refuses(place: Place) -> None:
    other = make_organization()

    with pytest.raises(Undecryptable, match=f"does not belong to organization {other.pk}"):
        decrypt(encrypt(b"disk is full", place), place._replace(organization_id=other.pk))


def test_own_key_opens_no_value_bound_elsewhere(place: Place) -> None:
    # Even with the key handed over, the organization is part of what is authenticated.
    other = make_organization()
    sealed = encrypt(b"disk is full", place)
    DataKey.objects.filter(organization_id=other.pk).delete()
    row = DataKey.objects.get(organization_id=place.organization_id)
    plain = crypto._unwrap(row.wrapped, row.pk, place.organization_id)
    DataKey.objects.update(organization_id=other.pk, wrapped=crypto._wrap(plain, row.pk, other.pk))
    crypto.forget_keys()

    with pytest.raises(Undecryptable, match="moved or changed"):
        decrypt(sealed, place._replace(organization_id=other.pk))


@pytest.mark.parametrize("position", [10, 20, 21, -1])
def test_changed_byte_refuses_to_open(place: Place, position: int) -> None:
    sealed = bytearray(encrypt(b"disk is full", place))
    sealed[position] ^= 1

    with pytest.raises(Undecryptable, match="moved or changed"):
        decrypt(bytes(sealed), place)


@pytest.mark.parametrize("sealed", [b"", b"\x01short", b"\x03" + b"x" * 60])
def test_unknown_format_refuses_to_open(place: Place, sealed: bytes) -> None:
    with pytest.raises(Undecryptable, match="no value of a known format"):
        decrypt(sealed, place)


def test_long_text_is_stored_in_less_room(place: Place) -> None:
    text = b"the disk is full, " * 100

    sealed = encrypt(text, place, deflate=True)

    assert decrypt(sealed, place) == text
    assert len(sealed) < len(text) / 2


def test_format_is_authenticated(place: Place) -> None:
    deflated = encrypt(b"the disk is full, " * 100, place, deflate=True)
    plain = encrypt(b"the disk is full, " * 100, place)

    for sealed, other in ((deflated, b"\x01"), (plain, b"\x02")):
        with pytest.raises(Undecryptable, match="moved or changed"):
            decrypt(other + sealed[1:], place)


def test_unknown_data_key_refuses_to_open(place: Place) -> None:
    sealed = encrypt(b"disk is full", place)
    unknown = sealed[:1] + (2**40).to_bytes(8) + sealed[9:]

    with pytest.raises(Undecryptable, match=f"Data key {2**40}"):
        decrypt(unknown, place)


def test_text_of_a_refusal_holds_no_value(place: Place) -> None:
    with pytest.raises(Undecryptable) as refusal:
        decrypt(encrypt(b"disk is full", place), place._replace(column="headers"))

    assert "disk" not in str(refusal.value)


def test_key_missing_from_the_ring_is_named(settings: Any) -> None:
    use_ring(settings, OLD_KEY)
    place = Place(make_organization().pk, "messages", "raw", "0194-a")
    sealed = encrypt(b"disk is full", place)

    use_ring(settings, NEW_KEY)

    with pytest.raises(Undecryptable, match="Encryption key old is missing from ONEIO_ENCRYPTION_KEYS"):
        decrypt(sealed, place)


def test_other_key_under_the_same_id_is_refused(settings: Any) -> None:
    use_ring(settings, OLD_KEY)
    place = Place(make_organization().pk, "messages", "raw", "0194-a")
    sealed = encrypt(b"disk is full", place)

    use_ring(settings, NEW_KEY | {"id": "old"})

    with pytest.raises(Undecryptable, match="not the one that wrapped"):
        decrypt(sealed, place)


def test_old_encryption_key_can_be_retired_after_rewrapping(settings: Any) -> None:
    use_ring(settings, OLD_KEY)
    place = Place(make_organization().pk, "messages", "raw", "0194-a")
    sealed = encrypt(b"disk is full", place)
    use_ring(settings, NEW_KEY, OLD_KEY)

    rewrapped = rewrap_data_keys()
    use_ring(settings, NEW_KEY)

    assert decrypt(sealed, place) == b"disk is full"
    assert rewrapped == DataKey.objects.count()


def test_both_keys_of_a_ring_open_meanwhile(settings: Any) -> None:
    use_ring(settings, OLD_KEY)
    before = Place(make_organization().pk, "messages", "raw", "0194-a")
    sealed_before = encrypt(b"before", before)

    use_ring(settings, NEW_KEY, OLD_KEY)
    after = Place(make_organization().pk, "messages", "raw", "0194-b")
    sealed_after = encrypt(b"after", after)

    assert decrypt(sealed_before, before) == b"before"
    assert decrypt(sealed_after, after) == b"after"


def test_new_data_key_seals_and_old_one_still_opens(place: Place) -> None:
    sealed = encrypt(b"before", place)

    create_data_key(place.organization_id)
    sealed_anew = encrypt(b"after", place)

    assert decrypt(sealed, place) == b"before"
    assert decrypt(sealed_anew, place) == b"after"
    assert sealed[1:9] != sealed_anew[1:9]
    assert DataKey.objects.filter(organization_id=place.organization_id, active=True).count() == 1


def test_data_key_is_stored_wrapped_only(place: Place) -> None:
    row = DataKey.objects.get(organization_id=place.organization_id)
    key = crypto._unwrap(row.wrapped, row.pk, place.organization_id)

    assert len(key) == crypto.KEY_BYTES
    assert key not in bytes(row.wrapped)


def test_data_key_moved_to_another_organization_refuses(place: Place) -> None:
    own, other = (
        DataKey.objects.get(organization_id=pk) for pk in (place.organization_id, make_organization().pk)
    )
    other.wrapped = own.wrapped
    other.save()
    crypto.forget_keys()

    with pytest.raises(Undecryptable, match="not the one that wrapped"):
        encrypt(b"disk is full", place._replace(organization_id=other.organization_id))


def test_keyed_hash_depends_on_each_part_and_purpose() -> None:
    hashes = {
        keyed_hash("a", "ab", "c"),
        keyed_hash("a", "a", "bc"),
        keyed_hash("b", "ab", "c"),
        keyed_hash("a", "abc"),
    }

    assert len(hashes) == 4
    assert keyed_hash("a", "ab", "c") == keyed_hash("a", b"ab", "c")


def test_keyed_hash_depends_on_the_key(settings: Any) -> None:
    before = keyed_hash("password", "secret")

    settings.HASH_KEY = OLD_KEY["key"]

    assert keyed_hash("password", "secret") != before
