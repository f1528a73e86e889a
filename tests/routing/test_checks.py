"""Checks of rules: what they find, how bad it is, and what they leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.canonical import Operation
from routing.checks import Finding, Severity, Side, Subject, check
from routing.compiled import Condition, Group, MappingRow, RoutingRule, TranslationTable

PRIORITIES = (("1", "1 - Critical"), ("2", "2 - High"))
DESK = Side("Desk incident", {"title": (), "priority": PRIORITIES, "status": ()})
TRACKER = Side("Tracker issue", {"title": (), "priority": (("10", "Highest"),), "status": ()})


def a_rule(number: int = 1, *outbound: MappingRow, back: bool = False, **fields: Any) -> RoutingRule:
    own: dict[str, Any] = {
        "rule_id": number,
        "version_id": number,
        "number": 1,
        "name": f"rule {number}",
        "priority": 0,
        "source_endpoint_id": 2 if back else 1,
        "source_entity": "incident",
        "target_endpoint_id": 1 if back else 2,
        "target_entity": "incident",
        "operations": frozenset({Operation.UPDATE}),
        "outbound": outbound,
    }
    return RoutingRule(**own | fields)


def a_drop(*conditions: Any) -> RoutingRule:
    return a_rule(9, action="drop", target_endpoint_id=None, target_entity="", conditions=conditions)


def a_row(**fields: Any) -> MappingRow:
    return MappingRow(
        **{"id": 1, "position": 0, "kind": "copy", "source": "title", "target": "title"} | fields
    )


def found(*rules: RoutingRule, **fields: Any) -> list[Finding]:
    """What is found about the first of these rules."""
    sides = {1: DESK, 2: TRACKER}
    subjects = [
        Subject(rule, sides[rule.source_endpoint_id], sides.get(rule.target_endpoint_id or 0), **fields)
        for rule in rules
    ]
    return check(subjects, only=rules[0].rule_id)


CRITICAL = Condition("priority", "equals", "1 - Critical")
HIGH = Condition("priority", "equals", "2 - High")


def table(*rows: tuple[str, str], unmapped: Any = "hold") -> MappingRow:
    made = TranslationTable("Priorities", rows, unmapped)
    return a_row(kind="translate", source="priority", target="priority", table=made)


TEMPLATE = a_row(kind="template", template="{{ title }} (Desk)")
MOVED = Condition("title", "changed")


@pytest.mark.parametrize(
    ("rules", "severity", "says"),
    [
        ([a_rule(conditions=(Condition("priorty", "exists"),))], "warning", "Is priority meant"),
        ([a_rule(1, a_row(source="titel"))], "warning", "Is title meant"),
        ([a_rule(1, a_row(target="prioritty"))], "warning", "Tracker issue has no prioritty"),
        ([a_rule(conditions=(Group("any", (Condition("u_region", "exists"),)),))], "hint", "u_region"),
        ([a_rule(1, table(("1 - Critical", "Highest")))], "warning", "no row for 2 - High"),
        ([a_rule(1, table(("1", "Highest"), ("2", "Lowest")))], "warning", "no choice Lowest"),
        ([a_rule(1, a_row(kind="constant", constant="Top", target="priority"))], "warning", "no choice Top"),
        ([a_rule(conditions=(CRITICAL, Group("all", (HIGH,))))], "warning", "at once"),
        ([a_rule(conditions=(MOVED, Condition("Title", "not_changed")))], "error", "never matches"),
        ([a_rule(conditions=(CRITICAL, MOVED)), a_drop(CRITICAL)], "error", "never acts"),
        ([a_rule(), a_drop()], "error", "never acts"),
        ([a_rule(conditions=(CRITICAL,)), a_rule(2, conditions=(CRITICAL,))], "warning", "go twice"),
        ([a_rule(1, TEMPLATE), a_rule(2, a_row(), back=True)], "warning", "answer each other"),
        ([a_rule(operations=frozenset({Operation.CREATE}))], "hint", "status back"),
    ],
)
def test_doubtful_rule_is_found(rules: list[RoutingRule], severity: str, says: str) -> None:
    findings = found(*rules)

    assert [(one.severity, one.rule_id) for one in findings] == [(severity, 1)]
    assert says in findings[0].sentence


STATUS = a_row(source="status", target="status")


@pytest.mark.parametrize(
    "rules",
    [
        [a_rule(1, a_row(), conditions=(CRITICAL,))],
        [a_rule(1, table(("1", "Highest"), ("2 - high", "highest")))],
        [a_rule(1, table(("1", "Highest"), unmapped="pass"))],
        [a_rule(1, a_row(target="comment", kind="constant", constant="x"))],
        [a_rule(conditions=(Group("any", (CRITICAL, HIGH)),))],
        [a_rule(conditions=(CRITICAL,)), a_drop(HIGH)],
        [a_rule(conditions=(CRITICAL,)), a_rule(2, conditions=(HIGH,))],
        [a_rule(), a_rule(2, operations=frozenset({Operation.CLOSE}))],
        [a_rule(1, a_row()), a_rule(2, a_row(), back=True)],
        [a_rule(1, TEMPLATE, conditions=(MOVED,)), a_rule(2, a_row(), back=True)],
        [a_rule(operations=frozenset({Operation.CREATE})), a_rule(2, STATUS, back=True)],
    ],
)
def test_sound_rule_is_left_alone(rules: list[RoutingRule]) -> None:
    assert found(*rules) == []


def test_rule_in_production_needs_an_owner() -> None:
    [finding] = found(a_rule(), production=True, owned=False)

    assert (finding.severity, finding.field) == (Severity.ERROR, "owner")
    assert found(a_rule(), owned=False) == []


def test_unknown_endpoint_is_said_not_checked() -> None:
    [finding] = check([Subject(a_rule(1, a_row(source="anything")), Side("Mail"), TRACKER)])

    assert (finding.severity, "not checked" in finding.sentence) == (Severity.HINT, True)


def test_errors_come_first() -> None:
    findings = found(a_rule(conditions=(Condition("u_x", "exists"),)), a_drop(), production=True, owned=False)

    assert [one.severity for one in findings] == ["error", "error", "hint"]
