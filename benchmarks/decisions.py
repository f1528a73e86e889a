"""How long the router takes to decide on one message among many rules of its source.

Usage: python -m benchmarks.decisions RULES   (prints milliseconds per decision; no database)
"""

from __future__ import annotations

import json
import sys
import time

import django

django.setup()

from benchmarks import incident  # noqa: E402
from benchmarks.organization import CONDITIONS  # noqa: E402
from endpoints.canonical import CanonicalMessage, EntityKind, Operation  # noqa: E402
from routing.compiled import Condition, MappingRow, RoutingRule, RuleSet  # noqa: E402
from routing.decision import Facts, Fate, decide  # noqa: E402

REPETITIONS = 50


def measure(rules: int) -> float:
    """Milliseconds for one decision where only the last of `rules` rules matches."""
    rule_set = RuleSet(_rule(number, matching=number == rules) for number in range(1, rules + 1))
    facts = facts_of_one()
    decide(rule_set.candidates(1, "incident"), facts)  # the index is made once, with the first message
    began = time.perf_counter()
    for _ in range(REPETITIONS):
        decision = decide(rule_set.candidates(1, "incident"), facts)
        assert decision.fate is Fate.ROUTED
    return (time.perf_counter() - began) * 1000 / REPETITIONS


def _rule(number: int, *, matching: bool) -> RoutingRule:
    first, second = CONDITIONS
    last = (
        second if matching else {"path": "assignment_group", "operator": "equals", "value": f"Team {number}"}
    )
    return RoutingRule(
        rule_id=number,
        version_id=number,
        number=1,
        name=f"Rule {number}",
        priority=0,
        source_endpoint_id=1,
        source_entity="incident",
        operations=frozenset({Operation.CREATE}),
        target_endpoint_id=2,
        target_entity="incident",
        conditions=(
            Condition(first["path"], first["operator"], values=tuple(first["values"])),
            Condition(last["path"], last["operator"], last["value"]),
        ),
        outbound=(MappingRow(id=number, position=0, kind="copy", target="title", source="title"),),
    )


def facts_of_one() -> Facts:
    """What is known when the first message of a ticket is decided on."""
    document = json.loads(incident.body("T000001", 0))
    ticket = document["ticket"]
    attributes = {name: ticket[name] for name in ("title", "description", "status", "category")}
    message = CanonicalMessage(
        entity_type="incident",
        kind=EntityKind.INCIDENT,
        operation=Operation.CREATE,
        external_id=ticket["id"],
        attributes={**attributes, "priority": "1 - Critical", "assignment_group": ticket["group"]},
        native=document,
    )
    return Facts(message, dict.fromkeys(attributes), (), frozenset(), {})


if __name__ == "__main__":
    json.dump(measure(int(sys.argv[1])), sys.stdout)
