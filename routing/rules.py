"""Loads published rules from the database as compiled rule sets, once per change."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeAlias, cast

from django.db.models import QuerySet

from endpoints.canonical import Operation
from oneio.statements import one
from routing import compiled, formatters
from routing.delays import Delay, DelayKind
from routing.files import FileFilter, extensions
from routing.lookups import Lookup
from routing.models import (
    AttachmentMapping,
    Condition,
    DelayCondition,
    LookupMode,
    Mapping,
    MappingCategory,
    RuleVersion,
    TranslationTable,
)
from routing.models import Lookup as LookupRow
from routing.ownership import Owner
from routing.translation import TableRow

log = logging.getLogger(__name__)
_OF_MAPPINGS = ("mappings__table__rows", "mappings__counter")
Versions: TypeAlias = "QuerySet[RuleVersion]"


def load(version: RuleVersion) -> compiled.RoutingRule:
    """Compile one version with all its rows. Raises compiled.RuleError where it cannot work."""
    mappings = list(version.mappings.all())
    conditions = condition_trees(version.conditions.all())
    return compiled.RoutingRule(
        rule_id=version.rule_id,
        version_id=version.pk,
        number=version.number,
        name=version.rule.name,
        priority=version.priority,
        source_endpoint_id=version.source_endpoint_id,
        source_entity=version.source_entity.name,
        target_endpoint_id=version.target_endpoint_id,
        target_entity=version.target_entity.name if version.target_entity else "",
        message_type=version.message_type,
        operations=frozenset(Operation(name) for name in version.operations),
        action=cast(compiled.Action, version.action),
        write_back=version.write_back,
        supersede=version.supersede,
        files=_files(version),
        conditions=conditions.get(None, ()),
        variables=_rows(mappings, MappingCategory.VARIABLE, conditions),
        outbound=_rows(mappings, MappingCategory.OUTBOUND, conditions),
        conversation=_rows(mappings, MappingCategory.CONVERSATION, conditions),
        delays=tuple(delay(row) for row in version.delays.all()),
        lookups=tuple(lookup(row) for row in version.lookups.all()),
    )


def _files(version: RuleVersion) -> FileFilter | None:
    try:
        row = version.attachment_mapping
    except AttachmentMapping.DoesNotExist:
        return None
    return FileFilter(
        from_message=row.from_message,
        from_conversation=row.from_conversation,
        allowed_extensions=extensions(row.allowed_extensions),
        blocked_extensions=extensions(row.blocked_extensions),
        without_extension=row.without_extension,
        content_types=tuple(one.strip().lower() for one in row.content_types),
        max_bytes=row.max_bytes,
    )


def version_of(version_id: int) -> compiled.RoutingRule | None:
    """One version, be it current or not; None if it cannot be run any more."""
    rows = RuleVersion.objects.select_related("rule", "source_entity", "target_entity")
    try:
        return load(rows.get(pk=version_id))
    except compiled.RuleError:
        return None


@dataclass(frozen=True)
class Rules:
    """An environment's current rules: those that route, and all by id, disabled ones included, because
    what was routed before a rule was disabled must still be deliverable. `revision` is the environment's."""

    routing: compiled.RuleSet
    by_id: dict[int, compiled.RoutingRule]
    revision: int = 0

    @cached_property
    def carry_earlier_files(self) -> bool:
        """Whether any rule carries files that came to the conversation before."""
        return any(rule.files is not None and rule.files.from_conversation for rule in self.by_id.values())


class RuleBook:
    """One process's compiled rules, by environment, loaded again when the environment's revision rose."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Rules]] = {}

    def of(self, environment_id: int, revision: int | None = None) -> Rules:
        """The rules in force. Where nothing has changed it costs one small query, and none for a caller who
        has just asked for the environment's `revision`."""
        if revision is None:
            revision = _revision(environment_id)
        known = self._known.get(environment_id)
        if known is None or known[0] != revision:
            known = (revision, _current(environment_id, revision))
            self._known[environment_id] = known
        return known[1]


def _revision(environment_id: int) -> int:
    row = one("SELECT number FROM routing_revision WHERE environment_id = %s", [environment_id])
    return row[0] if row else 0


def with_rows(versions: Versions) -> Versions:
    """The versions with all that compiling them reads."""
    loaded = versions.select_related("rule", "source_entity", "target_entity", "attachment_mapping")
    return loaded.prefetch_related("conditions", "delays", "lookups__entity_type", *_OF_MAPPINGS)


def _current(environment_id: int, revision: int) -> Rules:
    versions = with_rows(RuleVersion.objects.filter(environment_id=environment_id, current_of__isnull=False))
    by_id = {}
    for version in versions:
        try:
            by_id[version.rule_id] = load(version)
        except compiled.RuleError as error:
            log.error("Rule %s cannot be run (%s); the others go on.", version.rule_id, error.field)
    enabled = {version.rule_id for version in versions if version.rule.enabled}
    routing = compiled.RuleSet(rule for rule_id, rule in by_id.items() if rule_id in enabled)
    return Rules(routing, by_id, revision)


def condition_trees(rows: Iterable[Condition]) -> dict[int | None, tuple[compiled.Node, ...]]:
    """Conditions nested as their rows are: of a mapping under its id, of the rule itself under None.

    Raises compiled.RuleError for one that cannot be decided, and for rows that are each other's parents.
    """
    below: defaultdict[int | None, list[Condition]] = defaultdict(list)
    for row in rows:
        below[row.parent_id].append(row)
    trees: defaultdict[int | None, tuple[compiled.Node, ...]] = defaultdict(tuple)
    for row in below.pop(None, ()):
        trees[row.mapping_id] += (_node(row, below),)
    if below:
        raise compiled.RuleError("conditions", "A group of conditions stands in itself. Remove it.")
    return dict(trees)


def _node(row: Condition, below: dict[int | None, list[Condition]], depth: int = 0) -> compiled.Node:
    """The row with what stands below it, which is taken out of `below`."""
    children = below.pop(row.pk, [])
    if depth > compiled.MAX_DEPTH:
        raise compiled.RuleError("group", f"Groups stand too deep. Use {compiled.MAX_DEPTH} levels at most.")
    if row.group:
        members = tuple(_node(child, below, depth + 1) for child in children)
        return compiled.Group(cast(compiled.GroupKind, row.group), members)
    if children:
        raise compiled.RuleError("conditions", "A condition stands below one that is no group. Move it.")
    return compiled.Condition(path=row.path, operator=row.operator, value=row.value, values=tuple(row.values))


def delay(row: DelayCondition) -> Delay:
    """Compile one delay, saved or not; a variable is named alone or as `conversation.name`. Raises
    compiled.RuleError."""
    path = row.path if row.path.startswith("conversation.") else f"conversation.{row.path}"
    condition = compiled.Condition(path, row.operator, row.value, tuple(row.values)) if row.path else None
    return Delay(cast(DelayKind, row.kind), row.seconds, condition)


def lookup(row: LookupRow) -> Lookup:
    """Compile one lookup, saved or not. Raises compiled.RuleError on the field to correct."""
    return Lookup(
        name=row.name,
        endpoint_id=row.endpoint_id,
        entity=row.entity_type.name if row.entity_type else "",
        record=row.record,
        many=row.mode == LookupMode.LIST,
        criteria=_criteria(row.criteria),
        attributes=_names(row.attributes),
        limit=row.limit,
        cache=timedelta(seconds=row.cache_seconds),
        timeout=timedelta(seconds=row.timeout_seconds),
    )


def _criteria(written: Any) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((str(one["attribute"]), str(one["template"])) for one in written)
    except (KeyError, TypeError):
        raise compiled.RuleError(
            "criteria", 'Write a list such as [{"attribute": "email", "template": "{{ reporter }}"}].'
        ) from None


def _names(written: Any) -> tuple[str, ...]:
    if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
        raise compiled.RuleError("attributes", 'Write a list of names such as ["name", "vip"].')
    return tuple(written)


def _rows(
    mappings: list[Mapping],
    category: MappingCategory,
    conditions: dict[int | None, tuple[compiled.Node, ...]],
) -> tuple[compiled.MappingRow, ...]:
    return tuple(
        mapping_row(row, conditions=conditions.get(row.pk, ()))
        for row in mappings
        if row.category == category
    )


def mapping_row(row: Mapping, conditions: tuple[compiled.Node, ...] = ()) -> compiled.MappingRow:
    """Compile one mapping, saved or not. Raises compiled.RuleError on the field to correct."""
    return compiled.MappingRow(
        id=row.pk or 0,
        position=row.position,
        kind=cast(compiled.MappingKind, row.kind),
        source=row.source,
        further_sources=tuple(row.further_sources),
        template=row.template,
        constant=row.constant,
        table=table(row.table) if row.table else None,
        counter=row.counter.name if row.counter else "",
        separator=row.separator,
        target=row.target,
        further_targets=tuple(row.further_targets),
        formatters=formatters.compile_chain(row.formatters),
        conditions=conditions,
        only_on=cast(compiled.OnlyOn, row.only_on),
        missing=cast(compiled.MissingPolicy, row.missing),
        default=row.default,
        owner=cast(Owner, row.ownership),
    )


def table(stored: TranslationTable) -> compiled.TranslationTable:
    """Compile a translation table. Raises compiled.RuleError where its rows do not fit its columns."""
    rows = list(stored.rows.all())
    wide = tuple(TableRow(tuple(row.sources), tuple(row.targets)) for row in rows) if stored.inputs else ()
    return compiled.TranslationTable(
        name=stored.name,
        rows=() if stored.inputs else tuple((row.source, row.target) for row in rows),
        unmapped=cast(compiled.Unmapped, stored.unmapped),
        default=stored.default,
        inputs=tuple(stored.inputs),
        outputs=tuple(stored.outputs),
        wide=wide,
    )
