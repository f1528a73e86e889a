"""Compiles a rule that is being written, part by part, and says at which place of it what cannot run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar, cast

from endpoints.canonical import Operation
from routing import compiled, formatters, rules
from routing.lookups import Lookup, check_names
from routing.models import DelayCondition
from routing.models import Lookup as LookupRow
from routing.portable.reading import ConditionNode, LookupNode, MappingNode, Problem, RuleNode

Made = TypeVar("Made")
_BOUNDS = (("limit", 100, "records"), ("timeout_seconds", 60, "seconds"))
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


@dataclass(frozen=True, slots=True)
class Looked:
    """One lookup and where it stands; None where it cannot be asked."""

    place: str
    lookup: Lookup | None


@dataclass
class Draft:
    """A rule as far as it can run. `asked` are its conditions, each group before what is in it."""

    rule: compiled.RoutingRule
    looked: list[Looked] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    mapped: list[Mapped] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def rows(self, category: str) -> tuple[compiled.MappingRow, ...]:
        """The mappings of a category that can run."""
        return tuple(one.row for one in self.mapped if one.category == category and one.row is not None)


def compile_rule(
    node: RuleNode,
    tables: Mapping[str, compiled.TranslationTable],
    endpoints: Mapping[str, int] = MappingProxyType({}),
) -> Draft:
    """The rule that a document's node describes; what cannot run is left out of it and told as a problem.

    `endpoints` are the ids, by slug, of those that lookups may ask.
    """
    work = _Compiler(node.place, tables)
    looked = work.lookups(node.lookups, endpoints)
    frame = work.frame(node)
    asked: list[Asked] = []
    when = work.conditions(node.conditions, f"{node.place}.when", asked)
    mapped = [work.mapping(row, at, frame) for at, row in enumerate(node.mappings)]
    delays = work.delays(node.delays)
    draft = Draft(replace(frame, conditions=when), looked, asked, mapped, work.problems)
    found: dict[str, Any] = {name: draft.rows(category) for category, name in _CATEGORIES.items()}
    draft.rule = work.tried(node.place, lambda: replace(draft.rule, delays=delays, **found)) or draft.rule
    return draft


class _Compiler:
    def __init__(self, place: str, tables: Mapping[str, compiled.TranslationTable]) -> None:
        self.place = place
        self.tables = tables
        self.problems: list[Problem] = []
        self.named: tuple[Lookup, ...] = ()

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
        whole = replace(whole, lookups=self.named)
        made = self.tried(node.place, lambda: replace(whole, operations=operations))
        return made or whole

    def lookups(self, nodes: Sequence[LookupNode], endpoints: Mapping[str, int]) -> list[Looked]:
        """Every lookup; what reads one that cannot be asked yet is no second fault, for it has its name."""
        looked = []
        for node in nodes:
            made = self.tried(node.place, lambda node=node: self._lookup(node, endpoints))  # type: ignore[misc]
            looked.append(Looked(node.place, made))
            self.named += (made or Lookup(node.fields["name"], 0, criteria=(("id", "-"),)),)
        return looked

    def _lookup(self, node: LookupNode, endpoints: Mapping[str, int]) -> Lookup:
        slug, _, entity = node.source.partition("/")
        name = node.fields["name"].casefold()
        if any(one.name.casefold() == name for one in self.named):
            raise compiled.RuleError("name", f"Two lookups are called {node.fields['name']}. Rename one.")
        if not slug:
            raise compiled.RuleError("from", "Choose the system to ask.")
        if bool(entity) is bool(node.fields["record"]):
            raise compiled.RuleError("record", "Choose an entity type or name a record, one of both.")
        for key, most, what in _BOUNDS:
            if not 1 <= node.fields[key] <= most:
                raise compiled.RuleError(key, f"Between 1 and {most} {what} are possible.")
        lookup = rules.lookup(LookupRow(**node.fields))
        if not all(there.strip() and text.strip() for there, text in lookup.criteria):
            raise compiled.RuleError("criteria", "Say of each criterion which attribute must equal what.")
        return replace(lookup, endpoint_id=endpoints.get(slug, 0), entity=entity)

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

        def make() -> compiled.Condition:
            made = compiled.Condition(
                given["path"], given["operator"], given["value"], tuple(given["values"])
            )
            check_names(self.named, [str(made.located)])
            return made

        return self.tried(place, make)

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
