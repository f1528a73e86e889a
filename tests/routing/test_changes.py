"""Shadows: what changed, what is an echo, and what is left to send."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.canonical import Operation
from routing.changes import Shadow, alternating, from_json, heard, is_echo, same, to_json, to_send, wrote

SINGLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
    st.datetimes(timezones=st.just(UTC)),
)
VALUES = st.recursive(
    SINGLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["title", "priority", "labels", "due_at"]), VALUES)
CODES = st.dictionaries(st.sampled_from(["title", "priority"]), st.text(max_size=3))
SHADOWS = st.builds(Shadow, ATTRIBUTES, ATTRIBUTES, CODES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a\r\nb", "a\nb"),
        ("a \nb\n\n", "a\nb"),
        ("", None),
        (" ", []),
        (1, "1"),
        (Decimal("1.0"), 1),
        (Decimal("1.50"), "1.5"),
        (datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T14:00:00+02:00"),
        (["a", "b"], ["b", "a "]),
        ({"a": "x\n", "b": None}, {"a": "x"}),
        (True, "true"),
    ],
)
def test_values_that_say_the_same(one, other):
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "A"),
        ("a", " a"),
        ("a\nb", "ab"),
        (1, "one"),
        (1, True),
        (0, None),
        (False, None),
        ("1", "1.0"),
        (["a", "a"], ["a", "b"]),
        (["a"], ["a", "a"]),
        ({"a": 1}, {"a": 2}),
        (datetime(2024, 5, 1, tzinfo=UTC), "yesterday"),
    ],
)
def test_values_that_differ(one, other):
    assert not same(one, other)
    assert not same(other, one)


def test_first_message_changes_everything_with_value():
    shadow, changed = heard(Shadow(), {"title": "Fire", "due_at": None, "updated_at": "now"}, {})

    assert changed == {"title": None}
    assert shadow.known == {"title": "Fire", "due_at": None, "updated_at": "now"}


def test_change_tells_the_previous_value():
    _, changed = heard(
        Shadow({"title": "Smoke", "priority": "High"}), {"title": "Fire", "priority": "High"}, {}
    )

    assert changed == {"title": "Smoke"}


def test_emptied_attribute_is_a_change():
    _, changed = heard(Shadow({"assignee": "Beth"}), {"assignee": ""}, {})

    assert changed == {"assignee": "Beth"}


def test_unmentioned_attribute_stays_known():
    shadow, changed = heard(Shadow({"title": "Fire"}, codes={"title": "7"}), {"priority": "High"}, {})

    assert shadow.known == {"title": "Fire", "priority": "High"}
    assert shadow.codes == {"title": "7"}
    assert changed == {"priority": None}


def test_written_code_comes_back_as_display():
    shadow = wrote(Shadow(), {"priority": "1"})

    shadow, changed = heard(shadow, {"priority": "1 - Critical"}, {"priority": "1"})

    assert changed == {}
    assert to_send(shadow, {"priority": "1"}, {"priority"}) == {}
    assert to_send(shadow, {"priority": "2"}, set()) == {"priority": "2"}


def test_same_code_under_another_label_is_unchanged():
    shadow, _ = heard(Shadow(), {"priority": "High"}, {"priority": "1"})

    assert heard(shadow, {"priority": "Hoch"}, {"priority": "1"})[1] == {}


def test_our_own_write_comes_back_as_echo():
    shadow = wrote(Shadow({"title": "Smoke"}), {"title": "Fire\n"})

    _, changed = heard(shadow, {"title": "Fire", "updated_at": "later"}, {})

    assert is_echo(Operation.UPDATE, changed)


@pytest.mark.parametrize(
    ("operation", "changed", "comments", "attachments", "echo"),
    [
        (Operation.UPDATE, {}, [], [], True),
        (Operation.CLOSE, {}, [], [], True),
        (Operation.UPDATE, {"title": None}, [], [], False),
        (Operation.COMMENT, {}, ["7"], [], False),
        (Operation.ATTACH, {}, [], ["7"], False),
        (Operation.DELETE, {}, [], [], False),
    ],
)
def test_echo_is_what_tells_nothing_new(operation, changed, comments, attachments, echo):
    assert is_echo(operation, changed, comments, attachments) is echo


def test_three_two_three_arrives_from_source():
    target, sent = Shadow(), []

    for priority in ("3", "2", "3"):
        part = to_send(target, {"priority": priority}, {"priority"})
        target = wrote(target, part)
        sent.append(part)

    assert sent == [{"priority": "3"}, {"priority": "2"}, {"priority": "3"}]


def test_three_arrives_after_target_made_it_two():
    """The source says 3, a person at the target 2 (which travels back), a person at the source 3 again."""
    source, _ = heard(Shadow(), {"priority": "3"}, {})
    target = wrote(Shadow(), {"priority": "3"})
    target, _ = heard(target, {"priority": "2"}, {})
    source = wrote(source, {"priority": "2"})

    _, changed = heard(source, {"priority": "3"}, {})

    assert to_send(target, {"priority": "3"}, changed.keys()) == {"priority": "3"}


def test_persons_edit_at_target_is_left_alone():
    target = wrote(Shadow(), {"title": "Fire", "priority": "3"})
    target, _ = heard(target, {"priority": "1"}, {})

    assert to_send(target, {"title": "Big fire", "priority": "3"}, {"title"}) == {"title": "Big fire"}


def test_change_missed_by_a_rule_is_caught_up():
    target = wrote(Shadow(), {"title": "Fire", "priority": "3"})

    assert to_send(target, {"title": "Fire", "priority": "2"}, set()) == {"priority": "2"}


def test_what_the_target_has_is_not_sent():
    target, _ = heard(Shadow(), {"title": "Fire"}, {})

    assert to_send(target, {"title": "Fire "}, {"title"}) == {}


@given(VALUES, VALUES)
def test_same_is_reflexive_and_symmetric(one, other):
    assert same(one, one)
    assert same(one, other) == same(other, one)


@given(SHADOWS)
def test_shadow_survives_json(shadow):
    assert from_json(to_json(shadow)) == shadow


def test_empty_json_is_an_unknown_ticket():
    assert from_json({}) == Shadow()


@given(SHADOWS, ATTRIBUTES, CODES)
def test_hearing_the_same_again_changes_nothing(shadow, attributes, codes):
    once, _ = heard(shadow, attributes, codes)

    twice, changed = heard(once, attributes, codes)

    assert (twice, changed) == (once, {})


@given(SHADOWS, ATTRIBUTES)
def test_what_was_written_is_echo_and_done(shadow, attributes):
    after = wrote(shadow, attributes)

    assert heard(after, attributes, {})[1] == {}
    assert to_send(after, attributes, attributes.keys()) == {}


@given(SHADOWS, ATTRIBUTES)
def test_sending_brings_the_target_in_line(shadow, outbound):
    sent = to_send(shadow, outbound, outbound.keys())

    after = wrote(shadow, sent)

    assert to_send(after, outbound, outbound.keys()) == {}


@given(SHADOWS, ATTRIBUTES, ATTRIBUTES)
def test_unmoved_edits_are_never_overwritten(shadow, outbound, edited):
    after, _ = heard(wrote(shadow, outbound), edited, {})

    assert to_send(after, outbound, set()) == {}


@given(SHADOWS, ATTRIBUTES, CODES)
def test_changes_are_heard_attributes_only(shadow, attributes, codes):
    after, changed = heard(shadow, attributes, codes)

    assert changed.keys() <= attributes.keys()
    assert after.written == shadow.written
    assert all(after.known[name] == value for name, value in attributes.items())


def test_value_that_comes_back_alternates() -> None:
    states = [{"title": title, "note": number} for number, title in enumerate("ababab")]

    assert alternating(states) == {"title": list("ababab")}


@pytest.mark.parametrize("titles", ["a", "aaa", "aab", "abc"])
def test_values_that_go_one_way_do_not_alternate(titles: str) -> None:
    assert alternating([{"title": title} for title in titles]) == {}


def test_only_the_last_alternating_values_are_shown() -> None:
    states = [{"title": title} for title in "ab" * 20] + [{}]

    assert alternating(states, shown=3) == {"title": list("bab")}
