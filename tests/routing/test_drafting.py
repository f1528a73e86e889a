"""A rule that is being written: what can run is compiled, and the rest is told at its place."""

from typing import Any

import pytest

from routing.compiled import Condition, Group, TranslationTable
from routing.drafting import Draft, compile_rule
from routing.portable.reading import look_at

ROW = {"source": "a", "target": "b"}
ASKED = {"attribute": "a", "operator": "equals", "value": "x"}
NAMELESS = {"attribute": "", "template": "x"}
CRITERIA = [{"attribute": "email", "template": "{{ mail }}"}]
CALLER = {"name": "caller", "from": "snow", "record": "sys_user", "criteria": CRITERIA}
TABLE = TranslationTable("Priorities", rows=(("1", "High"),))


def compiled(**parts: Any) -> Draft:
    """The rule that takes incidents to Jira, with these parts."""
    rule = {"from": "snow/incident", "to": "jira/incident", **parts}
    document, _ = look_at({"oneio": 1, "rules": {"r": rule}})
    [node] = document.rules
    return compile_rule(node, {"Priorities": TABLE})


def places(draft: Draft) -> list[str]:
    return [problem.place for problem in draft.problems]


def test_rule_without_faults_is_compiled_whole() -> None:
    draft = compiled(
        when=[{"attribute": "title", "operator": "exists"}],
        variables=[{"kind": "constant", "constant": "x", "target": "caller"}],
        outgoing=[{"kind": "translate", "source": "priority", "table": "Priorities", "target": "priority"}],
        delays=[{"kind": "time", "seconds": 60}],
    )

    assert draft.problems == []
    assert [row.target for row in (*draft.rule.variables, *draft.rule.outbound)] == ["caller", "priority"]
    assert (len(draft.rule.conditions), draft.rule.delays[0].seconds) == (1, 60)


def test_lookup_may_be_read_by_conditions_and_mappings() -> None:
    reading = {"attribute": "lookups.caller.vip", "operator": "exists"}

    draft = compiled(lookups=[CALLER], when=[reading], outgoing=[{**ROW, "source": "lookups.caller.name"}])

    assert draft.problems == []
    [looked] = draft.looked
    assert looked.lookup is not None
    assert looked.lookup.criteria == (("email", "{{ mail }}"),)


def test_lookup_that_is_not_finished_makes_no_second_fault() -> None:
    draft = compiled(
        lookups=[{**CALLER, "criteria": []}], outgoing=[{**ROW, "source": "lookups.caller.name"}]
    )

    assert places(draft) == ["rules.r.lookups[0].criteria"]


def test_faulty_row_leaves_the_others_in_the_rule() -> None:
    draft = compiled(outgoing=[{"target": "title"}, {"source": "title", "target": "summary"}])

    assert places(draft) == ["rules.r.outgoing[0].source"]
    assert [row.target for row in draft.rule.outbound] == ["summary"]


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"outgoing": [{**ROW, "kind": "translate", "table": "No"}]}, "outgoing[0].table"),
        ({"outgoing": [{"kind": "counter", "counter": "n", "target": "b"}]}, "outgoing[0].kind"),
        ({"variables": [{"source": "a", "target": "b.c"}]}, "variables[0].target"),
        ({"when": [{"any": []}]}, "when[0].group"),
        ({"when": [{"all": [{**ASKED, "operator": "greater"}]}]}, "when[0].all[0].value"),
        ({"outgoing": [{**ROW, "when": [{"any": []}]}]}, "outgoing[0].when[0].group"),
        ({"delays": [{"kind": "time"}]}, "delays[0].seconds"),
        ({"to": ""}, "to"),
        ({"when": [{**ASKED, "attribute": "lookups.no.name"}]}, "when[0].source"),
        ({"outgoing": [{**ROW, "source": "lookups.no.name"}]}, "outgoing[0].source"),
        ({"lookups": [{**CALLER, "criteria": []}]}, "lookups[0].criteria"),
        ({"lookups": [{**CALLER, "criteria": [NAMELESS]}]}, "lookups[0].criteria"),
        ({"lookups": [{**CALLER, "from": ""}]}, "lookups[0].from"),
        ({"lookups": [{**CALLER, "record": ""}]}, "lookups[0].record"),
        ({"lookups": [{**CALLER, "timeout_seconds": 61}]}, "lookups[0].timeout_seconds"),
        ({"lookups": [CALLER, {**CALLER, "name": "Caller"}]}, "lookups[1].name"),
    ],
)  # fmt: skip
def test_each_fault_is_told_at_its_field(parts: dict[str, Any], place: str) -> None:
    assert places(compiled(**parts)) == [f"rules.r.{place}"]


def test_conditions_are_listed_with_the_groups_before_what_is_in_them() -> None:
    inner = {"attribute": "priority", "operator": "equals", "value": "1"}

    draft = compiled(when=[{"none": [inner]}])

    assert [(one.place, type(one.node)) for one in draft.asked] == [
        ("rules.r.when[0]", Group),
        ("rules.r.when[0].none[0]", Condition),
    ]


def test_mapping_with_an_undecidable_condition_does_not_run() -> None:
    row = {"source": "a", "target": "b", "when": [{"attribute": "a", "operator": "equals"}]}

    draft = compiled(outgoing=[row])

    assert draft.rule.outbound == ()
    assert draft.mapped[0].asked[0].node is None
