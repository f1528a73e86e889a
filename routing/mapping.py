"""Mappings: what a rule makes of a message, one target attribute after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from endpoints.canonical import Value
from oneio.paths import MISSING
from oneio.template_values import to_text
from routing.condition_tree import leaves
from routing.conditions import hold
from routing.context import View, locate, view
from routing.formatters import FormatterError, apply_chain
from routing.mapping_kinds import Found, MappingError, values_of
from routing.mapping_rows import MappingRow

__all__ = ["MappingError", "TargetAction", "evaluate", "moved", "roots_of", "sources"]

TargetAction: TypeAlias = Literal["create", "update"]


def evaluate(
    rows: Sequence[MappingRow], context: Mapping[str, Any], action: TargetAction | None = None
) -> dict[str, Value]:
    """The value of each target, for the context document (see `routing.context.ROOTS`).

    `action` is what is done at the rule's target; rows for the other one, or for any where it is None, do
    not count. A row that gives nothing is left out, so that an earlier row of the same target counts.
    Raises MappingError.
    """
    if not rows:
        return {}
    seen = view(context)
    result: dict[str, Value] = {}
    for row in rows:
        if _applies(row, seen, action):
            for target, value in zip(row.targets, _finished(row, seen, result), strict=True):
                if value is not MISSING:
                    result[target] = value
    return result


def sources(row: MappingRow) -> frozenset[str]:
    """The paths that a row reads or decides by, from the document's top, such as `attributes.title`."""
    names = row.compiled.names() if row.compiled else ()
    conditions = (str(condition.located) for condition in leaves(row.conditions))
    return frozenset((*map(str, row.paths), *(str(locate(name)) for name in names), *conditions))


def roots_of(row: MappingRow) -> frozenset[str]:
    """The parts of the document that a row reads or decides by, such as `attributes`."""
    return frozenset(str(locate(path).root) for path in sources(row))


def moved(
    rows: Iterable[MappingRow],
    changed: Iterable[str],
    *,
    variables: Iterable[MappingRow] = (),
    conversation: Iterable[MappingRow] = (),
) -> frozenset[str]:
    """The targets whose sources are among the attributes that a message changes.

    `variables` and `conversation` are the rule's rows that make variables: what reads one of those moves
    with what the variable was made from.
    """
    touched = {("attributes", name.casefold()) for name in changed}
    for root, makers in (("variables", variables), ("conversation", conversation)):
        touched |= {(root, name.casefold()) for name in _targets(makers, touched)}
    return _targets(rows, touched)


def _targets(rows: Iterable[MappingRow], touched: set[tuple[str, str]]) -> frozenset[str]:
    moving = (row for row in rows if not touched.isdisjoint(map(_place, sources(row))))
    return frozenset(target for row in moving for target in row.targets)


def _place(source: str) -> tuple[str, str]:
    """The part of the document that a path reads, and the name there; a code moves with its attribute."""
    root, *rest = locate(source).steps
    return ("attributes" if root == "codes" else str(root), str(rest[0]).casefold() if rest else "")


def _applies(row: MappingRow, context: View, action: TargetAction | None) -> bool:
    if row.only_on and row.only_on != action:
        return False
    return hold(row.conditions, context)


def _finished(row: MappingRow, context: View, result: Mapping[str, Value]) -> list[Found]:
    """What each target gets: the kind's value, formatted, or what the row says for a missing one."""
    values = [_or_policy(row, _formatted(row, value)) for value in values_of(row, context)]
    return [_added(row, value, context, result) for value in values] if row.kind == "append" else values


def _formatted(row: MappingRow, value: Found) -> Found:
    try:
        return apply_chain(row.formatters, value)
    except FormatterError as error:
        raise MappingError(row, f"{row.target} cannot be made from {_origin(row)}. {error}") from None


def _or_policy(row: MappingRow, value: Found) -> Found:
    if value is not MISSING or row.missing == "skip":
        return value
    if row.missing == "hold":
        raise MappingError(
            row,
            f"{row.target} must have a value, and {_origin(row)} gives none. Correct the ticket at its sender"
            " or the mapping, then retry.",
        )
    return None if row.missing == "clear" else row.default


def _added(row: MappingRow, addition: Found, context: View, result: Mapping[str, Value]) -> Found:
    """What the target holds, and the addition on a new line; as it is if that is its end already."""
    more = "" if addition is MISSING else to_text(addition).strip("\r\n")
    if not more.strip():
        return MISSING
    held = to_text(result.get(row.target, context.part("target").get(row.target)))
    held = held.replace("\r\n", "\n").rstrip()
    more = more.replace("\r\n", "\n").rstrip()
    if f"\n{held}".endswith(f"\n{more}"):
        return held
    return f"{held}\n{more}" if held else more


def _origin(row: MappingRow) -> str:
    """Where the row's value comes from, in words."""
    if row.paths:
        return ", ".join((row.source, *row.further_sources))
    return f"the counter {row.counter}" if row.counter else f"its {row.kind}"
