"""Tries a rule that is being written on one message: what each condition finds, what each mapping gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from endpoints.canonical import Value
from oneio.paths import MISSING
from routing.compiled import Condition, MappingRow, Node
from routing.conditions import hold
from routing.context import View, view
from routing.drafting import Asked, Draft, Mapped
from routing.mapping import MappingError, TargetAction, evaluate

Fate: TypeAlias = Literal["value", "cleared", "nothing", "left_out", "failed"]
COMMENT = "comment"
"""The target of the mapping that words a comment, and the part of the document that holds one."""


@dataclass(frozen=True, slots=True)
class Given:
    """What one mapping gives: by target its `values`; `why` there is none."""

    place: str
    fate: Fate
    values: Mapping[str, Value] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether one condition, or group, holds; `actual` is what a single one found, MISSING if nothing."""

    place: str
    holds: bool | None
    actual: Any = MISSING


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule makes of one message. `outgoing` are the values of its mappings that gave one."""

    matched: bool
    answers: tuple[Answer, ...]
    given: tuple[Given, ...]
    variables: Mapping[str, Value]
    conversation: Mapping[str, Value]
    outgoing: Mapping[str, Value]


def try_on(draft: Draft, document: Mapping[str, Any], action: TargetAction | None) -> Trial:
    """Try the draft on a message, given as context document (see `routing.context.ROOTS`)."""
    seen = view(document)
    answers = _answers(draft.asked, seen)
    given: list[Given] = []
    variables = _run(draft, "variable", document, action, given)
    document = {**document, "variables": variables}
    conversation = _run(draft, "conversation", document, action, given)
    outgoing = _run(draft, "outbound", document, action, given)
    for mapped in draft.mapped:
        answers += _answers(mapped.asked, view(document))
    matched = hold(draft.rule.conditions, seen)
    return Trial(matched, tuple(answers), tuple(given), variables, conversation, outgoing)


def _answers(asked: Sequence[Asked], seen: View) -> list[Answer]:
    return [
        Answer(one.place, hold((one.node,), seen), _actual(one.node, seen))
        if one.node is not None
        else Answer(one.place, None)
        for one in asked
    ]


def _actual(node: Node, seen: View) -> Any:
    return node.located.first(seen) if isinstance(node, Condition) else MISSING


def _run(
    draft: Draft,
    category: str,
    document: Mapping[str, Any],
    action: TargetAction | None,
    given: list[Given],
) -> dict[str, Value]:
    """The values of a category's targets; what each mapping gives goes into `given`."""
    seen = view(document)
    values: dict[str, Value] = {}
    before: list[MappingRow] = []
    for mapped in draft.mapped:
        if mapped.category != category or mapped.row is None:
            continue
        found = _give(mapped, mapped.row, before, seen, action)
        given.append(found)
        if found.fate in ("value", "cleared"):
            values.update(found.values)
            before.append(mapped.row)
    return values


def _give(
    mapped: Mapped, row: MappingRow, before: Sequence[MappingRow], seen: View, action: TargetAction | None
) -> Given:
    if row.only_on and row.only_on != action:
        return Given(mapped.place, "left_out", why=f"only on {row.only_on}")
    if mapped.category == "outbound" and row.target == COMMENT and COMMENT not in seen:
        return Given(mapped.place, "left_out", why="only for messages with a comment")
    if not hold(row.conditions, seen):
        return Given(mapped.place, "left_out", why="its condition does not hold")
    same = [one for one in before if not set(one.targets).isdisjoint(row.targets)]
    try:
        alone = evaluate([row], seen, action)
        values = evaluate([*same, row], seen, action)
    except MappingError as error:
        return Given(mapped.place, "failed", why=str(error))
    if not alone:
        return Given(mapped.place, "nothing", why="nothing there, so the target stays as it is")
    found = {target: values[target] for target in row.targets if target in values}
    cleared = all(value is None for value in found.values())
    return Given(mapped.place, "cleared" if cleared else "value", found)
