"""Published rules as frozen values: what can be built here can be run, and nothing else can be built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from endpoints.canonical import Operation
from oneio.paths import Path, compile_path
from routing.conditions import OPERATORS, as_moment, as_number
from routing.context import attribute_of
from routing.errors import RuleError, choice, readable_path
from routing.mapping_rows import MappingKind, MappingRow, MissingPolicy, OnlyOn
from routing.regex import compile_regex
from routing.translation import TranslationTable, Unmapped

__all__ = [
    "Condition",
    "MappingKind",
    "MappingRow",
    "MissingPolicy",
    "OnlyOn",
    "RoutingRule",
    "RuleError",
    "RuleSet",
    "TranslationTable",
    "Unmapped",
    "compile_regex",
]

Action: TypeAlias = Literal["route", "drop", "process_only"]

ACTIONS = frozenset({"route", "drop", "process_only"})


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
        object.__setattr__(self, "located", readable_path("path", self.path))
        _check_operator(self)
        if self.operator == "regex":
            object.__setattr__(self, "pattern", compile_regex(self.value))


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
    supersede: bool = False

    def __post_init__(self) -> None:
        choice("action", self.action, ACTIONS)
        if not self.operations:
            raise RuleError("operations", "The rule is for no operation. Choose one or more.")
        if self.action == "route" and (self.target_endpoint_id is None or not self.target_entity):
            raise RuleError(
                "target_endpoint", "The rule routes but has no target. Choose endpoint and entity."
            )
        for row in (*self.variables, *self.conversation):
            _check_variable(row)
        if self.action != "route" and any(row.only_on for row in (*self.variables, *self.conversation)):
            raise RuleError(
                "only_on", "A rule that sends nothing creates and updates nothing. Leave it empty."
            )

    @property
    def tells_the_whole_state(self) -> bool:
        """Whether its update may replace an older one that waits: what is appended would be lost with it."""
        return self.supersede and not any(row.kind == "append" for row in self.outbound)


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


def _check_variable(row: MappingRow) -> None:
    for target in row.targets:
        if len(compile_path(target).steps) != 1:
            raise RuleError("target", f"The variable '{target}' needs a plain name, without dots.")
