"""What a configuration document looks like: which keys stand for which fields of which rows.

A key whose value is the field's default is left out, so that a document says only what somebody chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models

from endpoints.models import Endpoint, EntityType
from routing.models import (
    AttachmentMapping,
    Condition,
    DelayCondition,
    Lookup,
    RoutingRule,
    RuleVersion,
    TranslationTable,
)
from routing.models import Mapping as MappingRow

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of one kind of row: key in the document → field of the model."""

    model: type[models.Model]
    fields: Mapping[str, str]

    def write(self, row: models.Model) -> dict[str, Any]:
        """The row's fields that differ from their defaults."""
        values = {key: _plain(getattr(row, name)) for key, name in self.fields.items()}
        return {key: value for key, value in values.items() if value != self.default(key)}

    def default(self, key: str) -> Any:
        """What a key means when it is left out."""
        field = self.model._meta.get_field(self.fields[key])
        assert isinstance(field, models.Field)
        return _plain(field.get_default())

    def field(self, key: str) -> models.Field[Any, Any]:
        """The field that a key stands for."""
        field = self.model._meta.get_field(self.fields[key])
        assert isinstance(field, models.Field)
        return field


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


ENDPOINT = Shape(
    Endpoint,
    {"name": "name", "type": "kind"}
    | _same("base_url", "timezone", "settings", "success_codes", "unrecoverable_codes", "unknown_policy")
    | _same("max_in_flight", "max_per_second", "inbound_per_second"),
)
ENTITY = Shape(EntityType, _same("kind", "remote_name", "resolving_value", "status", "settings"))
TABLE = Shape(TranslationTable, _same("unmapped", "default", "inputs", "outputs"))
RULE = Shape(RoutingRule, _same("name", "use_case", "enabled", "test_before_publish"))
VERSION = Shape(
    RuleVersion,
    _same("action", "operations", "priority", "message_type", "write_back", "supersede"),
)
CONDITION = Shape(Condition, {"attribute": "path"} | _same("operator", "value", "values"))
MAPPING = Shape(
    MappingRow,
    _same("target", "kind", "source", "template", "constant", "further_sources", "further_targets")
    | _same("separator", "formatters", "only_on", "missing", "default", "ownership"),
)
DELAY = Shape(
    DelayCondition, _same("kind", "seconds") | {"variable": "path"} | _same("operator", "value", "values")
)
LOOKUP = Shape(
    Lookup,
    _same("name", "record", "mode", "criteria", "attributes", "limit", "cache_seconds", "timeout_seconds"),
)
FILES = Shape(
    AttachmentMapping,
    _same("from_message", "from_conversation")
    | _same("allowed_extensions", "blocked_extensions", "without_extension")
    | _same("content_types", "max_bytes"),
)
CATEGORIES: Mapping[str, str] = {
    "variables": "variable",
    "outgoing": "outbound",
    "conversation": "conversation",
}
"""Where a mapping stands in a rule → its category."""


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
