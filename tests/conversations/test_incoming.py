"""Parsing of untrusted bodies: nothing is lost, everything refused is refused with a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.incoming import Malformed, Unsupported, media_type, parse
from tests.patience import comes_to_an_end

JSON = "application/json"
XML = "application/xml"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, VALUES), st.booleans(), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_any_object_survives_unchanged(value: dict[str, Any], ascii_only: bool, charset: str) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode(charset)

    assert parse(f"{JSON}; charset={charset}", raw) == value


@given(
    st.binary(max_size=200), st.sampled_from([JSON, XML, f"{JSON}; charset=utf-16", f"{XML}; charset=utf-16"])
)
def test_any_bytes_parse_or_are_malformed(raw: bytes, content_type: str) -> None:
    try:
        value = parse(content_type, raw)
    except Malformed as problem:
        value = {"problem": str(problem)}

    assert json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.text(max_size=120))
def test_any_content_type_is_answered(text: str) -> None:
    try:
        kind = media_type(text).kind
    except Unsupported:
        kind = "unsupported"

    assert kind in {"json", "xml", "unsupported"}


def test_numbers_keep_their_digits() -> None:
    value = parse(JSON, b'{"i": 12345678901234567890123, "d": 1.10, "e": 1E400, "n": -0.30}')

    assert value == {"i": 12345678901234567890123, "d": "1.10", "e": "1E400", "n": "-0.30"}


def test_list_of_one_object_is_that_object() -> None:
    assert parse(JSON, b'[{"a": 1}]') == {"a": 1}


def test_byte_order_mark_is_no_content() -> None:
    assert parse(JSON, b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_escaped_pair_is_one_character() -> None:
    assert parse(JSON, b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


def test_brackets_in_text_are_no_nesting() -> None:
    text = '{"a": "' + '[{\\"' * 100 + '", "b": "\\\\"}'

    assert parse(JSON, text.encode())["b"] == "\\"


def test_64_levels_are_allowed() -> None:
    inside = b'{"a":' * 63 + b"[]" + b"}" * 63

    assert parse(JSON, inside)


@pytest.mark.parametrize("piece", [b'"\\', b'"', b"[", b'"\\"', b'{"a":', b'\\"\\'])
def test_hostile_text_is_refused_quickly(piece: bytes) -> None:
    with comes_to_an_end(), pytest.raises(Malformed):
        parse(JSON, b"[" * 65 + piece * (1_000_000 // len(piece)))


def test_xml_keeps_attributes_text_and_repeats() -> None:
    raw = b"""<r xmlns="urn:x"><n id="7"> INC1 </n><c>a</c><c>b</c><e/><m k="v">x<b>y</b></m></r>"""

    assert parse(XML, raw) == {
        "r": {
            "n": {"@id": "7", "#text": "INC1"},
            "c": ["a", "b"],
            "e": "",
            "m": {"@k": "v", "b": "y", "#text": "x"},
        }
    }


def test_xml_in_its_own_encoding_is_read() -> None:
    raw = '<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>'.encode("latin-1")

    assert parse("text/xml", raw) == {"a": "ä"}


def test_xml_with_too_many_elements_is_refused() -> None:
    with pytest.raises(Malformed, match="elements"):
        parse(XML, b"<r>" + b"<a/>" * 100_001 + b"</r>")


@pytest.mark.parametrize(
    "name", ["application/vnd.api+json", "text/json", "Application/JSON; Charset=UTF8", ""]
)
def test_json_by_any_of_its_names(name: str) -> None:
    assert media_type(name).kind == "json"


def test_same_bytes_give_the_same_again() -> None:
    raw = '{"z": 1, "a": ["ä", null, true]}'.encode()

    assert parse(JSON, raw) == parse(JSON, raw) == {"z": 1, "a": ["ä", None, True]}
