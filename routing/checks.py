"""Finds what is wrong or doubtful about rules before a message shows it; decides on values, asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeAlias

from endpoints.canonical import Operation
from routing.compiled import MappingRow, RoutingRule
from routing.condition_tree import Condition, Group, Node, leaves
from routing.context import attribute_of, locate
from routing.lookups import names_read
from routing.mapping import sources

ENOUGH = 20
"""So many messages without an attribute say that it is not there."""
GROWING = frozenset({"template", "append", "multi_to_single", "counter"})
"""Kinds of mappings whose result may differ from what they read, so that it changes on each way round."""


class Severity(StrEnum):
    """How bad a finding is: an error must be corrected, a warning looked at, a hint may be known already."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found about one rule; `field` names what to look at, `sentence` says what and what to do."""

    severity: Severity
    rule_id: int
    rule: str
    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What so many messages have shown of an entity type: attribute → its type, where a value told it."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """One endpoint's entity type as far as it is known: attribute → its choices; None if its adapter cannot
    say. `observed`: what messages have shown beside that."""

    name: str
    attributes: Mapping[str, Sequence[tuple[str, str]]] | None = None
    observed: Observed = Observed()

    @property
    def known(self) -> dict[str, str]:
        """Folded name → the name as it is written."""
        return {name.casefold(): name for name in (*self.observed.attributes, *(self.attributes or {}))}


@dataclass(frozen=True, slots=True)
class Subject:
    """One rule to check, with what is known around it."""

    rule: RoutingRule
    source: Side
    target: Side | None = None
    owned: bool = True
    production: bool = False


Check: TypeAlias = Callable[[Subject, Sequence[Subject]], Iterator[Finding]]


def check(subjects: Sequence[Subject], only: int | None = None) -> list[Finding]:
    """What is found about these rules of one environment, errors first; of one rule only if it is named."""
    asked = [one for one in subjects if only is None or one.rule.rule_id == only]
    found = [finding for subject in asked for part in _CHECKS for finding in part(subject, subjects)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


def _owner(subject: Subject, _: Sequence[Subject]) -> Iterator[Finding]:
    if subject.production and not subject.owned:
        yield _error(subject, "owner", "Nobody owns this rule. Name who answers for it in Production.")


def _unknown_attributes(subject: Subject, _: Sequence[Subject]) -> Iterator[Finding]:
    rule = subject.rule
    read = {name for node in leaves(rule.conditions) if (name := attribute_of(node.located))}
    rows = (*rule.variables, *rule.outbound, *rule.conversation)
    read |= {name for row in rows for path in sources(row) if (name := attribute_of(locate(path)))}
    yield from _unknown(subject, subject.source, read, "source")
    if subject.target is not None:
        written = {target for row in rule.outbound for target in row.targets} - {"comment"}
        yield from _unknown(subject, subject.target, written, "target")


def _unknown(subject: Subject, side: Side, names: Iterable[str], field: str) -> Iterator[Finding]:
    known, seen = side.known, side.observed.messages
    if side.attributes is None and seen < ENOUGH:
        yield _hint(subject, field, f"{side.name} cannot say which attributes it has: they are not checked.")
        return
    for name in sorted(names):
        folded = name.casefold()
        if folded in known or folded.partition(".")[0] in known:
            continue
        near = get_close_matches(folded, known, 1, 0.8)
        if near:
            yield _warning(subject, field, f"{side.name} has no {name}. Is {_named(side, near[0])} meant?")
        elif field == "source" and seen >= ENOUGH:
            told = f"None of the {seen} messages of {side.name} that were looked at had {name}."
            yield _warning(subject, field, f"{told} Check the spelling.")
        else:
            yield _hint(subject, field, f"oneio does not know {name} of {side.name}. Check the spelling.")


def _named(side: Side, folded: str) -> str:
    """A known attribute, with its type where only messages have shown it."""
    name = side.known[folded]
    kind = side.observed.attributes.get(name) if name not in (side.attributes or {}) else ""
    return f"{name} ({kind})" if kind else name


def _unread_lookups(subject: Subject, _: Sequence[Subject]) -> Iterator[Finding]:
    read = {name.casefold() for name in names_read(subject.rule.reads)}
    for lookup in subject.rule.lookups:
        if lookup.name.casefold() not in read:
            yield _warning(
                subject,
                "lookups",
                f"Nothing reads lookups.{lookup.name}: messages wait for it in vain. Use it or remove it.",
            )


def _translation_gaps(subject: Subject, _: Sequence[Subject]) -> Iterator[Finding]:
    for row in subject.rule.outbound:
        if row.kind == "translate" and row.table is not None and not row.table.inputs:
            yield from _untranslated(subject, row)
        if row.kind == "constant":
            yield from _no_choice(subject, row, [row.constant])
        elif row.table is not None and not row.table.outputs:
            yield from _no_choice(subject, row, [target for _, target in row.table.rows])


def _untranslated(subject: Subject, row: MappingRow) -> Iterator[Finding]:
    table = row.table
    if table is None or table.unmapped == "pass":
        return
    choices = _choices(subject.source, row.source)
    missing = [label for code, label in choices if table.find(label) is None and table.find(code) is None]
    if missing:
        held = "hold their deliveries" if table.unmapped == "hold" else f"become {table.default}"
        yield _warning(
            subject,
            row.target,
            f"{table.name} has no row for {', '.join(missing)} of {row.source}: they {held}.",
        )


def _no_choice(subject: Subject, row: MappingRow, values: Iterable[str]) -> Iterator[Finding]:
    choices = _choices(subject.target, row.target)
    known = {text.casefold() for choice in choices for text in choice}
    wrong = sorted({value for value in values if value and value.strip().casefold() not in known})
    if choices and wrong and subject.target is not None:
        said = ", ".join(wrong)
        yield _warning(subject, row.target, f"{subject.target.name} has no choice {said} for {row.target}.")


def _choices(side: Side | None, name: str) -> Sequence[tuple[str, str]]:
    known = side.attributes if side is not None and side.attributes is not None else {}
    return next((choices for one, choices in known.items() if one.casefold() == name.casefold()), ())


def _contradictions(subject: Subject, _: Sequence[Subject]) -> Iterator[Finding]:
    asked: dict[str, Condition] = {}
    for condition in _all_needed(subject.rule.conditions):
        if condition.operator != "equals":
            continue
        other = asked.setdefault(str(condition.located), condition)
        if other.operand.isdisjoint(condition.operand):
            yield _warning(
                subject,
                "conditions",
                f"{condition.path} is asked to be {other.value} and {condition.value} at once. That holds"
                " only for a list with both, or for a choice and its code.",
            )
    needed = {_key(node) for node in _all_needed(subject.rule.conditions)}
    for path, operator, *values in needed:
        if (path, f"not_{operator}", *values) in needed:
            yield _error(
                subject,
                "conditions",
                f"{path} is asked for one thing and its opposite: the rule never matches.",
            )


def _shadowed(subject: Subject, subjects: Sequence[Subject]) -> Iterator[Finding]:
    rule, own = subject.rule, _keys(subject.rule)
    for other in (one.rule for one in subjects if one.rule.rule_id != rule.rule_id):
        if not _same_source(rule, other):
            continue
        if other.action == "drop" and rule.action != "drop" and _keys(other) <= own:
            yield _error(
                subject,
                "conditions",
                f"“{other.name}” drops every message that this rule takes: it never acts.",
            )
        elif rule.action == other.action == "route" and _doubles(rule, other) and _keys(other) == own:
            yield _warning(
                subject,
                "conditions",
                f"“{other.name}” sends the same messages to the same target: they go twice.",
            )


def _loops(subject: Subject, subjects: Sequence[Subject]) -> Iterator[Finding]:
    rule = subject.rule
    for back in (one.rule for one in subjects if _leads_back(rule, one.rule)):
        if _asks_for_change(rule) or _asks_for_change(back):
            continue
        there, home = _writes(rule), _writes(back)
        for name in sorted(there.keys() & home.keys()):
            if {there[name], home[name]} & GROWING:
                yield _warning(
                    subject,
                    name,
                    f"“{back.name}” writes {name} back, and one of the two changes the value on its way: they"
                    " may answer each other. Let one of them ask whether the attribute changed.",
                )


def _status_back(subject: Subject, subjects: Sequence[Subject]) -> Iterator[Finding]:
    rule = subject.rule
    if rule.action != "route" or Operation.CREATE not in rule.operations:
        return
    if not any("status" in _writes(one.rule) for one in subjects if _leads_back(rule, one.rule)):
        target = subject.target.name if subject.target else "the target"
        yield _hint(
            subject, "status", f"No rule brings the status back from {target} to {subject.source.name}."
        )


_CHECKS: tuple[Check, ...] = (
    _owner,
    _unknown_attributes,
    _unread_lookups,
    _translation_gaps,
    _contradictions,
    _shadowed,
    _loops,
    _status_back,
)


def _all_needed(nodes: Iterable[Node]) -> Iterator[Condition]:
    """The single conditions that must all hold."""
    for node in nodes:
        if isinstance(node, Condition):
            yield node
        elif node.kind == "all":
            yield from _all_needed(node.members)


def _key(condition: Condition) -> tuple[str, ...]:
    values = (condition.value, *condition.values)
    return (str(condition.located).casefold(), condition.operator, *(value.casefold() for value in values))


def _keys(rule: RoutingRule) -> frozenset[object]:
    """The rule's conditions, comparable whatever their case and order."""
    return frozenset(_node_key(node) for node in rule.conditions)


def _node_key(node: Node) -> object:
    if isinstance(node, Group):
        return (node.kind, frozenset(_node_key(member) for member in node.members))
    return _key(node)


def _same_source(one: RoutingRule, other: RoutingRule) -> bool:
    same_entity = one.source_entity.casefold() == other.source_entity.casefold()
    return one.source_endpoint_id == other.source_endpoint_id and same_entity


def _doubles(one: RoutingRule, other: RoutingRule) -> bool:
    same_target = one.target_endpoint_id == other.target_endpoint_id
    return same_target and not one.operations.isdisjoint(other.operations)


def _leads_back(rule: RoutingRule, back: RoutingRule) -> bool:
    there = back.source_endpoint_id == rule.target_endpoint_id is not None
    return there and back.target_endpoint_id == rule.source_endpoint_id


def _writes(rule: RoutingRule) -> dict[str, str]:
    """Attribute → kind of the last mapping that writes it."""
    return {target.casefold(): row.kind for row in rule.outbound for target in row.targets}


def _asks_for_change(rule: RoutingRule) -> bool:
    return any(leaf.compares.kind == "change" for leaf in leaves(rule.conditions))


def _error(subject: Subject, field: str, sentence: str) -> Finding:
    return Finding(Severity.ERROR, subject.rule.rule_id, subject.rule.name, field, sentence)


def _warning(subject: Subject, field: str, sentence: str) -> Finding:
    return Finding(Severity.WARNING, subject.rule.rule_id, subject.rule.name, field, sentence)


def _hint(subject: Subject, field: str, sentence: str) -> Finding:
    return Finding(Severity.HINT, subject.rule.rule_id, subject.rule.name, field, sentence)
