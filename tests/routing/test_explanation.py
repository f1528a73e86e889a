"""Why each rule did or did not act: one account each, and never another one than the decision's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.canonical import Operation
from routing.compiled import Condition, MappingRow, RoutingRule
from routing.decision import Facts, Fate, decide
from routing.explanation import ACTED, Finding, explain
from tests.routing.test_decision import JIRA, NOTE, REST, make_facts, make_rule

CREATE, UPDATE, COMMENT = (
    frozenset({one}) for one in (Operation.CREATE, Operation.UPDATE, Operation.COMMENT)
)
HOLDS = Condition("priority", "equals", "1")
FAILS = Condition("priority", "equals", "5")
NOWHERE: dict[str, Any] = {"target_endpoint_id": None, "target_entity": ""}
BROKEN = MappingRow(id=1, position=0, kind="copy", source="nobody", target="who", missing="hold")


def finding(rule: RoutingRule, facts: Facts) -> Finding:
    [account] = explain([rule], facts).accounts
    return account.finding


@pytest.mark.parametrize(
    ("rule", "facts", "expected"),
    [
        (make_rule(), make_facts(), Finding.CARRIES),
        (make_rule(conditions=(FAILS,)), make_facts(), Finding.CONDITION),
        (make_rule(action="drop", **NOWHERE), make_facts(), Finding.DROPS),
        (make_rule(action="process_only", **NOWHERE), make_facts(), Finding.PROCESSES),
        (make_rule(action="process_only", operations=CREATE, **NOWHERE), make_facts(), Finding.OPERATION),
        (make_rule(operations=COMMENT), make_facts(), Finding.OPERATION),
        (make_rule(operations=UPDATE), make_facts(tickets=frozenset()), Finding.NO_CREATE),
        (
            make_rule(),
            make_facts(Operation.COMMENT, new_comments=(NOTE,), changed={}, tickets=frozenset()),
            Finding.NO_TICKET,
        ),
        (make_rule(), make_facts(changed={}), Finding.NOTHING_NEW),
        (make_rule(variables=(BROKEN,)), make_facts(), Finding.FAILED),
    ],
)
def test_one_rule_is_accounted_for(rule: RoutingRule, facts: Facts, expected: Finding) -> None:
    assert finding(rule, facts) is expected


def test_failing_condition_tells_what_it_found() -> None:
    [account] = explain([make_rule(conditions=(HOLDS, FAILS))], make_facts()).accounts

    assert (account.verdict.place, account.verdict.actual) == ((1,), "1")


def test_dropping_rule_overrules_the_others() -> None:
    rules = [make_rule(1), make_rule(2, action="drop", **NOWHERE), make_rule(3, conditions=(FAILS,))]

    accounts = explain(rules, make_facts()).accounts

    assert [one.finding for one in accounts] == [Finding.OVERRULED, Finding.DROPS, Finding.CONDITION]


def test_rules_after_one_that_fails_are_not_reached() -> None:
    rules = [make_rule(1), make_rule(2, variables=(BROKEN,)), make_rule(3, target_endpoint_id=REST)]

    explained = explain(rules, make_facts())

    assert explained.decision is None
    assert [one.finding for one in explained.accounts] == [
        Finding.CARRIES,
        Finding.FAILED,
        Finding.NOT_REACHED,
    ]
    assert "who must have a value" in explained.accounts[1].problem


RULES = st.lists(
    st.builds(
        lambda conditions, operations, action: make_rule(
            conditions=conditions, operations=operations, **({"action": action} | _target(action))
        ),
        st.sampled_from([(), (HOLDS,), (FAILS,)]),
        st.frozensets(st.sampled_from(list(Operation)), min_size=1),
        st.sampled_from(["route", "route", "process_only", "drop"]),
    ),
    max_size=5,
)


def _target(action: str) -> dict[str, Any]:
    return {} if action == "route" else NOWHERE


@given(RULES, st.sampled_from(list(Operation)), st.booleans())
def test_accounts_agree_with_the_decision(rules: list[RoutingRule], operation: Operation, has: bool) -> None:
    numbered = [make_rule(n, **_content(rule)) for n, rule in enumerate(rules)]
    facts = make_facts(operation, tickets=frozenset({JIRA} if has else ()))

    explained, decision = explain(numbered, facts), decide(numbered, facts)

    carrying = [one.rule.rule_id for one in explained.accounts if one.finding is Finding.CARRIES]
    assert carrying == [route.rule.rule_id for route in decision.routes]
    acted = any(one.finding in ACTED for one in explained.accounts)
    assert acted is (decision.fate is not Fate.UNMATCHED)


def _content(rule: RoutingRule) -> dict[str, Any]:
    return {
        "conditions": rule.conditions,
        "operations": rule.operations,
        "action": rule.action,
        **_target(rule.action),
    }
