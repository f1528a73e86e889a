"""Decides what one message leads to: which rules match, what each carries over, which variables change.

Pure: the message, the rules and what is known of the conversation go in, a decision comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from endpoints.canonical import CanonicalMessage, Comment, Operation, Value, Visibility
from routing.compiled import RoutingRule, SourceRules
from routing.conditions import hold
from routing.context import View, view
from routing.delays import Situation, Wait, wait_of
from routing.files import CarriedFile
from routing.mapping import TargetAction
from routing.mapping import evaluate as results_of

FILE = "file"
"""What the names of parts that carry files begin with."""
RECORD_OPERATIONS = frozenset({Operation.CREATE, Operation.UPDATE, Operation.CLOSE})


class Fate(StrEnum):
    """What becomes of the message."""

    ROUTED = "routed"
    UNMATCHED = "unmatched"
    PROCESSED = "processed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a message is decided on.

    `changed`: attribute → previous value, for those that differ from what its endpoint last said.
    `tickets`: endpoints where this conversation has a ticket or is getting one.
    `participants`: endpoint's short name → what is known of its ticket; `state`: of the conversation.
    `files` came with this message, `earlier_files` to the conversation before; `files_sent` holds, for
    each that went out or is going to, the endpoint and the name of its part.
    """

    message: CanonicalMessage
    changed: Mapping[str, Value]
    new_comments: tuple[Comment, ...]
    tickets: frozenset[int]
    variables: Mapping[str, Value]
    received_at: datetime | None = None
    participants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    state: Mapping[str, Value] = field(default_factory=dict)
    keeps_internal: bool = False
    """Whether internal comments never leave the message's endpoint, not even as a variable."""
    situation: Situation | None = None
    """What decides on delays; without it nothing waits."""
    numbers: Callable[[RoutingRule], Mapping[str, int]] | None = None
    """The numbers that a rule takes for this message; without it no counter gives one."""
    files: tuple[CarriedFile, ...] = ()
    earlier_files: tuple[CarriedFile, ...] = ()
    files_sent: frozenset[tuple[int, str]] = frozenset()
    lookups: Mapping[int, Mapping[str, Value]] = field(default_factory=dict)
    """Rule id → what its lookups found, by name."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one delivery carries: the record itself, one comment, or one file."""

    name: str
    comment: Comment | None = None
    file: CarriedFile | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One matching rule, the parts it carries over and its runtime variables.

    With `wait` it is to be decided again later: there are no variables yet, and the parts are all that
    it may carry over then.
    """

    rule: RoutingRule
    parts: tuple[Part, ...]
    variables: Mapping[str, Value]
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one message. `variables` are the conversation's, as they are afterwards."""

    fate: Fate
    reason: str = ""
    routes: tuple[Route, ...] = ()
    variables: Mapping[str, Value] = field(default_factory=dict)


def decide(rules: Sequence[RoutingRule], facts: Facts) -> Decision:
    """Apply `rules` (by priority) to one message. Raises MappingError when a variable cannot be made.

    Of `SourceRules`, only those whose conditions can hold are looked at.
    """
    seen = view(context(facts))
    possible = rules.possible(seen) if isinstance(rules, SourceRules) else rules
    matching = [rule for rule in possible if hold(rule.conditions, seen_by(rule, seen, facts))]
    dropping = next((rule for rule in matching if rule.action == "drop"), None)
    if dropping is not None:
        return Decision(Fate.DROPPED, reason=dropping.name[:40], variables=facts.variables)
    routes, variables, processed = _run(matching, facts)
    if routes:
        return Decision(Fate.ROUTED, routes=tuple(routes), variables=variables)
    if processed:
        return Decision(Fate.PROCESSED, variables=variables)
    return Decision(Fate.UNMATCHED, reason=_why_unmatched(rules, matching), variables=facts.variables)


def seen_by(rule: RoutingRule, seen: View, facts: Facts) -> View:
    """What one rule sees: what all see, and the answers to its own questions."""
    if not rule.lookups:
        return seen
    return view(context(facts) | {"lookups": facts.lookups.get(rule.rule_id, {})})


def parts_for(rule: RoutingRule, facts: Facts, *, later: bool = False) -> tuple[Part, ...]:
    """What `rule` carries over of this message to its target, in order; nothing if it is not for it.

    `later`: what it may carry over once it has waited, with or without a ticket at the target."""
    has_ticket = rule.target_endpoint_id in facts.tickets
    record = _record_wanted(rule, facts, has_ticket) or (
        later and _record_wanted(rule, facts, not has_ticket)
    )
    if not record and not has_ticket and not later:
        return ()
    comments = facts.new_comments if Operation.COMMENT in rule.operations else ()
    return tuple(
        ([Part("record")] if record else [])
        + [Part(f"comment:{number}", comment) for number, comment in enumerate(comments)]
        + [Part(_part_of(file), file=file) for file in _files(rule, facts)]
    )


def context(
    facts: Facts, variables: Mapping[str, Value] | None = None, target: Mapping[str, Value] | None = None
) -> dict[str, Any]:
    """The document that conditions, mappings and templates read by path."""
    document = message_context(
        facts.message, facts.changed, facts.variables, variables or {}, target or {}, facts.received_at
    )
    document |= {"participants": facts.participants, "conversation_state": facts.state}
    if facts.new_comments:
        document["comment"] = comment_document(facts.new_comments[0])
    return document


def comment_document(comment: Comment) -> dict[str, Any]:
    """A comment as paths and templates read it."""
    author = {"id": comment.author.id, "name": comment.author.name, "email": comment.author.email}
    return {
        "id": comment.id,
        "text": comment.text,
        "visibility": comment.visibility.value,
        "author": author,
        "at": comment.at,
    }


def message_context(
    message: CanonicalMessage,
    changed: Mapping[str, Value],
    conversation: Mapping[str, Value],
    variables: Mapping[str, Value],
    target: Mapping[str, Value],
    received_at: datetime | None = None,
) -> dict[str, Any]:
    """The same document from its pieces, for a delivery that is mapped later."""
    return {
        "attributes": message.attributes,
        "codes": message.codes,
        "native": message.native,
        "parameters": message.parameters,
        "message": {
            "operation": message.operation.value,
            "external_id": message.external_id,
            "number": message.number,
            "entity_type": message.entity_type,
            "link": message.link,
            "actor": {
                "id": message.actor.id,
                "name": message.actor.name,
                "email": message.actor.email,
            },
            "occurred_at": message.occurred_at,
            "received_at": received_at,
        },
        "conversation": conversation,
        "variables": variables,
        "changed": changed,
        "target": target,
    }


def _run(matching: Sequence[RoutingRule], facts: Facts) -> tuple[list[Route], Mapping[str, Value], bool]:
    routes: list[Route] = []
    processed = False
    conversation = dict(facts.variables)
    seen = _without_kept_comment(context(facts), facts)
    delayed: set[int | None] = set()
    for rule in matching:
        wait = _wait(rule, facts, conversation, delayed) if rule.action == "route" else None
        parts = parts_for(rule, facts, later=wait is not None) if rule.action == "route" else ()
        if not parts and not (rule.action == "process_only" and is_for(rule, facts)):
            continue
        if wait is not None:
            delayed.add(rule.target_endpoint_id)
            routes.append(Route(rule, parts, {}, wait))
            continue
        numbers = facts.numbers(rule) if facts.numbers and rule.counters else {}
        document = seen | {"conversation": conversation, "counters": numbers}
        document["lookups"] = facts.lookups.get(rule.rule_id, {})
        action = _action_at_target(rule, facts)
        variables = results_of(rule.variables, document, action)
        conversation.update(results_of(rule.conversation, document | {"variables": variables}, action))
        processed = processed or rule.action == "process_only"
        if parts:
            routes.append(Route(rule, parts, variables))
    return routes, conversation, processed


def _files(rule: RoutingRule, facts: Facts) -> list[CarriedFile]:
    """The files that the rule carries: of the message, and those of the conversation that did not come from
    the target itself."""
    if rule.files is None:
        return []
    offered = facts.files if rule.files.from_message else ()
    if rule.files.from_conversation:
        offered = (*(file for file in facts.earlier_files if _is_still_to_go(file, rule, facts)), *offered)
    return [file for file in {one.key: one for one in offered}.values() if rule.files.takes(file)]


def _is_still_to_go(file: CarriedFile, rule: RoutingRule, facts: Facts) -> bool:
    target = rule.target_endpoint_id or 0
    return file.source_endpoint_id != target and (target, _part_of(file)) not in facts.files_sent


def _part_of(file: CarriedFile) -> str:
    return f"{FILE}:{file.key[-12:]}"


def _action_at_target(rule: RoutingRule, facts: Facts) -> TargetAction | None:
    """What the rule is about to do at its target; None if it sends nothing."""
    if rule.target_endpoint_id is None:
        return None
    return "update" if rule.target_endpoint_id in facts.tickets else "create"


def is_for(rule: RoutingRule, facts: Facts) -> bool:
    """Whether what happened is among the rule's operations; closing is also an update."""
    happened = {facts.message.operation}
    if Operation.CLOSE in happened:
        happened.add(Operation.UPDATE)
    if facts.new_comments:
        happened.add(Operation.COMMENT)
    return not happened.isdisjoint(rule.operations)


def _wait(
    rule: RoutingRule, facts: Facts, conversation: Mapping[str, Value], delayed: Collection[int | None]
) -> Wait | None:
    """Why the rule must wait; also if a rule before it waits for the same target."""
    if facts.situation is None:
        return None
    wait = wait_of(rule.delays, rule.target_endpoint_id, facts.situation, {"conversation": conversation})
    return wait or (Wait("order") if rule.target_endpoint_id in delayed else None)


def _without_kept_comment(document: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """What variables may be made of: they are sent on, so a comment that must stay is not among it."""
    if facts.keeps_internal and facts.new_comments and is_internal(facts.new_comments[0]):
        del document["comment"]
    return document


def is_internal(comment: Comment) -> bool:
    """Whether only the people who work on the ticket may read it; anything but surely public is."""
    return comment.visibility is not Visibility.PUBLIC


def _record_wanted(rule: RoutingRule, facts: Facts, has_ticket: bool) -> bool:
    if not has_ticket:
        return Operation.CREATE in rule.operations and facts.message.operation in RECORD_OPERATIONS
    return Operation.UPDATE in rule.operations and bool(facts.changed)


def _why_unmatched(rules: Sequence[RoutingRule], matching: Sequence[RoutingRule]) -> str:
    if not rules:
        return "no_rule_for_entity"
    return "nothing_to_carry_over" if matching else "conditions_not_met"
