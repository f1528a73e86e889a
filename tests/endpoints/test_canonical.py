"""The canonical message and its JSON form."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.canonical import (
    ATTRIBUTES,
    Actor,
    Attachment,
    CanonicalMessage,
    Comment,
    EntityKind,
    Operation,
    Visibility,
    decode,
    encode,
    from_json,
    to_json,
)

texts = st.text(max_size=20)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(timezones=zones)
numbers = st.decimals(allow_nan=False, allow_infinity=False)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), numbers, texts, times)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
actors = st.builds(Actor, texts, texts, texts)
visibilities = st.sampled_from(Visibility)
comments = st.builds(Comment, texts, texts, visibilities, actors, st.none() | times)
attachments = st.builds(Attachment, texts, texts, texts, st.none() | st.integers(0), texts, texts)
messages = st.builds(
    CanonicalMessage,
    entity_type=texts,
    kind=st.sampled_from(EntityKind),
    operation=st.sampled_from(Operation),
    external_id=texts,
    number=texts,
    link=texts,
    actor=actors,
    occurred_at=st.none() | times,
    attributes=st.dictionaries(texts, values, max_size=4),
    codes=st.dictionaries(texts, texts, max_size=3),
    comments=st.lists(comments, max_size=2).map(tuple),
    attachments=st.lists(attachments, max_size=2).map(tuple),
    native=st.dictionaries(texts, json_values, max_size=3),
    parameters=st.dictionaries(texts, texts, max_size=2),
    effect_key=texts,
    event_id=texts,
)


@given(messages)
def test_message_survives_its_json(message: CanonicalMessage) -> None:
    stored = json.dumps(to_json(message))

    assert from_json(json.loads(stored)) == message


@given(times)
def test_times_keep_their_zone(moment: datetime) -> None:
    restored = decode(encode(moment))

    assert isinstance(restored, datetime)
    assert restored.utcoffset() == moment.utcoffset()


@given(numbers)
def test_numbers_keep_their_digits(number: Decimal) -> None:
    assert str(decode(encode(number))) == str(number)


def test_objects_may_look_like_tags() -> None:
    value = {"$time": "not a time", "$number": "x"}

    assert decode(encode({**value})) == value


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        encode(datetime(2026, 11, 21, 12, 0))


def test_foreign_json_is_refused() -> None:
    whole = to_json(CanonicalMessage("incident", EntityKind.INCIDENT, Operation.CREATE, "1"))

    with pytest.raises(KeyError):
        from_json({**whole, "attributes": {"x": {"$unknown": 1}}})
    with pytest.raises(ValueError, match="merge"):
        from_json({**whole, "operation": "merge"})
    with pytest.raises(KeyError):
        from_json({name: value for name, value in whole.items() if name != "number"})


@pytest.mark.parametrize("kind", EntityKind)
def test_every_kind_documents_its_attributes(kind: EntityKind) -> None:
    names = [attribute.name for attribute in ATTRIBUTES[kind]]

    assert len(names) == len(set(names)) > 0
    assert all(attribute.meaning for attribute in ATTRIBUTES[kind])


def test_defaults_reveal_nothing_to_customers() -> None:
    comment = Comment("1", "seen", at=datetime(2026, 11, 21, tzinfo=UTC))

    assert comment.visibility is Visibility.INTERNAL
