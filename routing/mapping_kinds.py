"""What each kind of mapping makes of a message, before its formatters: one value for each target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

from endpoints.canonical import Value
from oneio.paths import MISSING, Missing, Path
from oneio.template_values import MAX_VALUE, to_text
from oneio.templating import Template, TemplateError
from routing.context import View, code_behind, locate
from routing.mapping_rows import MappingRow
from routing.translation import TranslationTable

MAX_SHOWN = 100
"""Characters of a value that an error may show."""
JOINED_WITH = ", "
Found: TypeAlias = "Value | Missing"


class MappingError(Exception):
    """A mapping that cannot be worked out for this message. Its sentence may hold a value: it is payload."""

    def __init__(self, row: MappingRow, sentence: str) -> None:
        super().__init__(sentence)
        self.position = row.position
        self.target = row.target
        self.source = row.source
        self.sentence = sentence


def values_of(row: MappingRow, context: View) -> tuple[Found, ...]:
    """What the row's kind gives for each of its targets. Raises MappingError."""
    return _KINDS[row.kind](row, context)


def _copy(row: MappingRow, context: View) -> tuple[Found, ...]:
    return (_found(row.paths[0], context),)


def _constant(row: MappingRow, _: View) -> tuple[Found, ...]:
    return (row.constant,)


def _text(row: MappingRow, context: View) -> tuple[Found, ...]:
    """The template's text; nothing if it is blank because nothing that it reads is there."""
    template = row.compiled
    assert template is not None
    try:
        text = template.render(context)
    except TemplateError as error:
        raise MappingError(row, f"The template for {row.target} failed. {error}") from None
    return (text if text.strip() or _reads_something(template, context) else MISSING,)


def _addition(row: MappingRow, context: View) -> tuple[Found, ...]:
    return _text(row, context) if row.compiled else _copy(row, context)


def _several(row: MappingRow, context: View) -> tuple[Found, ...]:
    """Every value of every source as one text, without empty ones."""
    found = (value for path in row.paths for value in path.all(context))
    texts = [text for value in found for text in _texts(value) if text.strip()]
    between = row.between or JOINED_WITH
    if sum(map(len, texts)) + len(between) * len(texts) > MAX_VALUE:
        raise MappingError(
            row, f"{row.target} would get more than {MAX_VALUE} characters. Join fewer values."
        )
    return (between.join(texts) if texts else MISSING,)


def _split(row: MappingRow, context: View) -> tuple[Found, ...]:
    """Each target its part, the last one the rest; a single target gets a list of all parts."""
    found = _found(row.paths[0], context)
    if found is MISSING or found is None:
        return (MISSING,) * len(row.targets)
    if len(row.targets) == 1:
        return ([part.strip() for part in _parts(row, found, None) if part.strip()] or MISSING,)
    parts = [part.strip() or MISSING for part in _parts(row, found, len(row.targets))]
    return (*parts, *[MISSING] * (len(row.targets) - len(parts)))


def _parts(row: MappingRow, found: Value, limit: int | None) -> list[str]:
    """The parts of a value, at most `limit`; a list has its parts already."""
    if isinstance(found, list):
        return [to_text(item) for item in found[:limit]]
    text = to_text(found)
    if row.pattern is None:
        return text.split(row.between, -1 if limit is None else limit - 1)
    if row.pattern.groups:
        match = row.pattern.search(text)
        return [part or "" for part in match.groups()[:limit]] if match else []
    return list(_cut(row, text, limit))


def _cut(row: MappingRow, text: str, limit: int | None) -> Iterator[str]:
    """The parts between the places that the row's expression fits."""
    end = 0
    for place in islice(row.pattern.finditer(text), MAX_PARTS if limit is None else limit - 1):
        if place.end() > place.start():
            yield text[end : place.start()]
            end = place.end()
    yield text[end:]


def _counter(row: MappingRow, context: View) -> tuple[Found, ...]:
    number = context.part("counters").get(row.counter, MISSING)
    if number is MISSING:
        raise MappingError(row, f"{row.target} needs a number of the counter {row.counter}. Route it again.")
    return (number,)


def _translate(row: MappingRow, context: View) -> tuple[Found, ...]:
    assert row.table is not None
    if row.table.inputs:
        return _row_translated(row, row.table, context)
    found = _found(row.paths[0], context)
    if found is MISSING:
        return (MISSING,)
    if isinstance(found, list):
        translated = [_translated(row, row.table, item, None) for item in found]
        return ([item for item in translated if item is not MISSING],)
    return (_translated(row, row.table, found, code_behind(row.paths[0], context)),)


def _translated(row: MappingRow, table: TranslationTable, value: Value, code: str | None) -> Found:
    """The table's answer for what people see, or else for the code; an empty value needs a row of its own."""
    answers = (table.find(text) for text in (to_text(value), code) if text is not None)
    answer = next((answer for answer in answers if answer is not None), None)
    if answer is not None:
        return answer
    if value is None or value == "":
        return MISSING
    _hold_if_told(row, table, shown(value))
    return value if table.unmapped == "pass" else table.default


def _row_translated(row: MappingRow, table: TranslationTable, context: View) -> tuple[Found, ...]:
    """What the first row of the table gives that fits all inputs together."""
    found = [_found(path, context) for path in row.paths]
    if all(value is MISSING for value in found):
        return (MISSING,) * len(row.targets)
    ways = [_ways(value, path, context) for value, path in zip(found, row.paths, strict=True)]
    answer = table.find_row(ways)
    if answer is not None:
        return answer
    if all(value is MISSING or value in (None, "") for value in found):
        return (MISSING,) * len(row.targets)
    _hold_if_told(row, table, " + ".join(shown(None if value is MISSING else value) for value in found))
    if table.unmapped == "pass":
        return (*found, *[MISSING] * len(row.targets))[: len(row.targets)]
    return (table.default,) * len(row.targets)


def _ways(value: Found, path: Path, context: View) -> set[str]:
    """All the ways in which a table may name a value: what people see, each element of a list, the code."""
    code = code_behind(path, context)
    texts = {""} if value is MISSING else set(_texts(value))
    return texts | ({code} if code is not None else set())


def _hold_if_told(row: MappingRow, table: TranslationTable, what: str) -> None:
    if table.unmapped == "hold":
        raise MappingError(row, f"Table {table.name} has no row for {what}. Add one, then retry.")


def shown(value: Value) -> str:
    """A value as an error shows it."""
    text = to_text(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _texts(value: Any) -> list[str]:
    """The value as text; of a list, each element."""
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else [to_text(value)]


def _found(path: Path, context: View) -> Found:
    if not path.many:
        found: Found = path.first(context)
        return found
    return path.all(context) or MISSING


def _reads_something(template: Template, context: View) -> bool:
    names = template.names()
    return not names or any(locate(name).first(context) is not MISSING for name in names)


MAX_PARTS = 10_000
_KINDS: Mapping[str, Callable[[MappingRow, View], tuple[Found, ...]]] = {
    "copy": _copy,
    "constant": _constant,
    "template": _text,
    "append": _addition,
    "translate": _translate,
    "multi_to_single": _several,
    "split": _split,
    "counter": _counter,
}
