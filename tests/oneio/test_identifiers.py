"""Identifiers that sort by time."""

import time

from oneio.identifiers import uuid7


def test_identifier_is_a_version_7_uuid() -> None:
    identifiers = [uuid7() for _ in range(100)]

    assert {(one.version, one.variant) for one in identifiers} == {(7, "specified in RFC 4122")}


def test_identifier_begins_with_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    identifier = uuid7()
    after = time.time_ns() // 1_000_000

    assert before <= identifier.int >> 80 <= after


def test_later_identifiers_sort_behind_earlier_ones() -> None:
    earlier = uuid7()
    time.sleep(0.003)

    assert earlier < uuid7()
    assert str(earlier) < str(uuid7())


def test_identifiers_of_one_millisecond_differ() -> None:
    assert len({uuid7() for _ in range(10_000)}) == 10_000
