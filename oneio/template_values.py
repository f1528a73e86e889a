"""Values of messages inside user-written templates: as text, as JSON, and how big they would be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from liquid.exceptions import LiquidError
from liquid.undefined import Undefined

MAX_VALUE = 1024 * 1024
"""Characters that a value may have on its way through filters; a message is no longer than this."""
LIST_WEIGHT = 32
"""What one place of a list counts, beside what stands there."""
MAX_DIGITS = 100


class Survey(NamedTuple):
    """About how many characters a value would be as text, and of how many single values it is made."""

    size: int
    parts: int


class FilterLimit(LiquidError):  # type: ignore[misc]
    """A filter was asked for more than it may build, or for what cannot be. Its message is a sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, token=None)


def to_text(value: Any) -> str:
    """How a value is written into text: times in ISO 8601, numbers with all digits, lists with commas."""
    if type(value) is str:
        return value
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    return str(value)


def to_json(value: Any) -> str:
    """The value as JSON text, ready for the body of a request; numbers keep their digits."""
    return json.dumps(_plain(value), ensure_ascii=False)


def measure(value: Any, limit: int = MAX_VALUE) -> int:
    """About how many characters the value would be as text. Raises FilterLimit beyond `limit`."""
    return survey(value, limit).size


def survey(value: Any, limit: int = MAX_VALUE, most_parts: int = MAX_VALUE) -> Survey:
    """How big the value is. Raises FilterLimit beyond `limit` characters or `most_parts`, where it stops."""
    if type(value) is str and len(value) + 2 <= limit and most_parts > 0:
        return Survey(len(value) + 2, 1)
    total, parts, rest = 0, 0, [value]
    while rest:
        item = rest.pop()
        total += _own_size(item)
        parts += len(item) if isinstance(item, list | tuple) else 1
        if total > limit:
            raise FilterLimit(f"A value grows beyond {limit} characters. Shorten it first, with truncate.")
        if parts > most_parts:
            raise FilterLimit("A list has too many parts for this. Take fewer, with slice or where.")
        if isinstance(item, Mapping) and not isinstance(item, Undefined):
            rest.extend(item.keys())
            rest.extend(item.values())
        elif isinstance(item, list | tuple):
            rest.extend(["".join(item)] if only_texts(item) else item)
    return Survey(total, parts)


def only_texts(items: Sequence[Any]) -> bool:
    """Whether every item is a plain text; quick, because long lists mostly are."""
    return set(map(type, items)) <= {str}


_WRITERS: Sequence[tuple[type, Callable[[Any], str]]] = (
    (str, str),
    (Undefined, str),
    (type(None), lambda _: ""),
    (bool, lambda value: "true" if value else "false"),
    (datetime, datetime.isoformat),
    (Decimal, lambda value: format(value, "f") if is_short(value) else str(value)),
    (Mapping, to_json),
    (list, lambda value: ", ".join(map(to_text, value))),
    (tuple, lambda value: ", ".join(map(to_text, value))),
)


def _own_size(item: Any) -> int:
    if isinstance(item, str):
        return len(item) + 2
    if isinstance(item, int):
        return 1 + item.bit_length() // 3
    if isinstance(item, Decimal):
        return 2 + len(item.as_tuple().digits)
    if isinstance(item, list | tuple):
        return LIST_WEIGHT * len(item)
    return 4


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping):
        return {to_text(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return _json_number(value)
    if value is None or isinstance(value, str | int | float):
        return value
    return to_text(value)


def _json_number(value: Decimal) -> float | int | str:
    """A JSON number if that keeps every digit, else text."""
    if is_short(value) and value == value.to_integral_value():
        return int(value)
    as_float = float(value)
    return as_float if Decimal(repr(as_float)) == value else to_text(value)


def is_short(value: Decimal) -> bool:
    """Whether the number can be written out in full without giant runs of digits."""
    return value.is_finite() and abs(value.adjusted()) <= MAX_DIGITS and len(value.as_tuple().digits) <= 200
