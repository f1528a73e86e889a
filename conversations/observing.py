"""Looks which attributes messages of an entity type have, when somebody asks; keeps names and types only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from conversations.models import Message, MessageBody, ObservedEntity
from endpoints.canonical import Value, decode_attributes
from endpoints.models import EntityType
from routing.checks import Observed

SCANNED = 500
"""Messages of the endpoint, the latest that were not looked at yet, among which its own are sought."""
OPENED = 50
"""Messages that are opened at once: a few milliseconds."""
NAMES = 500
_PLAIN = re.compile(r"[\w .:/-]{1,100}")
"""A name that somebody gave to a field; anything else may be a value that stands where names do."""


def observe(entity: EntityType) -> Observed:
    """What the messages about this entity type have shown, the latest included."""
    row = ObservedEntity.objects.filter(entity_type=entity).first() or ObservedEntity(
        organization_id=entity.organization_id,
        environment_id=entity.environment_id,
        endpoint_id=entity.endpoint_id,
        entity_type=entity,
    )
    latest = Message.objects.filter(endpoint=entity.endpoint_id, pk__gt=row.upto).order_by("-pk")
    rows = list(latest.values_list("pk", "entity_type", "body_id")[:SCANNED])
    if rows:
        own = [body for _, name, body in rows if name.casefold() == entity.name.casefold()]
        _take_in(row, own[:OPENED], upto=rows[0][0])
    return Observed(row.attributes, row.looked_at)


def _take_in(row: ObservedEntity, bodies: list[Any], upto: int) -> None:
    found = dict(row.attributes)
    for name, kind in _attributes(bodies):
        if name in found or len(found) < NAMES:
            found[name] = found.get(name) or kind
    fields = {"attributes": found, "upto": upto, "looked_at": row.looked_at + len(bodies)}
    for name, value in fields.items():
        setattr(row, name, value)
    # Who looks at the same time found the same.
    ObservedEntity.objects.update_or_create(
        entity_type=row.entity_type,
        defaults=fields,
        create_defaults=fields
        | {
            "organization_id": row.organization_id,
            "environment_id": row.environment_id,
            "endpoint_id": row.endpoint_id,
        },
    )


def _attributes(bodies: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for body in MessageBody.objects.filter(pk__in=bodies, canonical__isnull=False).only(
        "organization_id", "canonical"
    ):
        for name, value in decode_attributes((body.canonical or {}).get("attributes", {})).items():
            if _PLAIN.fullmatch(name):
                yield name, _type_of(value)


def _type_of(value: Value) -> str:
    """The type in a word; empty where there is no value to tell it by."""
    match value:
        case None | "":
            return ""
        case bool():
            return "yes or no"
        case datetime():
            return "time"
        case list() | tuple():
            return "list"
        case str():
            return "text"
    return "number"
