"""Formatters of lists and structures: split and join, first and last, a default, a path into JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from oneio.paths import MISSING, Missing, PathError, compile_path
from oneio.template_values import LIST_WEIGHT, to_json, to_text
from routing.errors import RuleError
from routing.formatters.base import Argument, ArgumentValue, Formatter, FormatterError, bounded
from routing.formatters.text import written


def default(value: Any, *, value_if_empty: str) -> Any:
    """Something in place of what is missing or empty; `false` and 0 are values."""
    return value_if_empty if value is MISSING or value is None or value in ("", [], {}) else value


def split(text: str, *, separator: str) -> list[str]:
    """The parts between separators, trimmed, without empty ones."""
    separator = written(separator)
    bounded(len(text) + LIST_WEIGHT * text.count(separator))
    return [part.strip() for part in text.split(separator) if part.strip()]


def join(items: list[Any], *, separator: str) -> str:
    """The list's values as one text, without empty ones."""
    texts = [text for item in items if (text := to_text(item)).strip()]
    separator = written(separator)
    bounded(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def first(items: list[Any]) -> Any:
    """The first value of a list."""
    return items[0] if items else MISSING


def last(items: list[Any]) -> Any:
    """The last value of a list."""
    return items[-1] if items else MISSING


def unique(items: list[Any]) -> list[Any]:
    """The list without what stands in it a second time, whatever the case."""
    found: dict[str, Any] = {}
    for item in items:
        found.setdefault(to_text(item).casefold(), item)
    return list(found.values())


def json_path(value: Any, *, path: str) -> Any | Missing:
    """What stands at a path in a structure, or in a text that is JSON."""
    document = _parsed(value) if isinstance(value, str) else value
    place = compile_path(path)
    if not place.many:
        return place.first(document)
    return place.all(document) or MISSING


def _parsed(text: str) -> Any:
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_refuse)
        to_json(document).encode()  # half a character, written as an escape, could not be sent
        return document
    except (ValueError, RecursionError):
        raise FormatterError("The value is no JSON. Check what the source sends.") from None


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _check_path(arguments: Mapping[str, ArgumentValue]) -> None:
    try:
        compile_path(str(arguments["path"]))
    except PathError as error:
        raise RuleError("formatters", str(error)) from None


LISTS = (
    Formatter(
        "default",
        "Default",
        "Something in place of a value that is missing or empty.",
        default,
        (Argument("value_if_empty", "Value", required=True),),
        takes="whole",
        empty=True,
    ),
    Formatter(
        "split",
        "Split",
        "A list of the parts between separators, without empty ones. \\n is a line end.",
        split,
        (Argument("separator", "Separator", default=",", required=True),),
    ),
    Formatter(
        "join",
        "Join",
        "The values of a list as one text, without empty ones. \\n is a line end.",
        join,
        (Argument("separator", "Separator", default=", "),),
        takes="list",
    ),
    Formatter("first", "First", "The first value of a list.", first, takes="list"),
    Formatter("last", "Last", "The last value of a list.", last, takes="list"),
    Formatter("unique", "Without repetitions", "Each value of a list once.", unique, takes="list"),
    Formatter(
        "json_path",
        "JSON path",
        "What stands at a path in a structure, or in a text that is JSON; missing if nothing does.",
        json_path,
        (Argument("path", "Path", required=True),),
        takes="whole",
        check=_check_path,
    ),
)
