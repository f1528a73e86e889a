"""Finds the few rules of many that can hold for a message: by the values that their conditions ask for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from oneio.paths import Path
from routing.comparison import Key
from routing.condition_tree import Condition, Node, leaves
from routing.context import View
from routing.operators import Found

Place: TypeAlias = "tuple[Path, Key]"
"""A value at a path."""
Cost: TypeAlias = Callable[[frozenset[Place]], int]

SELECTIVE = frozenset({"equals", "in", "has_any"})
"""Operators that hold only if one of some values is there."""


class RuleIndex:
    """Which of some rules can hold, by position. Leaves out none that does; may keep some that do not."""

    def __init__(self, rules: Sequence[Sequence[Node]]) -> None:
        often = Counter(place for conditions in rules for place in _asked_for(conditions))
        self._always: list[int] = []
        self._by_value: defaultdict[Path, defaultdict[Key | None, list[int]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for position, conditions in enumerate(rules):
            guard = _cheapest(conditions, lambda places: sum(often[place] for place in places))
            if guard is None:
                self._always.append(position)
            for path, key in guard or ():
                self._by_value[path][key].append(position)

    def possible(self, seen: View) -> list[int]:
        """The positions of the rules that can hold for this message, in order."""
        found = set(self._always)
        for path, positions in self._by_value.items():
            for key in Found(path, seen).keys:
                found.update(positions.get(key, ()))
        return sorted(found)


def guard_of(node: Node, cost: Cost = len) -> frozenset[Place] | None:
    """Values of which one must be there for the node to hold; None if it can hold without any."""
    if isinstance(node, Condition):
        return _places(node) if node.operator in SELECTIVE else None
    if node.kind == "all":
        return _cheapest(node.members, cost)
    if node.kind == "none":
        return None
    guards = [guard_of(member, cost) for member in node.members]
    return None if None in guards else frozenset().union(*(guard or () for guard in guards))


def _places(condition: Condition) -> frozenset[Place]:
    return frozenset((condition.located, key) for key in condition.operand)


def _cheapest(nodes: Iterable[Node], cost: Cost) -> frozenset[Place] | None:
    """Of conditions that must all hold, the guard that lets the fewest rules through."""
    guards = [guard for node in nodes if (guard := guard_of(node, cost)) is not None]
    return min(guards, key=cost, default=None)


def _asked_for(nodes: Iterable[Node]) -> set[Place]:
    """Every value that selective conditions among these ask for, in groups too."""
    asking = (leaf for leaf in leaves(nodes) if leaf.operator in SELECTIVE)
    return {place for leaf in asking for place in _places(leaf)}
