"""What one message leads to: which rules match, what each carries over, which variables change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from endpoints.canonical import CanonicalMessage, Comment, EntityKind, Operation
from routing.compiled import Condition, MappingRow, RoutingRule, RuleSet, TranslationTable
from routing.decision import Decision, Facts, Fate, Part, context, decide, parts_for
from routing.mapping import MappingError

SOURCE, JIRA, REST = 1, 2, 3
NOTE, REPLY = Comment("c1", "Is it back?"), Comment("c2", "Yes")


def make_rule(number: int = 1, **fields: Any) -> RoutingRule:
    """A rule that carries everything over to Jira."""
    own: dict[str, Any] = {
        "rule_id": number,
        "version_id": number,
        "number": 1,
        "name": f"rule {number}",
        "priority": 0,
        "source_endpoint_id": SOURCE,
        "source_entity": "incident",
        "target_endpoint_id": JIRA,
        "target_entity": "issue",
        "operations": frozenset({Operation.CREATE, Operation.UPDATE, Operation.COMMENT}),
    }
    return RoutingRule(**(own | fields))


def make_facts(operation: Operation = Operation.UPDATE, **fields: Any) -> Facts:
    """An update that changed the title, of a ticket that Jira has."""
    attributes = fields.pop("attributes", {"title": "disk is full", "priority": "1"})
    message = CanonicalMessage(
        "incident", EntityKind.INCIDENT, operation, "abc", "INC1", attributes=attributes
    )
    own: dict[str, Any] = {
        "changed": {"title": "disk is nearly full"},
        "new_comments": (),
        "tickets": frozenset({JIRA}),
        "variables": {},
    }
    return Facts(message=message, **(own | fields))


def variable(target: str, source: str, **fields: Any) -> MappingRow:
    return MappingRow(id=1, position=0, kind="copy", target=target, source=source, **fields)


def constant(target: str, value: str) -> MappingRow:
    return MappingRow(id=1, position=0, kind="constant", target=target, constant=value)


def only_for(*operations: Operation) -> RoutingRule:
    return make_rule(operations=frozenset(operations))


def names(parts: tuple[Part, ...]) -> list[str]:
    return [part.name for part in parts]


NO_TICKET: dict[str, Any] = {"tickets": frozenset()}
TWO_COMMENTS: dict[str, Any] = {"new_comments": (NOTE, REPLY)}


@pytest.mark.parametrize(
    ("rule", "facts", "expected"),
    [
        (make_rule(), make_facts(Operation.CREATE, **NO_TICKET), ["record"]),
        (make_rule(), make_facts(Operation.UPDATE, **NO_TICKET), ["record"]),
        (make_rule(), make_facts(Operation.CLOSE, **NO_TICKET), ["record"]),
        (
            make_rule(),
            make_facts(Operation.CREATE, **NO_TICKET, **TWO_COMMENTS),
            ["record", "comment:0", "comment:1"],
        ),
        (make_rule(), make_facts(Operation.COMMENT, **NO_TICKET, **TWO_COMMENTS), []),
        (make_rule(), make_facts(Operation.DELETE, **NO_TICKET), []),
        (make_rule(), make_facts(), ["record"]),
        (make_rule(), make_facts(changed={}), []),
        (make_rule(), make_facts(changed={}, **TWO_COMMENTS), ["comment:0", "comment:1"]),
        (make_rule(), make_facts(**TWO_COMMENTS), ["record", "comment:0", "comment:1"]),
        (make_rule(), make_facts(Operation.COMMENT, changed={}, **TWO_COMMENTS), ["comment:0", "comment:1"]),
        (only_for(Operation.CREATE), make_facts(), []),
        (only_for(Operation.CREATE), make_facts(**NO_TICKET, **TWO_COMMENTS), ["record"]),
        (only_for(Operation.UPDATE), make_facts(**NO_TICKET), []),
        (only_for(Operation.UPDATE), make_facts(**TWO_COMMENTS), ["record"]),
        (only_for(Operation.COMMENT), make_facts(**TWO_COMMENTS), ["comment:0", "comment:1"]),
        (only_for(Operation.COMMENT), make_facts(**NO_TICKET, **TWO_COMMENTS), []),
        (make_rule(target_endpoint_id=REST), make_facts(), ["record"]),
    ],
)
def test_rule_carries_over(rule: RoutingRule, facts: Facts, expected: list[str]) -> None:
    assert names(parts_for(rule, facts)) == expected


def test_comment_part_holds_its_comment() -> None:
    parts = parts_for(make_rule(), make_facts(changed={}, **TWO_COMMENTS))

    assert [part.comment for part in parts] == [NOTE, REPLY]


def test_matching_rule_routes() -> None:
    decision = decide([make_rule()], make_facts())

    assert decision.fate is Fate.ROUTED
    assert [(route.rule.rule_id, names(route.parts)) for route in decision.routes] == [(1, ["record"])]


def test_every_matching_rule_makes_a_route() -> None:
    rules = [
        make_rule(1),
        make_rule(2, target_endpoint_id=REST),
        make_rule(3, conditions=(Condition("priority", "equals", "5"),)),
    ]

    decision = decide(rules, make_facts())

    assert [route.rule.rule_id for route in decision.routes] == [1, 2]


def test_routes_come_in_the_order_of_priority() -> None:
    rules = RuleSet([make_rule(1), make_rule(2, priority=9), make_rule(3), make_rule(4, priority=-1)])

    decision = decide(rules.candidates(SOURCE, "Incident"), make_facts())

    assert [route.rule.rule_id for route in decision.routes] == [2, 1, 3, 4]


def test_recent_counts_from_receipt() -> None:
    recent = make_rule(conditions=(Condition("created_at", "within_last", "1 hour"),))
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    facts = make_facts(attributes={"created_at": noon}, received_at=noon + timedelta(minutes=30))

    assert decide([recent], facts).fate is Fate.ROUTED
    assert decide([recent], replace(facts, received_at=noon + timedelta(hours=2))).fate is Fate.UNMATCHED


def test_drop_comes_before_routes_of_higher_priority() -> None:
    drop = make_rule(9, action="drop", target_endpoint_id=None, name="Ignore noise")

    decision = decide([make_rule(1, priority=5), drop], make_facts())

    assert decision == Decision(Fate.DROPPED, reason="Ignore noise", variables={})


def test_drop_whose_conditions_fail_drops_nothing() -> None:
    drop = make_rule(
        9, action="drop", target_endpoint_id=None, conditions=(Condition("priority", "equals", "5"),)
    )

    assert decide([drop, make_rule(1)], make_facts()).fate is Fate.ROUTED


def test_drop_asks_neither_operation_nor_change() -> None:
    drop = make_rule(9, action="drop", target_endpoint_id=None, operations=frozenset({Operation.CREATE}))

    assert decide([drop], make_facts(Operation.DELETE, changed={})).fate is Fate.DROPPED


@pytest.mark.parametrize(
    ("operation", "facts", "fate"),
    [
        (Operation.CREATE, {}, Fate.UNMATCHED),
        (Operation.UPDATE, {}, Fate.PROCESSED),
        (Operation.CLOSE, {}, Fate.PROCESSED),
        (Operation.DELETE, {}, Fate.UNMATCHED),
        (Operation.COMMENT, TWO_COMMENTS, Fate.UNMATCHED),
    ],
)
def test_process_only_acts_on_its_operations(operation: Operation, facts: dict[str, Any], fate: Fate) -> None:
    process = make_rule(
        action="process_only", target_endpoint_id=None, operations=frozenset({Operation.UPDATE})
    )

    assert decide([process], make_facts(operation, **facts)).fate is fate


def test_condition_may_ask_other_tickets_and_the_state() -> None:
    rule = make_rule(
        conditions=(
            Condition("participants.JIRA.attributes.status", "equals", "Open"),
            Condition("participants.zendesk", "not_exists"),
            Condition("conversation_state.tickets", "at_least", "2"),
        )
    )
    facts = make_facts(participants={"jira": {"attributes": {"status": "open"}}}, state={"tickets": 2})

    assert decide([rule], facts).fate is Fate.ROUTED
    assert decide([rule], replace(facts, participants={})).fate is Fate.UNMATCHED


def test_dropped_message_sets_no_variable() -> None:
    drop = make_rule(9, action="drop", target_endpoint_id=None)
    process = make_rule(
        1, action="process_only", target_endpoint_id=None, conversation=(constant("team", "new"),)
    )

    decision = decide([process, drop], make_facts(variables={"team": "old"}))

    assert decision.variables == {"team": "old"}


def test_process_only_sets_conversation_variables_and_sends_nothing() -> None:
    process = make_rule(
        action="process_only", target_endpoint_id=None, conversation=(variable("wish", "title"),)
    )

    decision = decide([process], make_facts(variables={"team": "network"}))

    assert (decision.fate, decision.routes) == (Fate.PROCESSED, ())
    assert decision.variables == {"team": "network", "wish": "disk is full"}


def test_route_beside_process_only_is_routed() -> None:
    process = make_rule(
        2, action="process_only", target_endpoint_id=None, conversation=(constant("seen", "yes"),)
    )

    decision = decide([process, make_rule(1)], make_facts())

    assert decision.fate is Fate.ROUTED
    assert decision.variables == {"seen": "yes"}


def test_later_rule_sees_variables_of_an_earlier_one() -> None:
    first = make_rule(
        1, action="process_only", target_endpoint_id=None, conversation=(constant("team", "network"),)
    )
    second = make_rule(2, variables=(variable("group", "conversation.team"),))

    decision = decide([first, second], make_facts())

    assert decision.routes[0].variables == {"group": "network"}


@pytest.mark.parametrize(
    ("tickets", "variables"), [(frozenset(), {"first": "1"}), (frozenset({JIRA}), {"again": "1"})]
)
def test_variable_counts_for_its_action_at_the_target(
    tickets: frozenset[int], variables: dict[str, str]
) -> None:
    first = variable("first", "priority", only_on="create")
    rule = make_rule(conversation=(first, variable("again", "priority", only_on="update")))

    assert decide([rule], make_facts(tickets=tickets)).variables == variables


def test_conversation_variable_may_use_a_runtime_variable() -> None:
    rule = make_rule(
        variables=(variable("short", "title"),), conversation=(variable("kept", "variables.short"),)
    )

    decision = decide([rule], make_facts())

    assert decision.variables == {"kept": "disk is full"}
    assert decision.routes[0].variables == {"short": "disk is full"}


def test_rule_with_nothing_to_carry_over_sets_no_variable() -> None:
    rule = make_rule(conversation=(constant("seen", "yes"),))

    decision = decide([rule], make_facts(changed={}))

    assert (decision.fate, decision.reason, decision.variables) == (
        Fate.UNMATCHED,
        "nothing_to_carry_over",
        {},
    )


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "no_rule_for_entity"),
        ([make_rule(conditions=(Condition("priority", "equals", "5"),))], "conditions_not_met"),
        ([only_for(Operation.CREATE)], "nothing_to_carry_over"),
    ],
)
def test_unmatched_message_says_why(rules: list[RoutingRule], reason: str) -> None:
    decision = decide(rules, make_facts())

    assert (decision.fate, decision.reason) == (Fate.UNMATCHED, reason)


@pytest.mark.parametrize(("path", "fate"), [("title", Fate.ROUTED), ("priority", Fate.UNMATCHED)])
def test_changed_looks_at_what_the_sender_changed(path: str, fate: Fate) -> None:
    rule = make_rule(conditions=(Condition(path, "changed"),))

    assert decide([rule], make_facts()).fate is fate


def test_condition_may_ask_the_conversation_and_the_comment() -> None:
    rule = make_rule(
        conditions=(
            Condition("conversation.team", "equals", "network"),
            Condition("comment.text", "contains", "back"),
        )
    )
    facts = make_facts(variables={"team": "network"}, **TWO_COMMENTS)

    assert decide([rule], facts).fate is Fate.ROUTED
    assert decide([rule], replace(facts, variables={})).fate is Fate.UNMATCHED


def test_variable_that_cannot_be_made_fails_the_decision() -> None:
    table = TranslationTable("Priorities", rows=(("2", "High"),))
    row = MappingRow(id=1, position=0, kind="translate", target="level", source="priority", table=table)

    with pytest.raises(MappingError, match="Priorities"):
        decide([make_rule(variables=(row,))], make_facts())


def test_long_name_of_a_dropping_rule_fits_its_column() -> None:
    drop = make_rule(action="drop", target_endpoint_id=None, name="n" * 150)

    assert len(decide([drop], make_facts()).reason) == 40


def test_same_facts_always_decide_alike() -> None:
    rules = [make_rule(1, conversation=(constant("seen", "yes"),)), make_rule(2, target_endpoint_id=REST)]
    facts = make_facts(**TWO_COMMENTS)

    assert decide(rules, facts) == decide(rules, facts)
    assert facts.variables == {}


def test_document_shows_the_message_as_paths_read_it() -> None:
    document = context(make_facts(**TWO_COMMENTS))

    assert document["message"]["number"] == "INC1"
    assert document["attributes"]["title"] == "disk is full"
    assert document["comment"]["text"] == "Is it back?"
    assert document["changed"] == {"title": "disk is nearly full"}
