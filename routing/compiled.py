"""Published rules as frozen values: what can be built here can be run, and nothing else can be built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import re2

from endpoints.canonical import Operation
from oneio.paths import Path, PathError, compile_path
from oneio.templating import Template, TemplateError, compile_template
from routing.conditions import OPERATORS, as_moment, as_number
from routing.context import attribute_of, locate
from routing.short_form import to_liquid

MappingKind: TypeAlias = Literal["copy", "constant", "template", "append", "translate"]
Unmapped: TypeAlias = Literal["pass", "default", "hold"]
Action: TypeAlias = Literal["route", "drop", "process_only"]

MAPPING_KINDS = frozenset({"copy", "constant", "template", "append", "translate"})
UNMAPPED = frozenset({"pass", "default", "hold"})
ACTIONS = frozenset({"route", "drop", "process_only"})
MAX_REGEX = 500
REGEX_MEMORY = 1024 * 1024
"""Bytes that one regular expression may take while it runs."""


class RuleError(ValueError):
    """A rule that cannot be run. `field` names what to correct; the message is a sentence for its author."""

    def __init__(self, field_name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field_name


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. Raises RuleError if path, operator and value do not make one."""

    path: str
    operator: str
    value: str = ""
    values: tuple[str, ...] = ()
    located: Path = field(init=False, repr=False, compare=False)
    pattern: Any = field(init=False, repr=False, compare=False, default=None)
    """The compiled regular expression, of the operator `regex` only."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "located", _path("path", self.path))
        _check_operator(self)
        if self.operator == "regex":
            object.__setattr__(self, "pattern", compile_regex(self.value))


@dataclass(frozen=True, slots=True)
class TranslationTable:
    """Pairs of values; the first one that fits counts, ignoring case."""

    name: str
    rows: tuple[tuple[str, str], ...]
    unmapped: Unmapped = "hold"
    default: str = ""
    _by_folded: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _choice("unmapped", self.unmapped, UNMAPPED)
        # Built from the end, so that the first of two equal rows wins.
        table = {_key(source): target for source, target in reversed(self.rows)}
        object.__setattr__(self, "_by_folded", table)

    def find(self, value: str) -> str | None:
        """What the value is translated to; None if no row fits."""
        return self._by_folded.get(_key(value))


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One mapping. Raises RuleError if its kind lacks what it needs, or a path or template is wrong."""

    id: int
    position: int
    kind: MappingKind
    target: str
    source: str = ""
    template: str = ""
    constant: str = ""
    table: TranslationTable | None = None
    located: Path | None = field(init=False, repr=False, compare=False, default=None)
    compiled: Template | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        _choice("kind", self.kind, MAPPING_KINDS)
        _check_target(self.target)
        if self.kind == "translate" and self.table is None:
            raise RuleError("table", "A translation needs a table. Choose one.")
        if self.kind == "template" or (self.kind == "append" and not self.source):
            object.__setattr__(self, "compiled", _template(self.template))
        elif self.kind != "constant":
            object.__setattr__(self, "located", _path("source", self.source))


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One published version of a rule, ready to run. Raises RuleError if its parts do not fit together."""

    rule_id: int
    version_id: int
    number: int
    name: str
    priority: int
    source_endpoint_id: int
    source_entity: str
    operations: frozenset[Operation]
    action: Action = "route"
    target_endpoint_id: int | None = None
    target_entity: str = ""
    message_type: str = ""
    conditions: tuple[Condition, ...] = ()
    variables: tuple[MappingRow, ...] = ()
    outbound: tuple[MappingRow, ...] = ()
    conversation: tuple[MappingRow, ...] = ()
    write_back: bool = True

    def __post_init__(self) -> None:
        _choice("action", self.action, ACTIONS)
        if not self.operations:
            raise RuleError("operations", "The rule is for no operation. Choose one or more.")
        if self.action == "route" and (self.target_endpoint_id is None or not self.target_entity):
            raise RuleError(
                "target_endpoint", "The rule routes but has no target. Choose endpoint and entity."
            )
        for row in (*self.variables, *self.conversation):
            _check_variable(row)


class RuleSet:
    """Rules, found by where a message comes from."""

    def __init__(self, rules: Iterable[RoutingRule]) -> None:
        by_source: defaultdict[tuple[int, str], list[RoutingRule]] = defaultdict(list)
        for rule in sorted(rules, key=lambda rule: (-rule.priority, rule.rule_id)):
            by_source[rule.source_endpoint_id, rule.source_entity.casefold()].append(rule)
        self._by_source = {source: tuple(found) for source, found in by_source.items()}

    def candidates(self, endpoint_id: int, entity: str) -> Sequence[RoutingRule]:
        """The rules for this source, higher priority first, older rule first among equals."""
        return self._by_source.get((endpoint_id, entity.casefold()), ())


@lru_cache(maxsize=1024)
def compile_regex(source: str) -> Any:
    """The RE2 expression, ignoring case, `.` fitting line ends too. Raises RuleError on the field `value`."""
    if len(source) > MAX_REGEX:
        raise RuleError("value", f"The regular expression is too long. Shorten it to {MAX_REGEX} characters.")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.dot_nl = True
    options.max_mem = REGEX_MEMORY
    try:
        return re2.compile(source, options)
    except (re2.error, UnicodeError) as error:
        raise RuleError(
            "value",
            f"The regular expression cannot be read: {_reason(error)}. Correct it; look-ahead and"
            " back-references are not available.",
        ) from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def _check_operator(condition: Condition) -> None:
    if condition.operator not in OPERATORS:
        raise RuleError("operator", f"There is no operator '{condition.operator}'. Choose one of the list.")
    operator = OPERATORS[condition.operator]
    if operator.takes == "value" and not condition.value.strip():
        raise RuleError("value", f"'{operator.label}' needs a value. For an empty one use 'has no value'.")
    if operator.takes == "values" and not any(value.strip() for value in condition.values):
        raise RuleError("values", f"'{operator.label}' needs at least one value.")
    if condition.operator == "changed" and attribute_of(condition.located) is None:
        raise RuleError("path", "'changed' works on attributes only. Name one, such as status.")
    if condition.operator in ("greater", "less") and not _has_order(condition.value):
        raise RuleError("value", f"'{operator.label}' needs a number or a time such as 2024-05-01T12:00Z.")


def _has_order(value: str) -> bool:
    return as_number(value) is not None or as_moment(value) is not None


def _check_target(target: str) -> None:
    if not target.strip():
        raise RuleError("target", "The mapping has no target. Name the attribute that gets the value.")
    try:
        steps = compile_path(target).steps
    except PathError as error:
        raise RuleError("target", str(error)) from None
    if not steps or not all(isinstance(step, str) for step in steps):
        raise RuleError("target", f"The target '{target}' is not a name. Write title or fields.summary.")


def _check_variable(row: MappingRow) -> None:
    if len(compile_path(row.target).steps) != 1:
        raise RuleError("target", f"The variable '{row.target}' needs a plain name, without dots.")


def _path(field_name: str, text: str) -> Path:
    try:
        return locate(text)
    except PathError as error:
        raise RuleError(field_name, str(error)) from None


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


def _choice(field_name: str, value: str, known: frozenset[str]) -> None:
    if value not in known:
        raise RuleError(field_name, f"'{value}' is not a choice. Choose one of {', '.join(sorted(known))}.")


def _key(value: str) -> str:
    return value.strip().casefold()
