"""Templates of nothing but text and values, as most are: filled in without what Liquid needs for the others.

Whatever could come out differently, or be refused, is left to Liquid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions import Path as LiquidPath
from liquid.builtin.output import OutputNode

from oneio.template_filters import FILTERS, Filter
from oneio.template_values import to_text

MOST_SLOTS = 50
LONGEST_NAME = 100
LONGEST_TEXT = 16_000
"""Characters of what comes out. So little is far below every limit of a rendering."""
# What makes a text of a text that is hardly longer.
_FILTERS = frozenset({"capitalize", "downcase", "upcase", "lstrip", "rstrip", "strip"})
# To Liquid these are also what it works out itself of lists and texts, or a name of its own.
_SPECIAL = frozenset({"size", "first", "last", "partial"})
_SIMPLE = frozenset({str, int, bool, NoneType, datetime, Decimal})


class Slot(NamedTuple):
    """Where a value goes: the names that lead to it, and what is made of it."""

    names: tuple[str, ...]
    filters: tuple[Filter, ...]


Plain: TypeAlias = "tuple[str | Slot, ...]"


def plain(nodes: Iterable[Any]) -> Plain | None:
    """The template that Liquid read as these nodes; None if it holds more than text and values."""
    parts = [_part(node) for node in nodes]
    slots = sum(isinstance(part, Slot) for part in parts)
    return tuple(parts) if slots <= MOST_SLOTS and None not in parts else None  # type: ignore[arg-type]


def filled(parts: Plain, values: Mapping[str, Any]) -> str | None:
    """The text for these values; None where Liquid must see to it."""
    texts = []
    for part in parts:
        text = part if isinstance(part, str) else _written(part, values)
        if text is None:
            return None
        texts.append(text)
    whole = "".join(texts)
    return whole if len(whole) <= LONGEST_TEXT else None


def _part(node: Any) -> str | Slot | None:
    if isinstance(node, ContentNode):
        return str(node.text)
    if not isinstance(node, OutputNode) or not isinstance(node.expression, FilteredExpression):
        return None
    path, filters = node.expression.left, node.expression.filters or []
    if not isinstance(path, LiquidPath) or not all(map(_is_plain_name, path.path)):
        return None
    if any(one.args or one.name not in _FILTERS for one in filters):
        return None
    return Slot(tuple(path.path), tuple(FILTERS[one.name] for one in filters))


def _is_plain_name(step: Any) -> bool:
    return isinstance(step, str) and step not in _SPECIAL and len(step) <= LONGEST_NAME


def _written(slot: Slot, values: Mapping[str, Any]) -> str | None:
    value: Any = values
    try:
        for name in slot.names:
            value = value[name]
    except (KeyError, TypeError):
        return ""  # it is not there
    if type(value) not in _SIMPLE:
        return None
    try:
        text = to_text(value)
    except ValueError:
        return None  # a number with too many digits
    if len(text) > LONGEST_TEXT:
        return None
    for change in slot.filters:
        text = change(text)
    return text
