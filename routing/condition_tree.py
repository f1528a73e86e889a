"""Conditions as frozen values: single ones and groups of them; what can be built here can be decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from oneio.paths import Path
from routing.context import attribute_of
from routing.errors import RuleError, choice, readable_path
from routing.operators import OPERATORS, Operator

MAX_DEPTH = 10
GroupKind: TypeAlias = Literal["all", "any", "none"]
GROUPS = frozenset({"all", "any", "none"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. Raises RuleError if path, operator and value do not make one.

    `values` is for operators that take several, or a pair of which either may be empty.
    """

    path: str
    operator: str
    value: str = ""
    values: tuple[str, ...] = ()
    located: Path = field(init=False, repr=False, compare=False)
    compares: Operator = field(init=False, repr=False, compare=False)
    operand: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "located", readable_path("path", self.path))
        if self.operator not in OPERATORS:
            raise RuleError("operator", f"There is no operator '{self.operator}'. Choose one of the list.")
        operator = OPERATORS[self.operator]
        if operator.kind == "change" and attribute_of(self.located) is None:
            raise RuleError("path", f"'{operator.label}' works on attributes only. Name one, such as status.")
        object.__setattr__(self, "compares", operator)
        object.__setattr__(self, "operand", operator.read(_taken(operator, self.value, self.values)))


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all, any (one is enough) or none must hold. Raises RuleError if there are none."""

    kind: GroupKind
    members: tuple[Node, ...]
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        choice("group", self.kind, GROUPS)
        if not self.members:
            raise RuleError("group", "The group is empty. Put a condition into it or remove it.")
        depth = 1 + max(member.depth if isinstance(member, Group) else 0 for member in self.members)
        if depth > MAX_DEPTH:
            raise RuleError("group", f"Groups stand {depth} deep. Use {MAX_DEPTH} levels at most.")
        object.__setattr__(self, "depth", depth)


Node: TypeAlias = Condition | Group


def leaves(nodes: Iterable[Node]) -> Iterator[Condition]:
    """Every single condition among these and in their groups."""
    for node in nodes:
        if isinstance(node, Condition):
            yield node
        else:
            yield from leaves(node.members)


def _taken(operator: Operator, value: str, values: tuple[str, ...]) -> tuple[str, ...]:
    match operator.takes:
        case "value":
            if not value.strip():
                raise RuleError(
                    "value", f"'{operator.label}' needs a value. For an empty one use 'has no value'."
                )
            return (value,)
        case "values":
            if not any(one.strip() for one in values):
                raise RuleError("values", f"'{operator.label}' needs at least one value.")
        case "pair":
            if len(values) != 2:
                raise RuleError("values", f"'{operator.label}' needs two values.")
    return values
