"""One mapping as a frozen value: what can be built here can be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from oneio.paths import Path, PathError, compile_path
from oneio.templating import Template, TemplateError, compile_template
from routing.condition_tree import Node
from routing.context import locate
from routing.errors import RuleError, choice, readable_path
from routing.formatters import Chain
from routing.formatters.text import written
from routing.ownership import OWNERS, Owner
from routing.regex import compile_regex
from routing.short_form import to_liquid
from routing.translation import TranslationTable

MappingKind: TypeAlias = Literal[
    "copy", "constant", "template", "append", "translate", "multi_to_single", "split", "counter"
]
MissingPolicy: TypeAlias = Literal["skip", "clear", "default", "hold"]
OnlyOn: TypeAlias = Literal["", "create", "update"]

MAPPING_KINDS = frozenset(
    {"copy", "constant", "template", "append", "translate", "multi_to_single", "split", "counter"}
)
MISSING_POLICIES = frozenset({"skip", "clear", "default", "hold"})
ONLY_ON = frozenset({"", "create", "update"})
_SEVERAL_SOURCES = frozenset({"multi_to_single", "translate"})
_SEVERAL_TARGETS = frozenset({"split", "translate"})
_WITHOUT_SOURCE = frozenset({"constant", "template", "counter"})
MAX_FURTHER = 20
"""Further sources or targets of one mapping."""


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One mapping. Raises RuleError if its kind lacks what it needs, or a path or template is wrong.

    `separator` stands between joined values, or says where to split: a text, or an RE2 expression between
    slashes. `formatters` are applied to the value that its kind gives; `missing` says what to do if there
    is none after that. Its own `conditions` are read in the same context.
    """

    id: int
    position: int
    kind: MappingKind
    target: str
    source: str = ""
    template: str = ""
    constant: str = ""
    table: TranslationTable | None = None
    counter: str = ""
    further_sources: tuple[str, ...] = ()
    further_targets: tuple[str, ...] = ()
    separator: str = ""
    formatters: Chain = ()
    conditions: tuple[Node, ...] = ()
    only_on: OnlyOn = ""
    missing: MissingPolicy = "skip"
    default: str = ""
    owner: Owner = "source"
    paths: tuple[Path, ...] = field(init=False, repr=False, compare=False, default=())
    """The source and further sources, from the context's top; none for a kind that reads none."""
    compiled: Template | None = field(init=False, repr=False, compare=False, default=None)
    pattern: Any = field(init=False, repr=False, compare=False, default=None)
    """Where to split, if that is a regular expression."""

    def __post_init__(self) -> None:
        choice("kind", self.kind, MAPPING_KINDS)
        choice("missing", self.missing, MISSING_POLICIES)
        choice("only_on", self.only_on, ONLY_ON)
        choice("ownership", self.owner, OWNERS)
        _check_target("target", self.target)
        _check_further(self)
        _CHECKS.get(self.kind, lambda _: None)(self)
        if self.kind == "template" or (self.kind == "append" and not self.source):
            object.__setattr__(self, "compiled", _template(self.template))
        elif self.kind not in _WITHOUT_SOURCE:
            object.__setattr__(self, "paths", _paths(self))

    @property
    def targets(self) -> tuple[str, ...]:
        """Every target, the first one first."""
        return (self.target, *self.further_targets)

    @property
    def between(self) -> str:
        """The separator as meant."""
        return written(self.separator)


def _paths(row: MappingRow) -> tuple[Path, ...]:
    further = (readable_path("further_sources", text) for text in row.further_sources)
    return (readable_path("source", row.source), *further)


def _check_target(field_name: str, target: str) -> None:
    if not target.strip():
        raise RuleError(field_name, "The mapping has no target. Name the attribute that gets the value.")
    try:
        steps = compile_path(target).steps
    except PathError as error:
        raise RuleError(field_name, str(error)) from None
    if not steps or not all(isinstance(step, str) for step in steps):
        raise RuleError(field_name, f"The target '{target}' is not a name. Write title or fields.summary.")


def _check_further(row: MappingRow) -> None:
    if row.further_sources and row.kind not in _SEVERAL_SOURCES:
        raise RuleError("further_sources", "This kind reads one source. Remove the others.")
    if row.further_targets and row.kind not in _SEVERAL_TARGETS:
        raise RuleError("further_targets", "This kind fills one target. Remove the others.")
    if max(len(row.further_sources), len(row.further_targets)) > MAX_FURTHER:
        raise RuleError("further_sources", f"Keep to {MAX_FURTHER} further sources and targets.")
    for target in row.further_targets:
        _check_target("further_targets", target)
    if len(set(row.targets)) < len(row.targets):
        raise RuleError("further_targets", "A target stands twice. Name each once.")


def _check_table(row: MappingRow) -> None:
    if row.table is None:
        raise RuleError("table", "A translation needs a table. Choose one.")
    _check_count("further_sources", "source", 1 + len(row.further_sources), row.table.inputs, row.table)
    _check_count("further_targets", "target", len(row.targets), row.table.outputs, row.table)


def _check_count(
    field_name: str, word: str, given: int, columns: tuple[str, ...], table: TranslationTable
) -> None:
    wanted = len(columns) or 1
    if given != wanted:
        named = f" ({', '.join(columns)})" if columns else ""
        raise RuleError(
            field_name, f"Table {table.name} has {wanted} {word} columns{named}; the mapping has {given}."
        )


def _check_counter(row: MappingRow) -> None:
    if not row.counter:
        raise RuleError("counter", "The mapping needs a counter. Choose one.")


def _check_separator(row: MappingRow) -> None:
    if not row.separator:
        raise RuleError("separator", "Say where to split: a text, or an expression such as /[,;]/.")
    if len(row.separator) > 2 and row.separator[0] == row.separator[-1] == "/":
        try:
            object.__setattr__(row, "pattern", compile_regex(row.separator[1:-1]))
        except RuleError as error:
            raise RuleError("separator", str(error)) from None


def _template(source: str) -> Template:
    if not source:
        raise RuleError("template", "The mapping has no template. Write one, such as {{ attributes.title }}.")
    try:
        template = compile_template(to_liquid(source))
        for name in template.names():
            locate(name)
        return template
    except (TemplateError, PathError) as error:
        raise RuleError("template", str(error)) from None


_CHECKS: Mapping[str, Any] = {
    "translate": _check_table,
    "counter": _check_counter,
    "split": _check_separator,
}
