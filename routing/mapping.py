"""Mappings: what a rule makes of a message, one target attribute after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from endpoints.canonical import Value
from oneio.paths import MISSING, Missing, Path
from oneio.template_values import to_text
from oneio.templating import Template, TemplateError
from routing.compiled import MappingRow, TranslationTable
from routing.context import View, code_behind, locate, view

MAX_SHOWN = 100
"""Characters of a value that an error may show."""


class MappingError(Exception):
    """A mapping that cannot be worked out for this message. Its sentence may hold a value: it is payload."""

    def __init__(self, row: MappingRow, sentence: str) -> None:
        super().__init__(sentence)
        self.position = row.position
        self.target = row.target
        self.source = row.source
        self.sentence = sentence


def evaluate(rows: Sequence[MappingRow], context: Mapping[str, Any]) -> dict[str, Value]:
    """The value of each target, for the context document (see `routing.context.ROOTS`).

    A row whose source is not in the message is left out, so that an earlier row of the same target counts.
    Raises MappingError.
    """
    seen = view(context)
    result: dict[str, Value] = {}
    for row in rows:
        value = _KINDS[row.kind](row, seen, result)
        if value is not MISSING:
            result[row.target] = value
    return result


def sources(row: MappingRow) -> frozenset[str]:
    """The paths that a row reads, from the document's top, such as `attributes.title`."""
    if row.located is not None:
        return frozenset({str(row.located)})
    if row.compiled is not None:
        return frozenset(str(locate(name)) for name in row.compiled.names())
    return frozenset()


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
    return frozenset(row.target for row in rows if not touched.isdisjoint(map(_place, sources(row))))


def _place(source: str) -> tuple[str, str]:
    """The part of the document that a path reads, and the name there; a code moves with its attribute."""
    root, *rest = locate(source).steps
    return ("attributes" if root == "codes" else str(root), str(rest[0]).casefold() if rest else "")


def _copy(row: MappingRow, context: View, _: Mapping[str, Value]) -> Value | Missing:
    return _found(_path_of(row), context)


def _constant(row: MappingRow, _: View, __: Mapping[str, Value]) -> Value | Missing:
    return row.constant


def _text(row: MappingRow, context: View, _: Mapping[str, Value]) -> Value | Missing:
    """The template's text; nothing if it is blank because nothing that it reads is there."""
    template = row.compiled
    assert template is not None
    try:
        text = template.render(context)
    except TemplateError as error:
        raise MappingError(row, f"The template for {row.target} failed. {error}") from None
    return text if text.strip() or _reads_something(template, context) else MISSING


def _append(row: MappingRow, context: View, result: Mapping[str, Value]) -> Value | Missing:
    """What the target holds, and the addition on a new line; as it is if that is its end already."""
    addition = _text(row, context, result) if row.compiled else _found(_path_of(row), context)
    more = "" if addition is MISSING else to_text(addition).strip("\r\n")
    if not more.strip():
        return MISSING
    held = to_text(result.get(row.target, context.part("target").get(row.target)))
    held = held.replace("\r\n", "\n").rstrip()
    more = more.replace("\r\n", "\n").rstrip()
    if f"\n{held}".endswith(f"\n{more}"):
        return held
    return f"{held}\n{more}" if held else more


def _translate(row: MappingRow, context: View, _: Mapping[str, Value]) -> Value | Missing:
    table, path = row.table, _path_of(row)
    assert table is not None
    found = _found(path, context)
    if found is MISSING:
        return MISSING
    if isinstance(found, list):
        translated = [_translated(row, table, item, None) for item in found]
        return [item for item in translated if item is not MISSING]
    return _translated(row, table, found, code_behind(path, context))


def _translated(row: MappingRow, table: TranslationTable, value: Value, code: str | None) -> Value | Missing:
    """The table's answer for what people see, or else for the code; an empty value needs a row of its own."""
    answers = (table.find(text) for text in (to_text(value), code) if text is not None)
    answer = next((answer for answer in answers if answer is not None), None)
    if answer is not None:
        return answer
    if value is None or value == "":
        return MISSING
    if table.unmapped == "hold":
        raise MappingError(row, f"Table {table.name} has no row for {_shown(value)}. Add one, then retry.")
    return value if table.unmapped == "pass" else table.default


def _shown(value: Value) -> str:
    text = to_text(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _path_of(row: MappingRow) -> Path:
    assert row.located is not None
    return row.located


def _found(path: Path, context: View) -> Value | Missing:
    if not path.many:
        found: Value | Missing = path.first(context)
        return found
    return path.all(context) or MISSING


def _reads_something(template: Template, context: View) -> bool:
    names = template.names()
    return not names or any(locate(name).first(context) is not MISSING for name in names)


_KINDS: Mapping[str, Callable[[MappingRow, View, Mapping[str, Value]], Value | Missing]] = {
    "copy": _copy,
    "constant": _constant,
    "template": _text,
    "append": _append,
    "translate": _translate,
}
