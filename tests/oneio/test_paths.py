"""Paths: what they reach, what they leave alone, and what they refuse with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio.paths import MISSING, PathError, compile_path

DOCUMENT = {
    "attributes": {"short_description": "Printer on fire", "weird name": "found", "empty": None},
    "native": {"issue": {"fields": {"summary": "Fire", "labels": ["hot", "urgent", "printer"]}}},
    "parameters": {"issue.key": "OPS-7"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("attributes.short_description", "Printer on fire"),
        ("$.attributes.short_description", "Printer on fire"),
        ("native.issue.fields.summary", "Fire"),
        ('attributes["weird name"]', "found"),
        ("attributes['weird name']", "found"),
        ('parameters["issue.key"]', "OPS-7"),
        ("native.issue.fields.labels[0]", "hot"),
        ("native.issue.fields.labels[-1]", "printer"),
        ('["attributes"].short_description', "Printer on fire"),
    ],
)
def test_path_reaches_its_value(text, value):
    assert compile_path(text).first(DOCUMENT) == value


def test_none_is_a_value_not_missing():
    assert compile_path("attributes.empty").first(DOCUMENT) is None
    assert compile_path("attributes.absent").first(DOCUMENT) is MISSING
    assert compile_path("attributes.empty.deeper").first(DOCUMENT) is MISSING


def test_missing_counts_as_false():
    assert not MISSING
    assert repr(MISSING) == "MISSING"


@pytest.mark.parametrize("text", ["native.issue.fields.labels[*]", "native.issue.fields.labels[0:]"])
def test_all_gives_every_element(text):
    assert compile_path(text).all(DOCUMENT) == ["hot", "urgent", "printer"]


def test_slice_takes_a_part():
    assert compile_path("native.issue.fields.labels[1:3]").all(DOCUMENT) == ["urgent", "printer"]
    assert compile_path("native.issue.fields.labels[::2]").all(DOCUMENT) == ["hot", "printer"]


def test_star_takes_a_mappings_values():
    assert compile_path("parameters.*").all(DOCUMENT) == ["OPS-7"]


def test_dollar_is_the_document_itself():
    assert compile_path("$").first(DOCUMENT) is DOCUMENT


def test_times_and_decimals_come_back_untouched():
    at, number = datetime(2024, 5, 1, tzinfo=UTC), Decimal("1.50")

    document = MappingProxyType({"attributes": {"at": at, "number": number}})

    assert compile_path("attributes.at").first(document) is at
    assert compile_path("attributes.number").first(document) is number


def test_text_is_not_taken_apart():
    assert compile_path("title[0]").first({"title": "Fire"}) is MISSING
    assert compile_path("title[*]").all({"title": "Fire"}) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("native..summary", r"'\.\.'"),
        ("a|b", r"'\|'"),
        ("a&b", "'&'"),
        ("a.`parent`", "back quotes"),
        ("native where issue", "'where'"),
        ("native.[a,b]", "comma"),
        ("(a)", "bracket"),
        ("labels[::0]", "step of 0"),
        ("a b", "brackets and quotes"),
        ("a.", "brackets and quotes"),
        ("a['open", "brackets and quotes"),
        ("labels[?(@.x==1)]", "brackets and quotes"),
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 501, "501 characters"),
    ],
)
def test_refused_paths_say_why(text, says):
    with pytest.raises(PathError, match=says):
        compile_path(text)


def test_long_paths_of_steps_stay_cheap():
    nested: object = "deep"
    for _ in range(160):
        nested = [nested]

    assert compile_path("a" + "[*]" * 160).all({"a": nested}) == ["deep"]


def test_under_looks_one_level_down():
    path = compile_path('["weird name"]').under("attributes")

    assert path.first(DOCUMENT) == "found"
    assert path.root == "attributes"


def test_same_text_gives_the_same_object():
    assert compile_path("attributes['weird name']") is compile_path("attributes['weird name']")


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_any_name_can_be_reached_in_quotes(names):
    document: object = "found"
    for name in reversed(names):
        document = {name: document}

    text = "$" + "".join('["' + name.replace("\\", "\\\\").replace('"', '\\"') + '"]' for name in names)

    assert compile_path(text).first(document) == "found"


@given(
    st.lists(
        st.one_of(
            st.text(min_size=1, max_size=10), st.integers(-9, 9), st.just(slice(1, None)), st.just("*")
        ),
        max_size=6,
    )
)
def test_written_path_reads_back_the_same(steps):
    text = "$" + "".join(f"[{_bracket(step)}]" for step in steps)

    path = compile_path(text)

    assert compile_path(str(path)) == path


def _bracket(step: object) -> str:
    if isinstance(step, slice):
        return "1:"
    if isinstance(step, str) and step != "*":
        return '"' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(step)
