"""The index of rules: it never leaves out one that holds, and leaves out most that do not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.compiled import Condition, Group
from routing.conditions import hold
from routing.context import view
from routing.operators import OPERATORS
from routing.rule_index import RuleIndex, guard_of

PATHS = ["status", "STATUS", "attributes.status", "impact", "labels", "native.status", "codes.status"]
WORDS = [
    "new",
    "NEW ",
    "straße",
    "STRASSE",
    "1",
    "1.0",
    "2024-05-01T12:00Z",
    "2024-05-01T14:00+02:00",
    "true",
]
VALUES = st.recursive(
    st.sampled_from(
        ["New", "Strasse", "1", "", None, True, 1, Decimal("1.00"), datetime(2024, 5, 1, 12, tzinfo=UTC)]
    ),
    lambda inner: st.lists(inner, max_size=3),
)
ONES = ["equals", "not_equals", "contains", "exists", "changed"]
SEVERAL = ["in", "not_in", "has_any", "has_all"]


def a_condition(path: str, operator: str, words: list[str]) -> Condition:
    """One that the operator can take; what cannot change is an attribute."""
    path = "status" if operator == "changed" else path
    takes = OPERATORS[operator].takes
    return Condition(path, operator, words[0] if takes == "value" else "", tuple(words))


CONDITIONS = st.builds(
    a_condition,
    st.sampled_from(PATHS),
    st.sampled_from([*ONES, *SEVERAL]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
)
NODES = st.recursive(
    CONDITIONS,
    lambda inner: st.builds(
        Group, st.sampled_from(["all", "any", "none"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=5,
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "attributes": st.dictionaries(st.sampled_from(["status", "Status", "impact", "labels"]), VALUES),
        "codes": st.dictionaries(st.just("status"), st.sampled_from(["1", "new"])),
        "native": st.dictionaries(st.just("status"), VALUES),
        "changed": st.dictionaries(st.just("status"), VALUES),
    }
)


@given(st.lists(st.lists(NODES, max_size=3), max_size=12), DOCUMENTS)
def test_indexed_rules_match_as_all_rules_do(rules, document):
    possible = RuleIndex(rules).possible(view(document))

    found = [position for position in possible if hold(rules[position], document)]

    assert found == [position for position, rule in enumerate(rules) if hold(rule, document)]


def test_only_rules_asking_for_the_value_are_possible():
    shared = Condition("status", "in", values=("New", "Open"))
    rules = [[shared, Condition("assignment_group", "equals", f"Team {number}")] for number in range(100)]

    possible = RuleIndex(rules).possible(
        view({"attributes": {"status": "new", "assignment_group": ["team 7", "Team 70"]}})
    )

    assert possible == [7, 70]


def test_rule_without_such_a_condition_is_always_possible():
    rules = [[Condition("status", "not_equals", "New")], [], [Condition("status", "equals", "Open")]]

    assert RuleIndex(rules).possible(view({"attributes": {"status": "New"}})) == [0, 1]


ONE, TWO = Condition("status", "equals", "a"), Condition("impact", "in", values=("b", "c"))
FREE = Condition("status", "exists")


@pytest.mark.parametrize(
    ("node", "values"),
    [
        (ONE, {"a"}),
        (TWO, {"b", "c"}),
        (FREE, None),
        (Group("any", (ONE, TWO)), {"a", "b", "c"}),
        (Group("any", (ONE, FREE)), None),
        (Group("all", (FREE, TWO, ONE)), {"a"}),
        (Group("all", (FREE,)), None),
        (Group("none", (ONE,)), None),
    ],
)
def test_guard_is_what_must_be_there(node, values):
    guard = guard_of(node)

    assert (guard and {key[1] for _, key in guard}) == values
