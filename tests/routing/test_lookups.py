"""Lookups as data: what is asked about a message, and what a rule makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from routing.compiled import MappingRow, RoutingRule, RuleSet
from routing.condition_tree import Condition
from routing.context import view
from routing.decision import Facts, decide
from routing.errors import RuleError
from routing.explanation import Finding, explain
from routing.lookups import Lookup, answers, may_hold
from tests.routing.test_decision import make_facts, make_rule

CALLER = Lookup("caller", 7, record="sys_user", criteria=(("email", "{{ reporter | downcase }}"),))
CHANGES = Lookup(
    "changes", 7, record="change_request", many=True, criteria=(("cmdb_ci", "{{ ci }}"),), limit=3
)
VIP = Condition("lookups.caller.vip", "equals", "true")
EMAIL = MappingRow(1, 0, "copy", target="reporter", source="lookups.caller.email")


def asking(**fields: Any) -> RoutingRule:
    return make_rule(lookups=(CALLER,), variables=(EMAIL,), **fields)


def told(found: dict[str, Any], of: RoutingRule, **fields: Any) -> Facts:
    return make_facts(lookups={of.rule_id: found}, **fields)


def test_question_is_made_of_the_message() -> None:
    asked = CALLER.question(view({"attributes": {"reporter": "Beth@Example.com"}}))

    assert asked is not None
    assert (asked.endpoint_id, asked.record, asked.limit) == (7, "sys_user", 1)
    assert asked.criteria == (("email", "beth@example.com"),)


@pytest.mark.parametrize("reporter", ["", "  ", None])
def test_nothing_is_asked_without_a_value(reporter: str | None) -> None:
    assert CALLER.question(view({"attributes": {"reporter": reporter}})) is None


def test_answers_are_a_record_or_a_list() -> None:
    found = answers((CALLER, CHANGES), {"caller": [{"id": "1"}], "changes": [{"id": "2"}]})

    assert found == {"caller": {"id": "1"}, "changes": [{"id": "2"}]}
    assert answers((CALLER, CHANGES), {"caller": []}) == {"caller": {}, "changes": []}


def test_rules_decide_by_their_own_answers() -> None:
    one, other = asking(conditions=(VIP,), rule_id=1), asking(conditions=(VIP,), rule_id=2)
    rules = RuleSet([one, other]).candidates(one.source_endpoint_id, one.source_entity)
    known = make_facts(
        lookups={1: {"caller": {"vip": "true", "email": "b@x.io"}}, 2: {"caller": {"vip": "false"}}}
    )

    decision = decide(rules, known)

    assert [(route.rule.rule_id, route.variables) for route in decision.routes] == [
        (1, {"reporter": "b@x.io"})
    ]


def test_missing_answer_only_leaves_values_out() -> None:
    asked = asking()

    [route] = decide([asked], told({"caller": {}}, asked)).routes

    assert route.variables == {}


def test_why_tells_the_answer_that_counted() -> None:
    asked = asking(conditions=(VIP,))

    account = explain([asked], told({"caller": {"vip": "false"}}, asked)).of(asked.rule_id)

    assert account is not None
    assert account.finding is Finding.CONDITION


def test_unknown_lookup_cannot_be_read() -> None:
    with pytest.raises(RuleError) as caught:
        make_rule(
            outbound=(MappingRow(1, 0, "template", target="x", template="{{ lookups.callr.email }}"),),
            lookups=(CALLER,),
        )

    assert (caught.value.field, "callr" in str(caught.value)) == ("source", True)


@pytest.mark.parametrize("template", ["{{ conversation.ci }}", "{{ comment.text }}", "{{ lookups.ci.id }}"])
def test_question_needs_what_is_known_early(template: str) -> None:
    with pytest.raises(RuleError) as caught:
        Lookup("ci", 7, record="cmdb_ci", criteria=(("name", template),))

    assert caught.value.field == "criteria"


def test_question_without_criteria_is_refused() -> None:
    with pytest.raises(RuleError, match="no criteria"):
        Lookup("everything", 7, record="sys_user")


def test_conditions_on_the_message_spare_the_question() -> None:
    seen = view({"attributes": {"priority": "Low"}})

    assert not may_hold((Condition("priority", "equals", "High"),), seen)
    assert may_hold((Condition("priority", "changed"), VIP, Condition("conversation.a", "exists")), seen)
