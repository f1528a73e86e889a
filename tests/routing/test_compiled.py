"""Compiled rules: what cannot be run cannot be built, and candidates come in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.canonical import Operation
from routing.compiled import (
    MAX_DEPTH,
    Condition,
    Delay,
    Group,
    MappingRow,
    RoutingRule,
    RuleError,
    RuleSet,
    TranslationTable,
    compile_regex,
)
from routing.translation import TableRow


def a_rule(**changes):
    fields = {
        "rule_id": 1,
        "version_id": 1,
        "number": 1,
        "name": "Incidents to Jira",
        "priority": 0,
        "source_endpoint_id": 1,
        "source_entity": "incident",
        "operations": frozenset({Operation.CREATE}),
        "target_endpoint_id": 2,
        "target_entity": "Bug",
    }
    return RoutingRule(**{**fields, **changes})


def a_row(**changes):
    return MappingRow(
        **{"id": 1, "position": 1, "kind": "copy", "source": "title", "target": "title", **changes}
    )


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        (("", "exists"), "path", "empty"),
        (("a..b", "exists"), "path", "any depth"),
        (("title", "similar"), "operator", "similar"),
        (("title", "equals", " "), "value", "has no value"),
        (("title", "in", "x", ()), "values", "at least one"),
        (("title", "in", "x", ("", " ")), "values", "at least one"),
        (("title", "regex", "(a"), "value", "missing "),
        (("title", "regex", "(?=a)b"), "value", "look-ahead"),
        (("title", "regex", "((a{1,100}){1,100}){1,100}"), "value", "repetition"),
        (("title", "regex", "a" * 501), "value", "too long"),
        (("title", "regex", "\ud800"), "value", "cannot be read"),
        (("impact", "greater", "high"), "value", "a number or a time"),
        (("native.x", "changed"), "path", "attributes only"),
        (("native.x", "not_changed"), "path", "attributes only"),
        (("status", "changed_from_to", "", ("", " ")), "values", "from what or to what"),
        (("status", "changed_from_to", "", ("New",)), "values", "two values"),
        (("impact", "between", "", ("5", "1")), "values", "smaller or earlier one first"),
        (("impact", "between", "", ("1", "2024-05-01")), "values", "two numbers or two times"),
        (("impact", "at_least", "high"), "value", "a number or a time"),
        (("labels", "count_is", "-1"), "value", "no count"),
        (("opened", "within_last", "soon"), "value", "30 minutes"),
        (("opened", "on_day", "2024-05-01T12:00"), "value", "a day"),
        (("opened", "on_day", "2024-05-01 Mars/Olympus"), "value", "a day"),
        (("opened", "before", "tomorrow"), "value", "a day or a time"),
        (("labels", "has_all", "hot"), "values", "at least one"),
    ],
)
def test_wrong_condition_cannot_be_built(arguments, field, says):
    with pytest.raises(RuleError, match=says) as failure:
        Condition(*arguments)

    assert failure.value.field == field


TITLE = Condition("title", "exists")


def nested(depth):
    """A condition below so many groups."""
    return Group("all", (nested(depth - 1) if depth > 1 else TITLE,))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Group("some", (TITLE,)), "choice"),
        (lambda: Group("any", ()), "empty"),
        (lambda: nested(MAX_DEPTH + 1), "11 deep"),
    ],
)
def test_wrong_group_cannot_be_built(make, says):
    with pytest.raises(RuleError, match=says) as failure:
        make()

    assert failure.value.field == "group"


def test_groups_may_stand_ten_deep():
    assert nested(MAX_DEPTH).depth == MAX_DEPTH


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"kind": "guess"}, "kind", "guess"),
        ({"target": " "}, "target", "no target"),
        ({"target": "fields[0]"}, "target", "fields.summary"),
        ({"target": "a b"}, "target", "brackets and quotes"),
        ({"source": ""}, "source", "empty"),
        ({"source": "a|b"}, "source", "cannot use"),
        ({"kind": "template", "template": ""}, "template", "no template"),
        ({"kind": "template", "template": "{{ a"}, "template", "Line 1"),
        ({"kind": "template", "template": "${a..b}"}, "template", "any depth"),
        ({"kind": "template", "template": "${labels[*]}"}, "template", "single attribute"),
        ({"kind": "template", "template": "{{ " + "a." * 400 + "b }}"}, "template", "801 characters"),
        ({"kind": "append", "source": ""}, "template", "no template"),
        ({"kind": "translate"}, "table", "needs a table"),
    ],
)
def test_wrong_mapping_cannot_be_built(changes, field, says):
    with pytest.raises(RuleError, match=says) as failure:
        a_row(**changes)

    assert failure.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"operations": frozenset()}, "operations"),
        ({"action": "forward"}, "action"),
        ({"target_endpoint_id": None}, "target_endpoint"),
        ({"target_entity": ""}, "target_endpoint"),
        ({"variables": (a_row(target="a.b"),)}, "target"),
        ({"conversation": (a_row(target="a.b"),)}, "target"),
        ({"outbound": (a_row(kind="counter", source="", counter="tickets"),)}, "kind"),
        ({"action": "drop", "target_endpoint_id": None, "delays": (Delay("target"),)}, "delays"),
    ],
)
def test_wrong_rule_cannot_be_built(changes, field):
    with pytest.raises(RuleError) as failure:
        a_rule(**changes)

    assert failure.value.field == field


@pytest.mark.parametrize("action", ["drop", "process_only"])
def test_only_routing_needs_a_target(action):
    rule = a_rule(action=action, target_endpoint_id=None, target_entity="")

    assert rule.target_endpoint_id is None


def test_unknown_policy_for_unmapped_is_refused():
    with pytest.raises(RuleError, match="choice"):
        TranslationTable("Priorities", (), unmapped="guess")


def test_first_of_equal_rows_wins():
    table = TranslationTable("Priorities", (("P1", "Highest"), ("p1 ", "Lowest")))

    assert (table.find(" p1"), table.find("P2")) == ("Highest", None)


def test_regex_of_doom_stays_fast():
    pattern = compile_regex("(a+)+$")

    assert pattern.search("a" * 100_000 + "b") is None


def test_broken_regex_writes_nothing_to_stderr(capfd):
    with pytest.raises(RuleError):
        compile_regex("(unclosed")

    assert capfd.readouterr() == ("", "")


def test_candidates_are_of_their_source_only():
    here = a_rule(rule_id=1, source_endpoint_id=1, source_entity="Incident")
    rules = RuleSet([here, a_rule(source_endpoint_id=2), a_rule(source_entity="problem")])

    assert rules.candidates(1, "INCIDENT") == (here,)
    assert rules.candidates(3, "incident") == ()


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(1, 50)), unique_by=lambda pair: pair[1]))
def test_candidates_come_by_priority_then_age(pairs):
    rules = RuleSet([a_rule(priority=priority, rule_id=rule_id) for priority, rule_id in pairs])

    found = [(-rule.priority, rule.rule_id) for rule in rules.candidates(1, "incident")]

    assert found == sorted((-priority, rule_id) for priority, rule_id in pairs)


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"missing": "guess"}, "missing", "choice"),
        ({"only_on": "delete"}, "only_on", "choice"),
        ({"further_sources": ("b",)}, "further_sources", "reads one source"),
        ({"further_targets": ("b",)}, "further_targets", "fills one target"),
        ({"kind": "multi_to_single", "further_sources": ("a..b",)}, "further_sources", "any depth"),
        ({"kind": "multi_to_single", "further_sources": ("b",) * 21}, "further_sources", "Keep to 20"),
        ({"kind": "split", "separator": ""}, "separator", "where to split"),
        ({"kind": "split", "separator": "/(/"}, "separator", "cannot be read"),
        ({"kind": "split", "separator": ",", "further_targets": ("a[0]",)}, "further_targets", "not a name"),
        ({"kind": "split", "separator": ",", "further_targets": ("title",)}, "further_targets", "twice"),
        ({"kind": "counter"}, "counter", "needs a counter"),
    ],
)
def test_wrong_row_names_the_field(changes, field, says):
    with pytest.raises(RuleError, match=says) as failure:
        a_row(**changes)

    assert failure.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "further_sources"),
        ({"further_sources": ("b",)}, "further_targets"),
        ({"further_sources": ("b", "c"), "further_targets": ("d",)}, "further_sources"),
    ],
)
def test_translation_needs_a_path_for_each_column(changes, field):
    table = TranslationTable(name="T", inputs=("x", "y"), outputs=("z", "w"))

    with pytest.raises(RuleError, match="Table T has 2") as failure:
        a_row(kind="translate", table=table, **changes)

    assert failure.value.field == field


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": ("x",)},
        {"inputs": ("x",), "outputs": ("y",), "wide": (TableRow(("a", "b"), ("c",)),)},
    ],
)
def test_table_with_uneven_columns_is_refused(fields):
    with pytest.raises(RuleError, match=r"columns"):
        TranslationTable(name="T", **fields)


def test_rule_that_sends_nothing_has_no_only_on():
    row = a_row(kind="constant", constant="x", only_on="create")

    with pytest.raises(RuleError, match="sends nothing"):
        a_rule(action="process_only", target_endpoint_id=None, conversation=(row,))
    with pytest.raises(RuleError, match="plain name"):
        a_rule(variables=(a_row(kind="split", separator=",", further_targets=("a.b",)),))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "conversation_state.tickets"},
        {"kind": "template", "template": "{{ conversation_state.tickets }}"},
        {"source": "counters.changes"},
        {"conditions": (Group("any", (Condition("conversation_state.is_new", "is_true"),)),)},
    ],
)
def test_outbound_row_reads_only_what_is_known_when_sending(changes):
    row = a_row(**changes)

    assert a_rule(variables=(row,)).variables == (row,)
    with pytest.raises(RuleError, match="Put it into a runtime variable"):
        a_rule(outbound=(row,))


def test_rule_knows_whether_it_asks_for_participants():
    asking = a_row(kind="template", template="{{ participants.jira.number }}")

    assert a_rule(outbound=(a_row(), asking)).asks_participants
    assert not a_rule(outbound=(a_row(),), variables=(asking,)).asks_participants
