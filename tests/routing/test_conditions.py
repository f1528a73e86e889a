"""Conditions: what each operator means, and the laws that hold for all values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio.paths import MISSING
from routing.compiled import Condition
from routing.conditions import OPERATORS, evaluate

CONTEXT = {
    "attributes": {
        "title": "Printer on Fire",
        "priority": "1 - Critical",
        "impact": 2,
        "hours": Decimal("1.50"),
        "labels": ["Hot", "urgent-now"],
        "opened": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "vip": True,
        "description": "",
        "closed_at": None,
        "caller": {"name": "Beth"},
    },
    "codes": {"priority": "1"},
    "native": {
        "issue": {"fields": {"summary": "Fire"}},
        "changes": [{"field": "status"}, {"field": "title"}],
    },
    "parameters": {"issue.key": "OPS-7"},
    "message": {"operation": "update", "actor": {"id": "42"}},
    "conversation": {"previous": "New"},
    "variables": {"team": "A"},
    "changed": {"Priority": "2 - High"},
    "target": {"title": "Old"},
}


def holds(path: str, operator: str, *values: str, context: dict = CONTEXT) -> bool:
    one = values[0] if values and OPERATORS[operator].takes == "value" else ""
    condition = Condition(path, operator, one, values if OPERATORS[operator].takes == "values" else ())
    return evaluate([condition], context).matched


@pytest.mark.parametrize(
    ("path", "operator", "values"),
    [
        ("title", "equals", ["printer on FIRE"]),
        ("TITLE", "equals", ["Printer on Fire "]),
        ("attributes.title", "equals", ["Printer on Fire"]),
        ("Attributes.Title", "equals", ["Printer on Fire"]),
        ("priority", "equals", ["1 - critical"]),
        ("priority", "equals", ["1"]),
        ("priority", "in", ["2", "1"]),
        ("priority", "not_equals", ["2"]),
        ("impact", "equals", ["2.0"]),
        ("hours", "equals", ["1.5"]),
        ("opened", "equals", ["2024-05-01T14:00:00+02:00"]),
        ("opened", "equals", ["2024-05-01T12:00"]),
        ("vip", "equals", ["True"]),
        ("labels", "equals", ["hot"]),
        ("labels", "contains", ["URGENT"]),
        ("labels[0]", "equals", ["hot"]),
        ("native.changes[*].field", "equals", ["title"]),
        ("native.issue.fields.summary", "equals", ["fire"]),
        ('parameters["issue.key"]', "equals", ["ops-7"]),
        ('parameters["ISSUE.KEY"]', "equals", ["ops-7"]),
        ("message.actor.id", "equals", ["42"]),
        ("conversation.previous", "equals", ["new"]),
        ("variables.team", "in", ["a", "b"]),
        ("target.title", "equals", ["old"]),
        ("title", "in", ["other", "printer on fire"]),
        ("title", "not_in", ["other"]),
        ("title", "contains", ["ON f"]),
        ("title", "not_contains", ["water"]),
        ("title", "starts_with", ["print"]),
        ("title", "ends_with", ["FIRE"]),
        ("title", "regex", ["^printer.*fire$"]),
        ("impact", "greater", ["1"]),
        ("impact", "less", ["10"]),
        ("hours", "greater", ["1.4"]),
        ("opened", "greater", ["2024-04-30"]),
        ("opened", "less", ["2024-05-01T14:01:00+02:00"]),
        ("title", "exists", []),
        ("impact", "exists", []),
        ("vip", "exists", []),
        ("description", "not_exists", []),
        ("closed_at", "not_exists", []),
        ("comment", "not_exists", []),
        ("priority", "changed", []),
        ("attributes.priority", "changed", []),
    ],
)
def test_condition_holds(path, operator, values):
    assert holds(path, operator, *values)


@pytest.mark.parametrize(
    ("path", "operator", "values"),
    [
        ("absent", "equals", ["x"]),
        ("absent", "exists", []),
        ("absent", "contains", ["x"]),
        ("absent", "greater", ["1"]),
        ("absent", "less", ["1"]),
        ("absent", "regex", [".*"]),
        ("closed_at", "regex", [".*"]),
        ("closed_at", "equals", ["none"]),
        ("title", "changed", []),
        ("title", "equals", ["printer"]),
        ("title", "greater", ["1"]),
        ("impact", "equals", ["two"]),
        ("impact", "greater", ["2"]),
        ("vip", "equals", ["1"]),
        ("hours", "equals", ["1_5"]),
        ("opened", "equals", ["yesterday"]),
        ("priority", "contains", ["2"]),
        ("labels", "equals", ["urgent"]),
        ("labels", "not_equals", ["hot"]),
        ("message", "starts_with", ["printer"]),
    ],
)
def test_condition_fails(path, operator, values):
    assert not holds(path, operator, *values)


def test_absent_comment_is_no_attribute():
    context = {"attributes": {"comment": "an attribute of that name"}}

    assert not holds("comment", "exists", context=context)
    assert holds("attributes.comment", "exists", context=context)


def test_verdict_names_the_first_failure():
    title, impact = Condition("title", "exists"), Condition("impact", "equals", "3")

    verdict = evaluate([title, impact, Condition("absent", "exists")], CONTEXT)

    assert (verdict.matched, verdict.failed, verdict.actual) == (False, impact, 2)


def test_verdict_tells_missing_from_none():
    assert evaluate([Condition("absent", "exists")], CONTEXT).actual is MISSING
    assert evaluate([Condition("closed_at", "exists")], CONTEXT).actual is None


def test_no_conditions_always_match():
    assert evaluate([], CONTEXT).matched


def test_every_operator_says_what_it_does():
    assert all(operator.label and operator.help.endswith(".") for operator in OPERATORS.values())


NAMES = st.sampled_from(["title", "priority", "other"])
TIMES = st.datetimes(timezones=st.just(UTC))
SINGLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    st.one_of(SINGLE, st.text(max_size=10), TIMES), lambda inner: st.lists(inner, max_size=3)
)
CONTEXTS = st.fixed_dictionaries(
    {
        "attributes": st.dictionaries(NAMES, VALUES),
        "codes": st.dictionaries(NAMES, st.text(max_size=5)),
        "changed": st.dictionaries(NAMES, VALUES),
    }
)
WORDS = st.text(min_size=1, max_size=10).filter(str.strip)


@pytest.mark.parametrize("positive", ["equals", "contains", "in", "exists"])
@given(CONTEXTS, WORDS)
def test_negation_is_always_the_opposite(positive, context, word):
    assert holds("title", positive, word, context=context) is not holds(
        "title", f"not_{positive}", word, context=context
    )


@given(CONTEXTS, WORDS)
def test_in_one_value_is_equals(context, word):
    assert holds("title", "in", word, context=context) == holds("title", "equals", word, context=context)


@given(CONTEXTS, WORDS, WORDS)
def test_in_two_values_is_either(context, one, other):
    either = holds("title", "equals", one, context=context) or holds(
        "title", "equals", other, context=context
    )

    assert holds("title", "in", one, other, context=context) == either


@given(WORDS)
def test_text_equals_itself_in_any_case(word):
    for written in (word, word.casefold(), word.swapcase().casefold()):
        assert holds("title", "equals", word, context={"attributes": {"title": written}})


@given(st.text(max_size=10), WORDS, st.text(max_size=10))
def test_parts_of_a_text_are_found(before, word, after):
    context = {"attributes": {"whole": before + word + after, "front": word + after, "back": before + word}}

    assert holds("whole", "contains", word, context=context)
    assert holds("front", "starts_with", word, context=context)
    assert holds("back", "ends_with", word, context=context)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_are_greater_less_or_equal(mine, other):
    context = {"attributes": {"n": mine}}

    found = [holds("n", operator, str(other), context=context) for operator in ("greater", "equals", "less")]

    assert found == [mine > other, mine == other, mine < other]


@given(TIMES, TIMES, st.integers(-14, 14))
def test_times_compare_by_instant(mine, other, offset):
    written = _shifted(other, offset).isoformat()
    context = {"attributes": {"at": mine}}

    found = [holds("at", operator, written, context=context) for operator in ("greater", "equals", "less")]

    assert found == [mine > other, mine == other, mine < other]


@given(VALUES, WORDS)
def test_any_element_of_a_list_is_enough(value, word):
    alone = {"attributes": {"title": value}}
    among = {"attributes": {"title": [value, None]}}

    for operator in ("equals", "contains", "starts_with", "regex"):
        if operator != "regex" or word.isalnum():
            assert holds("title", operator, word, context=alone) == holds(
                "title", operator, word, context=among
            )


@given(CONTEXTS)
def test_changed_is_what_context_says(context):
    assert holds("title", "changed", context=context) == ("title" in context["changed"])


def _shifted(moment: datetime, hours: int) -> datetime:
    try:
        return moment.astimezone(timezone(timedelta(hours=hours)))
    except OverflowError:
        return moment
