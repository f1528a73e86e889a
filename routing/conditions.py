"""Conditions of routing rules: which operators there are, what each means, and whether all hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from endpoints.canonical import Value
from oneio.paths import MISSING, Missing, Path
from oneio.template_values import to_text
from routing.context import View, attribute_of, code_behind, view

if TYPE_CHECKING:
    from routing.compiled import Condition

Takes: TypeAlias = Literal["value", "values", "none"]


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to compare, as people choose it. `takes` says what stands to its right."""

    name: str
    label: str
    help: str
    takes: Takes


_ALL = (
    Operator("equals", "is", "The same text, whatever its case, the same number or the same moment."
             " For a choice, what people see or the code behind it.", "value"),
    Operator("not_equals", "is not", "The opposite of 'is'; true also of what is not there.", "value"),
    Operator("in", "is one of", "As 'is', for one of several values.", "values"),
    Operator("not_in", "is none of", "The opposite of 'is one of'.", "values"),
    Operator("contains", "contains", "The text stands somewhere in it, whatever its case.", "value"),
    Operator("not_contains", "does not contain", "The opposite of 'contains'.", "value"),
    Operator("starts_with", "starts with", "It begins with the text, whatever its case.", "value"),
    Operator("ends_with", "ends with", "It ends with the text, whatever its case.", "value"),
    Operator("regex", "matches", "A regular expression (RE2) fits somewhere in it, whatever the case."
             " ^ and $ stand for begin and end.", "value"),
    Operator("greater", "is greater than", "A larger number or a later moment.", "value"),
    Operator("less", "is less than", "A smaller number or an earlier moment.", "value"),
    Operator("exists", "has a value", "It is there and not empty.", "none"),
    Operator("not_exists", "has no value", "It is not there, or empty.", "none"),
    Operator("changed", "changed", "This message changes the attribute.", "none"),
)  # fmt: skip
OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _ALL}
"""Every operator by its name. Of a list, one element that fits is enough."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all conditions hold; if not, the first that failed and the value it found (payload)."""

    matched: bool
    failed: Condition | None = None
    actual: Value | Missing = MISSING


def evaluate(conditions: Sequence[Condition], context: Mapping[str, Any]) -> Verdict:
    """Whether every condition holds for the context document (see `routing.context.ROOTS`)."""
    seen = view(context)
    for condition in conditions:
        found = condition.located.all(seen)
        if not _holds(condition, found, seen):
            return Verdict(False, condition, found[0] if found else MISSING)
    return Verdict(True)


def as_number(text: str) -> Decimal | None:
    """The number written in a text, or None. Infinity and the like are no numbers."""
    if "_" in text:  # Python's own way to group digits, nobody else's
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def as_moment(text: str) -> datetime | None:
    """The moment written in ISO 8601, or None. Without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return _with_zone(moment)


def equal(actual: Value, expected: str) -> bool:
    """Whether one value is what a person wrote: text ignoring case, numbers by value, times by instant."""
    if isinstance(actual, datetime):
        return _with_zone(actual) == as_moment(expected)
    if isinstance(actual, int | Decimal) and not isinstance(actual, bool):
        return as_number(expected) == actual
    return actual is not None and _fold(actual) == _fold(expected)


def _holds(condition: Condition, found: list[Any], context: View) -> bool:
    if condition.operator == "changed":
        return _is_changed(condition.located, context)
    positive, wanted = _NEGATIONS.get(condition.operator, (condition.operator, True))
    values = _elements(found)
    if positive in _CODED and (code := code_behind(condition.located, context)) is not None:
        values = [*values, code]
    return any(_TESTS[positive](value, condition) for value in values) is wanted


def _is_changed(path: Path, context: View) -> bool:
    name = attribute_of(path)
    return name is not None and name in context.part("changed")


def _elements(found: Sequence[Any]) -> list[Any]:
    flat: list[Any] = []
    for value in found:
        flat.extend(_elements(value)) if isinstance(value, list) else flat.append(value)
    return flat


def _fold(value: Value) -> str:
    return to_text(value).strip().casefold()


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_one_of(actual: Value, condition: Condition) -> bool:
    return any(equal(actual, expected) for expected in condition.values)


def _fits(actual: Value, condition: Condition) -> bool:
    pattern = condition.pattern
    return actual is not None and pattern is not None and pattern.search(to_text(actual)) is not None


def _order(actual: Value, expected: str) -> int:
    """1 if `actual` is greater, -1 if less, 0 if equal or if the two cannot be compared."""
    mine: Any = _comparable(actual)
    other: Any = as_moment(expected) if isinstance(mine, datetime) else as_number(expected)
    if mine is None or other is None:
        return 0
    return int(mine > other) - int(mine < other)


def _comparable(actual: Value) -> datetime | Decimal | int | None:
    if isinstance(actual, datetime):
        return _with_zone(actual)
    if isinstance(actual, str):
        return number if (number := as_number(actual)) is not None else as_moment(actual)
    return actual if isinstance(actual, int | Decimal) and not isinstance(actual, bool) else None


_CODED = frozenset({"equals", "in"})
_NEGATIONS: Mapping[str, tuple[str, bool]] = {
    "not_equals": ("equals", False),
    "not_in": ("in", False),
    "not_contains": ("contains", False),
    "not_exists": ("exists", False),
}
_TESTS: Mapping[str, Callable[[Any, Condition], bool]] = {
    "equals": lambda actual, condition: equal(actual, condition.value),
    "in": _is_one_of,
    "contains": lambda actual, condition: _fold(condition.value) in to_text(actual).casefold(),
    "starts_with": lambda actual, condition: _fold(actual).startswith(_fold(condition.value)),
    "ends_with": lambda actual, condition: _fold(actual).endswith(_fold(condition.value)),
    "regex": _fits,
    "greater": lambda actual, condition: _order(actual, condition.value) > 0,
    "less": lambda actual, condition: _order(actual, condition.value) < 0,
    "exists": lambda actual, condition: actual not in (None, "", {}),
}
