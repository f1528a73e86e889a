"""What the two systems of a rule have: attributes with label, type, mandatory mark and choices."""

from __future__ import annotations

from typing import Any

from endpoints.adapters.base import FieldDescription, Unreadable, Unrenderable
from endpoints.canonical import ATTRIBUTES, EntityKind
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
    meanings = {known.name: known for known in ATTRIBUTES[EntityKind(entity.kind)]}
    found: dict[str, dict[str, Any]] = {}
    for field in _described(loaded, entity.name):
        name = loaded.adapter.attribute_name(field.name)
        meaning = meanings[name].meaning if name in meanings else ""
        found[name] = {
            "name": name,
            "label": field.label,
            "type": field.type.value,
            "mandatory": field.mandatory,
            "choices": [label for _, label in field.choices],
            "meaning": meaning,
        }
    documented = (known for name, known in meanings.items() if name not in found and not found)
    return [
        *found.values(),
        *(
            {"name": one.name, "label": one.name.replace("_", " ").capitalize(), "type": one.type.value,
             "mandatory": False, "choices": [], "meaning": one.meaning}
            for one in documented
        ),
    ]  # fmt: skip


def _described(loaded: LoadedEndpoint, entity: str) -> list[FieldDescription]:
    configured = loaded.config.entity(entity)
    if configured is None:
        return []
    try:
        return list(loaded.adapter.describe(configured))
    except (Unreadable, Unrenderable):  # a faulty declaration; the endpoint's own page says so
        return []
