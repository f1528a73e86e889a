"""Writes an environment's configuration as a document; secrets and passwords never go into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from endpoints.models import Endpoint, EntityType
from oneio import plain_yaml
from oneio.models import Environment
from routing.models import (
    AttachmentMapping,
    Condition,
    Lookup,
    Mapping,
    RoutingRule,
    RuleVersion,
    TranslationTable,
)
from routing.portable import shape


def environment_document(environment: Environment) -> dict[str, Any]:
    """Endpoints, translation tables and rules of an environment, each by its slug or name."""
    endpoints = Endpoint.objects.filter(environment=environment).prefetch_related("entity_types")
    tables = TranslationTable.objects.filter(environment=environment).prefetch_related("rows")
    rules = RoutingRule.objects.filter(environment=environment).select_related("owner", "current_version")
    return {
        "oneio": shape.FORMAT,
        "endpoints": {one.slug: endpoint_document(one) for one in endpoints},
        "tables": {table.name: table_document(table) for table in tables},
        "rules": {rule.slug: rule_document(rule, version) for rule, version in _with_versions(rules)},
    }


def single_rule_document(rule: RoutingRule, version: RuleVersion) -> dict[str, Any]:
    """One version of a rule with the translation tables it uses; endpoints are named only."""
    used = {row.table_id for row in version.mappings.all() if row.table_id}
    tables = TranslationTable.objects.filter(pk__in=used).prefetch_related("rows")
    return {
        "oneio": shape.FORMAT,
        "tables": {table.name: table_document(table) for table in tables},
        "rules": {rule.slug: rule_document(rule, version)},
    }


def text(document: dict[str, Any]) -> str:
    """The document as YAML."""
    return plain_yaml.dump(document)


def endpoint_document(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint without its secrets."""
    entities = {entity.name: shape.ENTITY.write(entity) for entity in endpoint.entity_types.all()}
    return {**shape.ENDPOINT.write(endpoint), "entity_types": entities}


def table_document(table: TranslationTable) -> dict[str, Any]:
    """A translation table with its rows: pairs, or what goes in and what comes out."""
    if table.inputs:
        rows: list[Any] = [{"from": row.sources, "to": row.targets} for row in table.rows.all()]
    else:
        rows = [[row.source, row.target] for row in table.rows.all()]
    return {**shape.TABLE.write(table), "rows": rows}


def rule_document(rule: RoutingRule, version: RuleVersion) -> dict[str, Any]:
    """A rule as one of its versions has it."""
    owner = {"owner": rule.owner.get_username()} if rule.owner else {}
    path = {"from": _entity(version.source_endpoint, version.source_entity)}
    if version.target_endpoint and version.target_entity:
        path["to"] = _entity(version.target_endpoint, version.target_entity)
    return {
        **shape.RULE.write(rule),
        **owner,
        **path,
        **shape.VERSION.write(version),
        **version_document(version),
    }


def version_document(version: RuleVersion) -> dict[str, Any]:
    """The rows of a version: what is empty is left out."""
    conditions = list(version.conditions.all())
    parts: dict[str, Any] = {"when": _conditions(conditions, None, None)}
    mappings = list(version.mappings.select_related("table", "counter"))
    for key, category in shape.CATEGORIES.items():
        rows = [row for row in mappings if row.category == category]
        parts[key] = [_mapping(row, conditions) for row in rows]
    parts["delays"] = [shape.DELAY.write(row) for row in version.delays.all()]
    lookups = version.lookups.select_related("endpoint", "entity_type")
    parts["lookups"] = [_lookup(row) for row in lookups]
    files = AttachmentMapping.objects.filter(version=version).first()
    if files is not None:
        parts["attachments"] = shape.FILES.write(files)
    return {key: part for key, part in parts.items() if part or key == "attachments"}


def _with_versions(rules: Iterable[RoutingRule]) -> list[tuple[RoutingRule, RuleVersion]]:
    """Each rule with the version that counts, or its draft where none was published yet."""
    found = []
    for rule in rules:
        version = rule.current_version or rule.versions.order_by("-number").first()
        if version is not None:
            found.append((rule, version))
    return found


def _entity(endpoint: Endpoint, entity: EntityType) -> str:
    return f"{endpoint.slug}/{entity.name}"


def _conditions(rows: list[Condition], mapping_id: int | None, parent_id: int | None) -> list[dict[str, Any]]:
    return [
        {row.group: _conditions(rows, mapping_id, row.pk)} if row.group else shape.CONDITION.write(row)
        for row in rows
        if (row.mapping_id, row.parent_id) == (mapping_id, parent_id)
    ]


def _mapping(row: Mapping, conditions: list[Condition]) -> dict[str, Any]:
    written = shape.MAPPING.write(row)
    if row.table:
        written["table"] = row.table.name
    if row.counter:
        written["counter"] = row.counter.name
    if own := _conditions(conditions, row.pk, None):
        written["when"] = own
    return written


def _lookup(row: Lookup) -> dict[str, Any]:
    asked = _entity(row.endpoint, row.entity_type) if row.entity_type else row.endpoint.slug
    return {"from": asked, **shape.LOOKUP.write(row)}
