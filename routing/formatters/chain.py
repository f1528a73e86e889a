"""Chains of formatters: checked when a rule is saved, run on a value one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from endpoints.canonical import Value
from oneio.paths import MISSING, Missing
from oneio.template_values import MAX_VALUE, FilterLimit, measure, to_text
from routing.errors import RuleError
from routing.formatters.base import ArgumentValue, Formatter, FormatterError
from routing.formatters.documents import DOCUMENTS
from routing.formatters.encodings import ENCODINGS
from routing.formatters.lists import LISTS
from routing.formatters.numbers import NUMBERS
from routing.formatters.patterns import PATTERNS
from routing.formatters.text import TEXT
from routing.formatters.times import TIMES

MAX_CHAIN = 20
"""Formatters of one mapping."""
MAX_WORK = 8 * 1024 * 1024
"""Characters that all formatters of one chain may go through, together."""
FORMATTERS: Mapping[str, Formatter] = {
    formatter.name: formatter
    for formatter in (*TEXT, *PATTERNS, *LISTS, *NUMBERS, *TIMES, *DOCUMENTS, *ENCODINGS)
}
"""Every formatter by the name that rules use."""


@dataclass(frozen=True, slots=True)
class Step:
    """One formatter of a chain with its arguments; make it with `compile_chain`."""

    formatter: Formatter
    arguments: Mapping[str, ArgumentValue]


Chain: TypeAlias = "tuple[Step, ...]"


def compile_chain(written: Sequence[Any]) -> Chain:
    """The chain written as `[{"name": …, "arguments": {…}}, …]`. Raises RuleError on `formatters`."""
    if not isinstance(written, list | tuple):
        raise RuleError("formatters", "The formatters are no list. Write one entry for each.")
    if len(written) > MAX_CHAIN:
        raise RuleError("formatters", f"There are too many formatters. Keep to {MAX_CHAIN}.")
    return tuple(_step(entry) for entry in written)


def apply_chain(chain: Chain, value: Value | Missing) -> Value | Missing:
    """The value after the whole chain. What is missing or None passes all but `default`.

    Raises FormatterError, naming the formatter by its place.
    """
    work = 0
    for place, step in enumerate(chain, 1):
        try:
            work += _effort(step, value)
            if work > MAX_WORK:
                raise FormatterError("The chain takes too much work. Shorten the value first, with truncate.")
            value = _applied(step, value)
        except (FormatterError, FilterLimit) as error:
            sentence = error.message if isinstance(error, FilterLimit) else str(error)
            raise FormatterError(f"Formatter {place}, {step.formatter.label}: {sentence}") from None
    return value


def _step(entry: Any) -> Step:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or name not in FORMATTERS:
        raise RuleError(
            "formatters", f"There is no formatter '{name}'. There are: {', '.join(sorted(FORMATTERS))}."
        )
    given = entry.get("arguments") or {}
    return Step(FORMATTERS[name], _arguments(FORMATTERS[name], given))


def _arguments(formatter: Formatter, given: Any) -> dict[str, ArgumentValue]:
    known = {argument.name: argument for argument in formatter.arguments}
    unknown = [str(name) for name in given if name not in known] if isinstance(given, Mapping) else ["?"]
    if unknown:
        takes = f"It takes {', '.join(known)}." if known else "It takes none."
        raise RuleError("formatters", f"“{formatter.label}” has no argument '{unknown[0]}'. {takes}")
    arguments = {
        name: argument.value_of(given.get(name, argument.default)) for name, argument in known.items()
    }
    if formatter.check:
        formatter.check(arguments)
    return arguments


def _effort(step: Step, value: Value | Missing) -> int:
    return 0 if value is MISSING else measure(value) * step.formatter.weight


def _applied(step: Step, value: Value | Missing) -> Value | Missing:
    if (value is MISSING or value is None) and not step.formatter.empty:
        return value
    match step.formatter.takes:
        case "list":
            return _run(step, value if isinstance(value, list) else [value])[0]
        case "whole":
            return _run(step, value)[0]
    return _each(step, value) if isinstance(value, list) else _run(step, value)[0]


def _each(step: Step, items: list[Any]) -> Value | Missing:
    """The formatter over a list's elements; what gives several becomes several elements."""
    results: list[Any] = []
    total = 0
    for item in items:
        result, size = (item, 0) if item is None else _run(step, item)
        total += size
        if total > MAX_VALUE:
            raise FormatterError(f"The list grows beyond {MAX_VALUE} characters. Shorten it first.")
        if result is not MISSING:
            results.extend(result) if isinstance(result, list) else results.append(result)
    return results if results or not items else MISSING


def _run(step: Step, value: Any) -> tuple[Value | Missing, int]:
    """The formatter's result and how big it is."""
    given = to_text(value) if step.formatter.takes == "text" else value
    try:
        result = step.formatter.run(given, **step.arguments)
    except FormatterError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        raise FormatterError("It cannot work on this value. Check what the source sends.") from None
    return result, 0 if result is MISSING else measure(result)
