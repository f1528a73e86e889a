"""Compiles a rule that is being written, part by part, and says at which place of it what cannot run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from endpoints.canonical import Operation
from routing import compiled, formatters, rules
from routing.models import DelayCondition
from routing.portable.reading import ConditionNode, MappingNode, Problem, RuleNode

Made = TypeVar("Made")
_CATEGORIES = {"variable": "variables", "outbound": "outbound", "conversation": "conversation"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition or group and where it stands; None where it cannot be decided."""

    place: str
    node: compiled.Node | None


@dataclass(frozen=True, slots=True)
class Mapped:
    """One mapping and where it stands; None where it cannot run."""

    place: str
    category: str
    row: compiled.MappingRow | None
    asked: tuple[Asked, ...] = ()


@dataclass
class Draft:
    """A rule as far as it can run. `asked` are its conditions, each group before what is in it."""

    rule: compiled.RoutingRule
    asked: list[Asked] = field(default_factory=list)
    mapped: list[Mapped] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def rows(self, category: str) -> tuple[compiled.MappingRow, ...]:
        """The mappings of a category that can run."""
        return tuple(one.row for one in self.mapped if one.category == category and one.row is not None)


def compile_rule(node: RuleNode, tables: Mapping[str, compiled.TranslationTable]) -> Draft:
    """The rule that a document's node describes; what cannot run is left out of it and told as a problem."""
    work = _Compiler(node.place, tables)
    frame = work.frame(node)
    asked: list[Asked] = []
    when = work.conditions(node.conditions, f"{node.place}.when", asked)
    mapped = [work.mapping(row, at, frame) for at, row in enumerate(node.mappings)]
    delays = work.delays(node.delays)
    draft = Draft(replace(frame, conditions=when), asked, mapped, work.problems)
    found: dict[str, Any] = {name: draft.rows(category) for category, name in _CATEGORIES.items()}
    draft.rule = work.tried(node.place, lambda: replace(draft.rule, delays=delays, **found)) or draft.rule
    return draft


class _Compiler:
    def __init__(self, place: str, tables: Mapping[str, compiled.TranslationTable]) -> None:
        self.place = place
        self.tables = tables
        self.problems: list[Problem] = []

    def tried(self, place: str, make: Callable[[], Made]) -> Made | None:
        """What is made, or None and a problem at the field of the place."""
        try:
            return make()
        except compiled.RuleError as error:
            self.problems.append(Problem(f"{place}.{error.field}", str(error)))
            return None

    def frame(self, node: RuleNode) -> compiled.RoutingRule:
        """The rule without any rows; with something in place of what is missing."""
        action = cast(compiled.Action, node.version["action"])
        routes = action == "route"
        whole = compiled.RoutingRule(
            0, 0, 0, str(node.rule["name"]), 0, 0, "", frozenset(Operation), action,
            0 if routes else None, "target" if routes else "", str(node.version["message_type"]),
        )  # fmt: skip
        if routes and not node.target:
            self.problems.append(
                Problem(f"{node.place}.to", "A rule that routes needs a target. Choose where the tickets go.")
            )
        operations = frozenset(Operation(name) for name in node.version["operations"])
        made = self.tried(node.place, lambda: replace(whole, operations=operations))
        return made or whole

    def conditions(
        self, nodes: Sequence[ConditionNode], place: str, asked: list[Asked]
    ) -> tuple[compiled.Node, ...]:
        """Those that can be decided; all of them, those in groups too, go into `asked`."""
        return tuple(self._asked(nodes, place, asked))

    def _asked(
        self, nodes: Sequence[ConditionNode], place: str, asked: list[Asked]
    ) -> Iterator[compiled.Node]:
        for at, node in enumerate(nodes):
            here, below = f"{place}[{at}]", list[Asked]()
            made = self._group(node, here, below) if node.group else self._single(node, here)
            asked += [Asked(here, made), *below]
            if made is not None:
                yield made

    def _group(self, node: ConditionNode, place: str, below: list[Asked]) -> compiled.Node | None:
        members = self.conditions(node.below, f"{place}.{node.group}", below)
        if node.below and not members:
            return None
        return self.tried(place, lambda: compiled.Group(cast(compiled.GroupKind, node.group), members))

    def _single(self, node: ConditionNode, place: str) -> compiled.Node | None:
        given = node.fields
        return self.tried(
            place,
            lambda: compiled.Condition(
                given["path"], given["operator"], given["value"], tuple(given["values"])
            ),
        )

    def mapping(self, node: MappingNode, position: int, frame: compiled.RoutingRule) -> Mapped:
        """One mapping, tried in a rule that has only this one."""
        asked: list[Asked] = []
        conditions = self.conditions(node.conditions, f"{node.place}.when", asked)
        category = node.fields["category"]
        row = None
        if all(one.node is not None for one in asked):
            row = self.tried(node.place, lambda: self._row(node, position, conditions))
        alone: Any = {_CATEGORIES[category]: (row,)}
        if row is not None and self.tried(node.place, lambda: replace(frame, **alone)) is None:
            row = None
        return Mapped(node.place, category, row, tuple(asked))

    def _row(
        self, node: MappingNode, position: int, conditions: tuple[compiled.Node, ...]
    ) -> compiled.MappingRow:
        given = node.fields
        if node.table and node.table not in self.tables:
            raise compiled.RuleError("table", f"There is no table '{node.table}' here. Choose another.")
        return compiled.MappingRow(
            id=0,
            position=position,
            kind=given["kind"],
            target=given["target"],
            source=given["source"],
            template=given["template"],
            constant=given["constant"],
            table=self.tables.get(node.table),
            counter=node.counter,
            further_sources=tuple(given["further_sources"]),
            further_targets=tuple(given["further_targets"]),
            separator=given["separator"],
            formatters=formatters.compile_chain(given["formatters"]),
            conditions=conditions,
            only_on=given["only_on"],
            missing=given["missing"],
            default=given["default"],
            owner=given["ownership"],
        )

    def delays(self, rows: Sequence[Mapping[str, Any]]) -> tuple[compiled.Delay, ...]:
        """The delays that can be waited for."""
        made = (
            self.tried(f"{self.place}.delays[{at}]", lambda row=row: rules.delay(DelayCondition(**row)))  # type: ignore[misc]
            for at, row in enumerate(rows)
        )
        return tuple(delay for delay in made if delay is not None)
