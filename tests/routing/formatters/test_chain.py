"""Chains of formatters: what cannot run cannot be saved, and what runs stays within its bounds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio.paths import MISSING
from oneio.template_values import MAX_VALUE, measure
from routing.errors import RuleError
from routing.formatters import FORMATTERS, FormatterError, apply_chain, compile_chain
from tests.patience import comes_to_an_end

NEEDED = {
    "truncate": {"length": 5},
    "replace": {"old": "a", "new": "bb"},
    "surround": {"before": "<", "after": ">"},
    "pad": {"length": 9},
    "extract": {"pattern": "(a)|(b)", "group": 2},
    "extract_all": {"pattern": "[a-c]*"},
    "replace_pattern": {"pattern": "(a)?b", "new": "[\\1]"},
    "default": {"value_if_empty": "none"},
    "json_path": {"path": "a[*].b"},
    "number": {"decimals": 2},
    "number_text": {"decimals": 1},
    "date_format": {"pattern": "dd.MM.yy HH:mm:ss.SSS z", "zone": "Europe/Berlin"},
    "convert": {"reads": "html", "writes": "adf"},
}
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.one_of(st.none(), st.just(UTC))),
    st.text(max_size=40),
    st.sampled_from(
        ["2024-05-01T12:00Z", "1.234,5", '{"a": [{"b": 1}]}', "YWJj", "<b>a</b>", "-- \nx", "*a*"]
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted(FORMATTERS)


def chain(*names, **arguments):
    return compile_chain([{"name": name, "arguments": arguments or NEEDED.get(name, {})} for name in names])


def formatted(value, name, **arguments):
    return apply_chain(chain(name, **arguments), value)


def outcome(steps, value):
    """What the chain gives, or the sentence that it fails with."""
    try:
        return apply_chain(steps, value), ""
    except FormatterError as error:
        return None, str(error)


@given(VALUES, st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
def test_formatter_fails_only_with_a_sentence(value, names):
    result, sentence = outcome(chain(*names), value)

    assert not sentence or (sentence.startswith("Formatter ") and sentence.endswith("."))
    assert result is MISSING or measure(result) <= MAX_VALUE


@given(VALUES, st.sampled_from(NAMES))
def test_formatter_gives_the_same_again(value, name):
    assert outcome(chain(name), value) == outcome(chain(name), value)


@pytest.mark.parametrize("name", NAMES)
def test_huge_value_ends_in_bounded_time(name):
    values = ["a" * 1_000_000, "<a" * 400_000, ["ab"] * 30_000, "> \n" * 300_000, "on a:\n" * 150_000]

    with comes_to_an_end():
        for value in values:
            outcome(chain(name), value)


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("replace", {"old": "a", "new": "b" * 100}, "a" * 20_000),
        ("replace_pattern", {"pattern": "a", "new": "b" * 2000}, "a" * 9_000),
        ("replace_pattern", {"pattern": "x?", "new": "b"}, "a" * 20_000),
        ("pad", {"length": 1_000_000}, ["x"] * 100),
        ("join", {"separator": "x" * 2000}, ["a"] * 1000),
        ("split", {"separator": ","}, "a," * 100_000),
        ("base64_encode", {}, "a" * 900_000),
        ("url_encode", {}, "ä" * 500_000),
        ("upper", {}, "x" * (MAX_VALUE + 1)),
    ],
)
def test_growing_value_is_refused_quickly(name, arguments, value):
    with comes_to_an_end(), pytest.raises(FormatterError, match=r"[Ss]horten"):
        formatted(value, name, **arguments)


def test_long_chain_has_bounded_work():
    long, short = chain(*["trim"] * 20), "x" * 20_000

    assert apply_chain(long, short) == short
    with pytest.raises(FormatterError, match=r"^Formatter 9, Trim: The chain takes too much work"):
        apply_chain(long, "x" * 1_000_000)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"name": "upper"}, "no list"),
        ([{"name": "shout"}], "There is no formatter 'shout'"),
        (["upper"], "There is no formatter 'None'"),
        ([{"name": "upper"}] * 21, "too many"),
        ([{"name": "upper", "arguments": {"length": 1}}], "no argument 'length'. It takes none"),
        ([{"name": "upper", "arguments": [1]}], "no argument"),
        ([{"name": "truncate"}], "“Length” is a whole number"),
        ([{"name": "truncate", "arguments": {"length": -1}}], "cannot be below 0"),
        ([{"name": "truncate", "arguments": {"length": 10**9}}], "too large"),
        ([{"name": "replace", "arguments": {"old": ""}}], "“Text” is empty"),
        ([{"name": "replace", "arguments": {"old": "x" * 3000}}], "too long"),
        ([{"name": "replace", "arguments": {"old": ["x"]}}], "is a text"),
        ([{"name": "pad", "arguments": {"length": 3, "fill": "ab"}}], "one character"),
        ([{"name": "extract", "arguments": {"pattern": "(a"}}], "cannot be read"),
        ([{"name": "extract", "arguments": {"pattern": "(a)", "group": 2}}], "has 1 groups"),
        ([{"name": "replace_pattern", "arguments": {"pattern": "a", "new": "\\1"}}], "has 0 groups"),
        ([{"name": "truncate", "arguments": {"length": 9, "at_word": "maybe"}}], "is yes or no"),
        ([{"name": "json_path", "arguments": {"path": "a..b"}}], "any depth"),
        ([{"name": "number", "arguments": {"decimal": ";"}}], "is one of"),
        ([{"name": "number", "arguments": {"decimals": 21}}], "between 0 and 20"),
        ([{"name": "date_format", "arguments": {"pattern": "QQ"}}], "no sign 'QQ'"),
        ([{"name": "date_format", "arguments": {"pattern": "'open"}}], "cannot be read"),
        ([{"name": "date_format", "arguments": {"pattern": "yyyy" * 40}}], "cannot be read"),
        ([{"name": "date_format", "arguments": {"zone": "Mars/Base"}}], "not known"),
        ([{"name": "date_parse", "arguments": {"pattern": "HH:mm"}}], "needs a year"),
        ([{"name": "date_parse", "arguments": {"pattern": "yyyy z"}}], "no z"),
    ],
)
def test_wrong_chain_cannot_be_saved(written, says):
    with pytest.raises(RuleError, match=says) as refused:
        compile_chain(written)

    assert refused.value.field == "formatters"


def test_missing_and_null_pass_to_default():
    wanted = chain("trim", "upper", "default", "lower")

    assert apply_chain(wanted[:2], MISSING) is MISSING
    assert apply_chain(wanted[:2], None) is None
    assert [apply_chain(wanted[:3], empty) for empty in (MISSING, None, "", [])] == ["none"] * 4
    assert formatted({}, "default") == "none"
    assert [formatted(value, "default", value_if_empty="x") for value in (0, False)] == [0, False]


def test_list_is_formatted_by_element():
    assert formatted(["a", None, 2], "upper") == ["A", None, "2"]
    assert formatted(["a,b", "c"], "split", separator=",") == ["a", "b", "c"]
    assert formatted(["INC1", "x"], "extract", pattern="INC.") == ["INC1"]
    assert formatted(["y", "x"], "extract", pattern="INC.") is MISSING
    assert formatted([], "upper") == []


def test_failing_formatter_is_named_by_place():
    with pytest.raises(FormatterError, match=r"^Formatter 2, Number: The value is no number\.") as failure:
        apply_chain(chain("trim", "number"), "secret words")

    assert "secret" not in str(failure.value)


def test_arguments_come_as_texts_from_forms():
    assert formatted("abcdef", "truncate", length="4", ellipsis="") == "abcd"
    assert formatted("abcdef", "substring", start="-3", length="") == "def"
    assert formatted(Decimal("1234.5"), "number_text", decimals="0") == "1235"


@pytest.mark.parametrize(
    ("flag", "result"),
    [(True, "Mail is…"), ("yes", "Mail is…"), (False, "Mail is do…"), ("", "Mail is do…")],
)
def test_flag_is_read_as_people_say_it(flag, result):
    assert formatted("Mail is downright gone", "truncate", length=11, at_word=flag) == result


@pytest.mark.parametrize(
    ("name", "arguments", "value", "says"),
    [
        ("convert", {"reads": "html", "writes": "adf"}, "x" * 300_000, "Truncate it first"),
        ("convert", {"reads": "adf", "writes": "text"}, "no json", "no Atlassian document"),
        ("convert", {"reads": "adf", "writes": "text"}, {"type": "table"}, "no Atlassian document"),
        ("json_path", {"path": "a"}, "[NaN]", "no JSON"),
        ("json_path", {"path": "a"}, '{"a": "\\ud800"}', "no JSON"),
        ("base64_decode", {}, "no base64!", "no text in Base64"),
        ("number", {}, "1e999", "no number"),
        (
            "date_format",
            {"zone": "Asia/Tokyo"},
            datetime(9999, 12, 31, 23, tzinfo=UTC),
            "cannot work on this",
        ),
    ],
)
def test_unfit_value_is_refused_with_words(name, arguments, value, says):
    with pytest.raises(FormatterError, match=says):
        formatted(value, name, **arguments)


def test_atlassian_document_is_read_as_structure_or_text():
    document = formatted("Mail is *down*", "convert", reads="markdown", writes="adf")

    for value in (document, json.dumps(document)):
        assert formatted(value, "convert", reads="adf", writes="html") == "<p>Mail is <em>down</em></p>"
    assert formatted("h1. Title", "convert", reads="wiki", writes="text") == "Title"


def test_time_is_written_and_read_back():
    moment = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)

    text = formatted(moment, "date_format", pattern="yyyy-MM-dd'T'HH:mm:ssZZ", zone="America/New_York")

    assert text == "2024-02-29T18:59:58-05:00"
    assert formatted(text, "date_parse", pattern="yyyy-MM-dd'T'HH:mm:ssZZ", zone="UTC") == moment
