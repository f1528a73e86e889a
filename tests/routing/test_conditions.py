"""Conditions: what each operator means, and the laws that hold for all values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneio.paths import MISSING
from routing.compiled import Condition, Group
from routing.conditions import evaluate, hold
from routing.operators import OPERATORS

NOW = datetime(2024, 5, 1, 14, tzinfo=UTC)
CONTEXT = {
    "attributes": {
        "title": "Printer on Fire",
        "priority": "1 - Critical",
        "impact": 2,
        "hours": Decimal("1.50"),
        "labels": ["Hot", "urgent-now"],
        "opened": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "vip": True,
        "blocked": "No",
        "due": "2024-05-04T00:00:00+00:00",
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
    "message": {"operation": "update", "actor": {"id": "42"}, "received_at": NOW},
    "conversation": {"previous": "New"},
    "variables": {"team": "A"},
    "changed": {"Priority": "2 - High"},
    "target": {"title": "Old"},
}


def holds(path: str, operator: str, *values: str, context: dict = CONTEXT) -> bool:
    return evaluate([condition(path, operator, *values)], context).matched


def condition(path: str, operator: str, *values: str) -> Condition:
    """A condition with what its operator takes."""
    one = values[0] if values and OPERATORS[operator].takes == "value" else ""
    several = values if OPERATORS[operator].takes in ("values", "pair") else ()
    return Condition(path, operator, one, several)


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
        ("title", "not_changed", []),
        ("priority", "changed_from_to", ["2 - high", "1 - Critical"]),
        ("priority", "changed_from_to", ["2 - high", ""]),
        ("priority", "changed_from_to", ["", "1"]),
        ("title", "not_starts_with", ["fire"]),
        ("title", "not_ends_with", ["printer"]),
        ("title", "not_regex", ["water"]),
        ("title", "contains_any", ["water", "FIRE"]),
        ("title", "contains_all", ["fire", "Printer"]),
        ("labels", "contains_all", ["hot", "now"]),
        ("title", "longer", ["14"]),
        ("title", "shorter", ["16"]),
        ("impact", "at_least", ["2"]),
        ("impact", "at_most", ["2.0"]),
        ("impact", "between", ["2", "3"]),
        ("impact", "not_between", ["3", "4"]),
        ("opened", "between", ["2024-05-01", "2024-05-02"]),
        ("title", "not_between", ["1", "2"]),
        ("opened", "before", ["2024-05-02"]),
        ("opened", "before", ["2024-05-01T14:01 Europe/Berlin"]),
        ("opened", "after", ["2024-04-30"]),
        ("opened", "after", ["2024-05-01T11:59:59"]),
        ("opened", "on_day", ["2024-05-01"]),
        ("opened", "on_day", ["2024-05-02 Pacific/Kiritimati"]),
        ("opened", "not_on_day", ["2024-05-02"]),
        ("opened", "within_last", ["2 hours"]),
        ("opened", "within_last", ["120 minutes"]),
        ("opened", "not_within_last", ["119 Minutes"]),
        ("due", "within_next", ["3 days"]),
        ("labels", "has_any", ["cold", "HOT"]),
        ("labels", "not_has_any", ["cold", "urgent"]),
        ("labels", "has_all", ["urgent-now", "hot"]),
        ("labels", "not_has_all", ["hot", "cold"]),
        ("priority", "has_all", ["1", "1 - critical"]),
        ("labels", "count_is", ["2"]),
        ("labels", "count_at_least", ["2"]),
        ("labels", "count_at_most", ["2"]),
        ("absent", "count_is", ["0"]),
        ("vip", "is_true", []),
        ("blocked", "is_false", []),
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
        ("priority", "changed_from_to", ["3", ""]),
        ("priority", "changed_from_to", ["", "2 - High"]),
        ("title", "changed_from_to", ["", "Printer on Fire"]),
        ("title", "contains_all", ["fire", "water"]),
        ("title", "longer", ["15"]),
        ("closed_at", "shorter", ["5"]),
        ("impact", "between", ["3", "4"]),
        ("opened", "before", ["2024-05-01"]),
        ("opened", "after", ["2024-05-01"]),
        ("opened", "after", ["2024-05-01T12:00"]),
        ("impact", "after", ["2024-05-01"]),
        ("opened", "on_day", ["2024-05-01 Pacific/Kiritimati"]),
        ("due", "within_last", ["7 days"]),
        ("opened", "within_next", ["7 days"]),
        ("title", "within_last", ["7 days"]),
        ("labels", "count_at_least", ["3"]),
        ("labels", "count_at_most", ["1"]),
        ("absent", "is_false", []),
        ("title", "is_true", []),
        ("vip", "is_false", []),
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


TITLE, HIGH, VIP = (
    Condition("title", "exists"),
    Condition("impact", "greater", "2"),
    Condition("vip", "is_true"),
)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group("all", (TITLE, VIP)), True),
        (Group("all", (TITLE, HIGH)), False),
        (Group("any", (HIGH, VIP)), True),
        (Group("any", (HIGH, HIGH)), False),
        (Group("none", (HIGH, HIGH)), True),
        (Group("none", (HIGH, VIP)), False),
        (Group("all", (Group("any", (HIGH, VIP)), Group("none", (HIGH,)))), True),
    ],
)
def test_group_asks_for_all_any_or_none(group, expected):
    assert evaluate([group], CONTEXT).matched is expected


def test_verdict_names_the_condition_within_groups():
    verdict = evaluate([TITLE, Group("all", (VIP, Group("all", (TITLE, HIGH))))], CONTEXT)

    assert (verdict.failed, verdict.actual, verdict.place) == (HIGH, 2, (1, 1, 1))


def test_verdict_on_any_names_every_branch():
    group = Group("any", (HIGH, Group("all", (TITLE, Condition("title", "equals", "Flood")))))

    verdict = evaluate([group], CONTEXT)

    assert (verdict.failed, verdict.place) == (group, (0,))
    assert [branch.actual for branch in verdict.branches] == [2, "Printer on Fire"]


def test_verdict_on_none_names_what_holds():
    group = Group("none", (HIGH, VIP))

    verdict = evaluate([group], CONTEXT)

    assert (verdict.failed, verdict.actual, verdict.place) == (group, True, (0, 1))


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


NODES = st.recursive(
    st.builds(lambda word: condition("title", "contains", word), WORDS),
    lambda inner: st.builds(
        Group, st.sampled_from(["all", "any", "none"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=6,
)


@given(CONTEXTS, st.lists(NODES, min_size=1, max_size=3).map(tuple))
def test_none_of_a_group_is_not_any(context, nodes):
    found = {kind: evaluate([Group(kind, nodes)], context).matched for kind in ("all", "any", "none")}

    assert found["none"] is not found["any"]
    assert found["all"] <= found["any"]
    assert found["all"] == evaluate(nodes, context).matched == hold(nodes, context)


OPERANDS = {
    "between": ("1", "5"),
    "on_day": ("2024-05-01 Europe/Berlin",),
    "within_last": ("2 days",),
    "regex": ("a+",),
    "changed": (),
    "exists": (),
}
"""What the operators that do not take any word are tried with."""


@pytest.mark.parametrize(
    "opposite", [operator for operator in OPERATORS.values() if operator.opposite_of], ids=lambda o: o.name
)
@given(CONTEXTS, WORDS)
def test_negation_is_always_the_opposite(opposite, context, word):
    operand = OPERANDS.get(opposite.opposite_of, (word,))

    assert holds("title", opposite.opposite_of, *operand, context=context) is not holds(
        "title", opposite.name, *operand, context=context
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


@given(CONTEXTS, st.decimals(allow_nan=False, allow_infinity=False))
def test_at_least_and_at_most_include_equal(context, other):
    number = str(other)

    found = {operator: holds("title", operator, number, context=context) for operator in ORDERS}

    assert found["at_least"] >= found["greater"]
    assert found["at_most"] >= found["less"]
    assert holds("title", "between", number, number, context=context) <= found["at_least"]


ORDERS = ("greater", "at_least", "less", "at_most")


@given(TIMES, TIMES)
def test_time_is_before_after_or_the_same(mine, other):
    context = {"attributes": {"at": mine}}

    found = [holds("at", operator, other.isoformat(), context=context) for operator in ("before", "after")]

    assert found == [mine < other, mine > other]


@given(TIMES, st.dates(date(1, 1, 2), date(9999, 12, 30)), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_time_is_before_after_or_on_a_day(mine, day, zone):
    context, written = {"attributes": {"at": mine}}, f"{day} {zone}"

    found = [holds("at", operator, written, context=context) for operator in ("before", "on_day", "after")]

    assert sum(found) == 1


@given(CONTEXTS, st.integers(0, 5))
def test_count_is_at_least_and_at_most(context, number):
    at_least, at_most, exactly = (
        holds("title", f"count_{name}", str(number), context=context)
        for name in ("at_least", "at_most", "is")
    )

    assert exactly == (at_least and at_most)


@given(CONTEXTS, WORDS, WORDS)
def test_all_of_several_is_each_of_them(context, one, other):
    for together, alone in (("has_all", "equals"), ("contains_all", "contains")):
        each = holds("title", alone, one, context=context) and holds("title", alone, other, context=context)

        assert holds("title", together, one, other, context=context) == each


@given(CONTEXTS)
def test_nothing_is_both_true_and_false(context):
    context["attributes"]["title"] = None if isinstance(context["attributes"].get("title"), list) else "yes"

    assert not (holds("title", "is_true", context=context) and holds("title", "is_false", context=context))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), st.integers(0, 90))
def test_recent_counts_back_from_receipt(received, minutes):
    context = {
        "attributes": {"at": received - timedelta(minutes=minutes)},
        "message": {"received_at": received},
    }

    assert holds("at", "within_last", "45 minutes", context=context) == (minutes <= 45)


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
