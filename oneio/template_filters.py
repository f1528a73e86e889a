"""The filters of user-written templates: each bounds what it builds before it builds it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import wraps
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from liquid.builtin.filters import array, string
from liquid.builtin.filters.misc import size
from liquid.undefined import Undefined

from oneio.template_values import (
    LIST_WEIGHT,
    MAX_DIGITS,
    MAX_VALUE,
    FilterLimit,
    is_short,
    only_texts,
    to_json,
    to_text,
)

PART_WEIGHT = 200
"""What one part costs to be looked at, where looking at a character of a text costs 1."""
MAX_DECIMALS = 20
MAX_DATE_FORMAT = 200
_EXACT = Context(prec=4 * MAX_DIGITS)
_DIRECTIVE = re.compile(r"%-?[aAbBcdfHIjmMpSuUVwWxXyYzZGZ%]")
_TAG = re.compile(r"<[^<>]*>")

Number: TypeAlias = "int | Decimal"
Filter: TypeAlias = Callable[..., Any]


def _check_size(size_of_result: int) -> None:
    if size_of_result > MAX_VALUE:
        raise FilterLimit(
            f"A filter would build a text of {size_of_result} characters. The longest allowed is {MAX_VALUE}."
        )


# Text


def _text(function: Filter) -> Filter:
    """The function, given texts in place of times, numbers, lists and nothing."""

    @wraps(function)
    def run(value: Any, *arguments: Any, **options: Any) -> Any:
        return function(to_text(value), *(_argument(argument) for argument in arguments), **options)

    return run


def _argument(argument: Any) -> Any:
    return argument if isinstance(argument, int) and not isinstance(argument, bool) else to_text(argument)


def _replace(value: str, old: Any, new: Any = "") -> str:
    return _bounded_replace(value, str(old), str(new), -1)


def _replace_first(value: str, old: Any, new: Any = "") -> str:
    return _bounded_replace(value, str(old), str(new), 1)


def _replace_last(value: str, old: Any, new: Any = "") -> str:
    before, found, after = value.rpartition(str(old)) if str(old) else (value, "", "")
    return before + str(new) + after if found or not str(old) else value


def _bounded_replace(value: str, old: str, new: str, count: int) -> str:
    found = value.count(old) if count < 0 else min(value.count(old), count)
    _check_size(len(value) + found * (len(new) - len(old)))
    return value.replace(old, new, count)


def _split(value: str, separator: Any = " ") -> list[str]:
    between = to_text(separator)
    _check_size(len(value) + LIST_WEIGHT * (value.count(between) if between else len(value)))
    found: list[str] = string.split(value, separator)
    return found


def _append(value: str, more: Any) -> str:
    return value + str(more)


def _prepend(value: str, more: Any) -> str:
    return str(more) + value


def _strip_html(value: str) -> str:
    return _TAG.sub("", value)


def _escape(value: str) -> str:
    return html.escape(value)


def _escape_once(value: str) -> str:
    return html.escape(html.unescape(value))


# Numbers


def _number(value: Any) -> Number:
    """The value as a number; nothing counts as 0. Raises FilterLimit on anything else and on giants."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _checked(value)
    if value is None or isinstance(value, Undefined) or value == "":
        return 0
    try:
        number = Decimal(to_text(value).strip()[: 4 * MAX_DIGITS])
    except ArithmeticError as error:
        raise FilterLimit("A number was expected and something else was found.") from error
    return _checked(number if "." in to_text(value) else _whole(number))


def _whole(value: Decimal) -> Number:
    return int(value) if is_short(value) and value == value.to_integral_value() else value


def _checked(value: Number) -> Number:
    short = value.bit_length() <= 4 * MAX_DIGITS if isinstance(value, int) else is_short(value)
    if not short:
        raise FilterLimit(f"A number has more than {MAX_DIGITS} digits. Numbers are not for such sizes.")
    return value


def _arithmetic(function: Callable[..., Number]) -> Filter:
    """The function over numbers that keep their digits, its result checked."""

    @wraps(function)
    def run(value: Any, *arguments: Any) -> Number:
        with localcontext(_EXACT):
            return _checked(function(_number(value), *(_number(argument) for argument in arguments)))

    return run


def _divide(value: Number, by: Number) -> Number:
    _refuse_zero(by)
    if isinstance(value, int) and isinstance(by, int):
        return value // by
    with localcontext(prec=28):
        return Decimal(value) / Decimal(by)


def _modulo(value: Number, by: Number) -> Number:
    _refuse_zero(by)
    return value % by


def _refuse_zero(by: Number) -> None:
    if by == 0:
        raise FilterLimit("A number cannot be divided by 0.")


def _round(value: Number, decimals: Number = 0) -> Number:
    places = min(max(int(decimals), 0), MAX_DECIMALS)
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return rounded if places else int(rounded)


def _ceil(value: Number) -> Number:
    return int(Decimal(value).to_integral_value(ROUND_CEILING))


def _floor(value: Number) -> Number:
    return int(Decimal(value).to_integral_value(ROUND_FLOOR))


# Lists


def _items(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None or isinstance(value, Undefined) else [value]


def _list(function: Filter) -> Filter:
    """The function, given a list in place of a single value or nothing."""

    @wraps(function)
    def run(value: Any, *arguments: Any, **options: Any) -> Any:
        return function(_items(value), *arguments, **options)

    return run


def _join(items: Sequence[Any], separator: Any = " ") -> str:
    texts, between = items if only_texts(items) else [to_text(item) for item in items], to_text(separator)
    _check_size(sum(map(len, texts)) + len(between) * max(len(texts) - 1, 0))
    return between.join(texts)


def _concat(items: Sequence[Any], more: Any) -> list[Any]:
    return [*items, *_items(more)]


def _uniq(items: Sequence[Any], key: Any = None) -> list[Any]:
    seen: dict[str, Any] = {}
    for item in items:
        part = item.get(key) if key is not None and isinstance(item, Mapping) else item
        seen.setdefault(to_json(part), item)
    return list(seen.values())


def _sum(items: Sequence[Any], key: Any = None) -> Number:
    parts = items if key is None else [item.get(key) for item in items if isinstance(item, Mapping)]
    total: Number = 0
    with localcontext(_EXACT):
        for part in parts:
            total = _checked(total + _number(part))
    return total


# Anything


def _default(value: Any, instead: Any = "", *, allow_false: bool = False) -> Any:
    if isinstance(value, Undefined) or value is None or value in ("", [], {}):
        return instead
    return instead if value is False and not allow_false else value


def _date(value: Any, pattern: Any, zone: Any = None) -> str:
    """A time by strftime's pattern, in `zone` (such as Europe/Berlin) if given. Other values unchanged."""
    moment = _moment(value)
    if moment is None:
        return to_text(value)
    _check_pattern(to_text(pattern))
    return (moment.astimezone(_zone(to_text(zone))) if zone else moment).strftime(to_text(pattern))


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    try:
        return datetime.fromisoformat(to_text(value).strip())
    except ValueError:
        return None


def _check_pattern(pattern: str) -> None:
    # The C library takes a width, "%0999999999Y", and would write that many zeros.
    if len(pattern) > MAX_DATE_FORMAT or "%" in _DIRECTIVE.sub("", pattern):
        raise FilterLimit(
            "The pattern of a date filter is too long or has a sign that is not known."
            " Use signs such as %Y-%m-%d %H:%M:%S."
        )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FilterLimit(
            "The time zone of a date filter is not known. Write it as Europe/Berlin."
        ) from error


def _pairs(*groups: tuple[Callable[[Filter], Filter], Mapping[str, Filter]]) -> Iterator[tuple[str, Filter]]:
    for wrap, filters in groups:
        for name, function in filters.items():
            yield name, wrap(function)


_TEXT_FILTERS: Mapping[str, Filter] = {
    **{
        name: getattr(string, name)
        for name in (
            *("capitalize", "downcase", "upcase", "lstrip", "rstrip", "strip", "squish"),
            *(
                "remove",
                "remove_first",
                "remove_last",
                "truncate",
                "truncatewords",
                "url_encode",
                "url_decode",
            ),
            *("base64_encode", "base64_decode", "base64_url_safe_encode", "base64_url_safe_decode"),
            *("newline_to_br", "strip_newlines"),
        )
    },
    "split": _split,
    "replace": _replace,
    "replace_first": _replace_first,
    "replace_last": _replace_last,
    "append": _append,
    "prepend": _prepend,
    "escape": _escape,
    "escape_once": _escape_once,
    "strip_html": _strip_html,
}
_NUMBER_FILTERS: Mapping[str, Filter] = {
    "abs": abs,
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "times": lambda a, b: a * b,
    "divided_by": _divide,
    "modulo": _modulo,
    "at_least": max,
    "at_most": min,
    "ceil": _ceil,
    "floor": _floor,
    "round": _round,
}
_LIST_FILTERS: Mapping[str, Filter] = {
    **{
        name.rstrip("_"): getattr(array, name)
        for name in (
            *("compact", "find", "find_index", "has", "map_", "reject", "reverse"),
            *("sort", "sort_natural", "where"),
        )
    },
    "concat": _concat,
    "join": _join,
    "uniq": _uniq,
    "sum": _sum,
}
_OTHER_FILTERS: Mapping[str, Filter] = {
    "default": _default,
    "date": _date,
    "json": to_json,
    "size": size,
    "first": array.first,
    "last": array.last,
    "slice": string.slice_,
}

FILTERS: Mapping[str, Filter] = dict(
    _pairs(
        (_text, _TEXT_FILTERS),
        (_arithmetic, _NUMBER_FILTERS),
        (_list, _LIST_FILTERS),
        (lambda function: function, _OTHER_FILTERS),
    )
)
"""Every filter by the name that templates use."""


class Weight(NamedTuple):
    """What a filter costs for each character that it is given, and for each part of a list or mapping."""

    character: int = 1
    part: int = PART_WEIGHT


_SLOW = {
    "escape_once": 12,
    "url_decode": 14,
    "url_encode": 12,
    "squish": 9,
    "escape": 5,
    "newline_to_br": 9,
    "strip_newlines": 9,
    "truncatewords": 2,
    "strip_html": 2,
}
"""What a character costs in filters that look at each by itself (measured with the worst text for each)."""
WRITTEN = Weight(1, 3 * PART_WEIGHT)
WEIGHTS: Mapping[str, Weight] = {
    **dict.fromkeys([*_TEXT_FILTERS, *_NUMBER_FILTERS, "date", "json", "join", "sum"], WRITTEN),
    **{name: Weight(weight, WRITTEN.part) for name, weight in _SLOW.items()},
    "uniq": Weight(2, 4 * PART_WEIGHT),
    **dict.fromkeys(["sort", "sort_natural"], Weight(1, 3 * PART_WEIGHT)),
}
"""Filters that cost more than looking at what they are given: they write it as text, or compare it."""
