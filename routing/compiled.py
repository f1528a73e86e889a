"""Published rules as frozen values: what can be built here can be run, and nothing else can be built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from endpoints.canonical import Operation
from oneio.paths import compile_path
from routing.condition_tree import GROUPS, MAX_DEPTH, Condition, Group, GroupKind, Node, leaves
from routing.context import View
from routing.delays import Delay
from routing.errors import RuleError, choice
from routing.files import FileFilter
from routing.lookups import Lookup, check_names
from routing.mapping import roots_of, sources
from routing.mapping_rows import MappingKind, MappingRow, MissingPolicy, OnlyOn
from routing.regex import compile_regex
from routing.rule_index import RuleIndex
from routing.translation import TranslationTable, Unmapped

__all__ = [
    "GROUPS",
    "MAX_DEPTH",
    "Condition",
    "Delay",
    "Group",
    "GroupKind",
    "MappingKind",
    "MappingRow",
    "MissingPolicy",
    "Node",
    "OnlyOn",
    "RoutingRule",
    "RuleError",
    "RuleSet",
    "SourceRules",
    "TranslationTable",
    "Unmapped",
    "compile_regex",
]

Action: TypeAlias = Literal["route", "drop", "process_only"]

ROUTING_ONLY = frozenset({"conversation_state", "counters"})
"""Parts of the document that are gone when a delivery is sent."""
ACTIONS = frozenset({"route", "drop", "process_only"})


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
    conditions: tuple[Node, ...] = ()
    variables: tuple[MappingRow, ...] = ()
    outbound: tuple[MappingRow, ...] = ()
    conversation: tuple[MappingRow, ...] = ()
    delays: tuple[Delay, ...] = ()
    write_back: bool = True
    supersede: bool = False
    files: FileFilter | None = None
    lookups: tuple[Lookup, ...] = ()

    asks_participants: bool = field(init=False, repr=False, compare=False, default=False)
    """Whether what it sends depends on the conversation's other tickets."""

    def __post_init__(self) -> None:
        choice("action", self.action, ACTIONS)
        if not self.operations:
            raise RuleError("operations", "The rule is for no operation. Choose one or more.")
        if self.action == "route" and (self.target_endpoint_id is None or not self.target_entity):
            raise RuleError(
                "target_endpoint", "The rule routes but has no target. Choose endpoint and entity."
            )
        if self.delays and self.action != "route":
            raise RuleError("delays", "Only a rule that routes can wait. Remove the delays.")
        for row in (*self.variables, *self.conversation):
            _check_variable(row)
        if any(row.kind == "counter" for row in self.outbound):
            raise RuleError(
                "kind",
                "A counter counts when the rule takes the message, not each time it is sent. Make it a"
                " runtime variable, and use that here.",
            )
        if self.action != "route" and any(row.only_on for row in (*self.variables, *self.conversation)):
            raise RuleError(
                "only_on", "A rule that sends nothing creates and updates nothing. Leave it empty."
            )
        for row in self.outbound:
            check_outbound(row)
        check_names(self.lookups, self.reads)
        asks = any("participants" in roots_of(row) for row in self.outbound)
        object.__setattr__(self, "asks_participants", asks)

    @property
    def tells_the_whole_state(self) -> bool:
        """Whether its update may replace an older one that waits: what is appended would be lost with it."""
        return self.supersede and not any(row.kind == "append" for row in self.outbound)

    @property
    def decides_by(self) -> frozenset[str]:
        """The parts of the document that its conditions and variables read, such as `attributes`."""
        asked = {str(condition.located.root) for condition in leaves(self.conditions)}
        return frozenset(asked.union(*map(roots_of, (*self.variables, *self.conversation))))

    @property
    def reads(self) -> frozenset[str]:
        """Every path that its conditions and mappings read."""
        asked = {str(condition.located) for condition in leaves(self.conditions)}
        rows = (*self.variables, *self.outbound, *self.conversation)
        return frozenset(asked.union(*map(sources, rows)))

    @property
    def counters(self) -> frozenset[str]:
        """The counters that the rule takes numbers of."""
        rows = (*self.variables, *self.conversation)
        return frozenset(row.counter for row in rows if row.kind == "counter")


class SourceRules(tuple[RoutingRule, ...]):
    """The rules for one source, higher priority first, older rule first among equals."""

    @cached_property
    def _index(self) -> RuleIndex:
        return RuleIndex([_without_answers(rule.conditions) for rule in self])

    @cached_property
    def asking(self) -> tuple[RoutingRule, ...]:
        """Those that ask other systems before they decide."""
        return tuple(rule for rule in self if rule.lookups)

    @cached_property
    def asks_participants(self) -> bool:
        """Whether a decision among these depends on what is known of the conversation's other tickets."""
        return any("participants" in rule.decides_by for rule in self)

    def possible(self, seen: View) -> list[RoutingRule]:
        """In the same order, those whose conditions can hold: few of many, all that do hold among them."""
        return [self[position] for position in self._index.possible(seen)]


def _without_answers(conditions: tuple[Node, ...]) -> tuple[Node, ...]:
    """What each rule's own lookups found differs from rule to rule: conditions on it choose no rules."""
    return tuple(
        node for node in conditions if all(leaf.located.root != "lookups" for leaf in leaves((node,)))
    )


class RuleSet:
    """Rules, found by where a message comes from."""

    def __init__(self, rules: Iterable[RoutingRule]) -> None:
        by_source: defaultdict[tuple[int, str], list[RoutingRule]] = defaultdict(list)
        for rule in sorted(rules, key=lambda rule: (-rule.priority, rule.rule_id)):
            by_source[rule.source_endpoint_id, rule.source_entity.casefold()].append(rule)
        self._by_source = {source: SourceRules(found) for source, found in by_source.items()}

    def candidates(self, endpoint_id: int, entity: str) -> SourceRules:
        """The rules for this source."""
        return self._by_source.get((endpoint_id, entity.casefold()), _NO_RULES)


_NO_RULES = SourceRules()


def check_outbound(row: MappingRow) -> None:
    """Raises RuleError if the row reads what is known only while the message is routed."""
    for root in sorted(ROUTING_ONLY & roots_of(row)):
        raise RuleError(
            "source",
            f"{row.target} reads {root}, which is known only while a message is routed. Put it into a runtime"
            " variable and read that.",
        )


def _check_variable(row: MappingRow) -> None:
    for target in row.targets:
        if len(compile_path(target).steps) != 1:
            raise RuleError("target", f"The variable '{target}' needs a plain name, without dots.")
