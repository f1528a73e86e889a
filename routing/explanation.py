"""Why each rule did or did not carry a message over: the whole account of one decision, made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from endpoints.canonical import Operation
from routing.compiled import RoutingRule
from routing.conditions import HELD, Verdict, evaluate
from routing.context import view
from routing.decision import RECORD_OPERATIONS, Decision, Facts, Route, context, decide, is_for, seen_by
from routing.mapping import MappingError


class Finding(StrEnum):
    """What one rule did with a message, or the first thing that kept it from doing anything."""

    CARRIES = "carries"
    WAITS = "waits"
    PROCESSES = "processes"
    DROPS = "drops"
    CONDITION = "condition"
    OVERRULED = "overruled"
    OPERATION = "operation"
    NO_TICKET = "no_ticket"
    NO_CREATE = "no_create"
    NOTHING_NEW = "nothing_new"
    FAILED = "failed"
    NOT_REACHED = "not_reached"


ACTED = frozenset({Finding.CARRIES, Finding.WAITS, Finding.PROCESSES, Finding.DROPS})
MATCHED = frozenset(Finding) - {Finding.CONDITION}
"""The findings on rules whose conditions all hold."""


@dataclass(frozen=True, slots=True)
class Account:
    """One rule and what it did. `verdict` is on its conditions; `problem` says why a variable failed."""

    rule: RoutingRule
    finding: Finding
    verdict: Verdict = HELD
    route: Route | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """An account of every rule, in the order in which they were asked; no decision where one failed."""

    accounts: tuple[Account, ...]
    decision: Decision | None

    def of(self, rule_id: int) -> Account | None:
        """The account of one rule."""
        return next((account for account in self.accounts if account.rule.rule_id == rule_id), None)


def explain(rules: Sequence[RoutingRule], facts: Facts) -> Explained:
    """Decide on `facts` again and say of every rule why. Never raises MappingError: it is in the account."""
    seen = view(context(facts))
    verdicts = {rule.rule_id: evaluate(rule.conditions, seen_by(rule, seen, facts)) for rule in rules}
    matching = [rule for rule in rules if verdicts[rule.rule_id].matched]
    try:
        decision = decide(matching, facts)
    except MappingError:
        decision = None
    acting = _actions(matching, facts, decision)
    accounts = (
        acting.get(rule.rule_id) or Account(rule, Finding.CONDITION, verdicts[rule.rule_id]) for rule in rules
    )
    return Explained(tuple(accounts), decision)


def _actions(matching: Sequence[RoutingRule], facts: Facts, decision: Decision | None) -> dict[int, Account]:
    """The accounts of the rules whose conditions hold."""
    dropping = next((rule for rule in matching if rule.action == "drop"), None)
    if dropping is not None:
        accounts = (Account(rule, Finding.OVERRULED) for rule in matching)
        return {one.rule.rule_id: one for one in accounts} | {
            dropping.rule_id: Account(dropping, Finding.DROPS)
        }
    if decision is None:
        return _until_failure(matching, facts)
    routes = {route.rule.rule_id: route for route in decision.routes}
    return {rule.rule_id: _action(rule, facts, routes.get(rule.rule_id)) for rule in matching}


def _action(rule: RoutingRule, facts: Facts, route: Route | None) -> Account:
    if route is not None:
        return Account(rule, Finding.WAITS if route.wait else Finding.CARRIES, route=route)
    if rule.action == "process_only":
        return Account(rule, Finding.PROCESSES if is_for(rule, facts) else Finding.OPERATION)
    return Account(rule, _why_nothing(rule, facts))


def _why_nothing(rule: RoutingRule, facts: Facts) -> Finding:
    """Why a rule whose conditions hold carries nothing over."""
    if not is_for(rule, facts):
        return Finding.OPERATION
    if rule.target_endpoint_id in facts.tickets:
        return Finding.NOTHING_NEW
    creating = facts.message.operation in RECORD_OPERATIONS
    return Finding.NO_CREATE if creating and Operation.CREATE not in rule.operations else Finding.NO_TICKET


def _until_failure(matching: Sequence[RoutingRule], facts: Facts) -> dict[int, Account]:
    """Rules are worked out in order: what each did is known up to the one whose variable failed."""
    accounts = {rule.rule_id: Account(rule, Finding.NOT_REACHED) for rule in matching}
    for place, rule in enumerate(matching):
        try:
            routes = decide(matching[: place + 1], facts).routes
        except MappingError as problem:
            accounts[rule.rule_id] = Account(rule, Finding.FAILED, problem=str(problem))
            break
        route = next((one for one in routes if one.rule is rule), None)
        accounts[rule.rule_id] = _action(rule, facts, route)
    return accounts
