"""What the two systems of a rule have: attributes with label, type, mandatory mark and choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from endpoints.adapters.base import FieldDescription, Unreadable, Unrenderable
from endpoints.canonical import ATTRIBUTES, AttributeType, EntityKind
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from endpoints.models import Endpoint, EntityType
from oneio.admin import display


def side(endpoint: Endpoint, entity: EntityType) -> dict[str, Any]:
    """One end of a rule as the page shows it."""
    loaded = EndpointConfigs().get(endpoint.pk)
    adapter = loaded.adapter
    return {
        "name": endpoint.name,
        "entity": entity.name,
        "mark": display.letters(adapter.label),
        "attributes": _attributes(loaded, entity),
    }


def _attributes(loaded: LoadedEndpoint, entity: EntityType) -> list[dict[str, Any]]:
    """What the system says it has; where it cannot say, what tickets of this kind usually have."""
    documented = {known.name: known for known in ATTRIBUTES[EntityKind(entity.kind)]}
    described = {loaded.adapter.attribute_name(one.name): one for one in _described(loaded, entity.name)}
    if not described:
        return [
            _attribute(one.name, one.name.replace("_", " ").capitalize(), one.type, one.meaning)
            for one in documented.values()
        ]
    return [
        _attribute(
            name,
            one.label,
            one.type,
            documented[name].meaning if name in documented else "",
            mandatory=one.mandatory,
            choices=[label for _, label in one.choices],
        )
        for name, one in described.items()
    ]


def _attribute(
    name: str,
    label: str,
    type_: AttributeType,
    meaning: str,
    *,
    mandatory: bool = False,
    choices: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": type_.value,
        "meaning": meaning,
        "mandatory": mandatory,
        "choices": list(choices),
    }


def _described(loaded: LoadedEndpoint, entity: str) -> list[FieldDescription]:
    configured = loaded.config.entity(entity)
    if configured is None:
        return []
    try:
        return list(loaded.adapter.describe(configured))
    except (Unreadable, Unrenderable):  # a faulty declaration; the endpoint's own page says so
        return []
