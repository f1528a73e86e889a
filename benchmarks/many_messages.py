"""Fills the message tables by SQL: a busy year in seconds, for pages that must stay fast over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction

from conversations.models import (
    Conversation,
    Delivery,
    DeliveryContent,
    Lane,
    Message,
    MessageBody,
    Participant,
)
from endpoints.models import Endpoint
from oneio.fields import EncryptedField
from routing.models import RoutingRule

SECONDS_APART = 20
SEALED = "'\\x00'::bytea"
"""Stands for an encrypted value that nobody opens."""
# Of a thousand messages: most are routed, some match no rule, some are echoes, one cannot be read.
STATE = (
    "CASE WHEN i % 1000 = 7 THEN 'faulty' WHEN i % 20 = 3 THEN 'unmatched' WHEN i % 20 = 4 THEN 'echo' "
    "ELSE 'routed' END"
)
ROUTED = "i % 1000 <> 7 AND i % 20 NOT IN (3, 4)"
# Deliveries: nearly all have arrived; a few wait, are held or were called off.
DELIVERY_STATE = (
    "CASE WHEN i % 500 = 11 THEN 'held' WHEN i % 5000 = 12 THEN 'cancelled' "
    "WHEN i > {number} - 40 THEN 'queued' ELSE 'delivered' END"
)


@dataclass(frozen=True, slots=True)
class Way:
    """A rule and the endpoints that it connects; every `of`-th message from `first` on takes it."""

    rule: RoutingRule
    source: Endpoint
    target: Endpoint


@transaction.atomic
def fill(ways: list[Way], number: int) -> None:
    """Make `number` messages, the ways taking turns; the last way gets one of a thousand only."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no look at every foreign key
    base = (Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
    way = f"CASE WHEN i % 1000 = 500 THEN {len(ways) - 1} ELSE i % {max(len(ways) - 1, 1)} END"
    tenant = {
        "environment": str(ways[0].rule.environment_id),
        "organization": str(ways[0].rule.organization_id),
    }
    source, target = _of_each(way, ways, "source"), _of_each(way, ways, "target")
    rule = "(ARRAY[" + ",".join(str(one.rule.pk) for one in ways) + f"])[1 + ({way})]"
    moment = f"now() - ({number} - i) * interval '{SECONDS_APART} seconds'"
    _insert(MessageBody, number, {"id": _uuid7(moment), "organization": tenant["organization"]})
    _insert(Conversation, number, {"id": _uuid("conversation"), **tenant}, ROUTED)
    _insert(
        Message,
        number,
        {
            "id": f"{base} + i",
            "body": _uuid7(moment),
            "endpoint": source[0],
            "conversation": f"CASE WHEN {ROUTED} THEN {_uuid('conversation')} END",
            "state": STATE,
            "entity_type": "'incident'",
            "operation": "'update'",
            "external_id": "md5('source' || i)",
            "number": "'INC' || lpad(i::text, 7, '0')",
            "received_at": moment,
            **tenant,
        },
    )
    for kind, (endpoint, entity) in {"source": source, "target": target}.items():
        ticket = {"number": f"'{kind[:2].upper()}-' || i", "external_id": f"md5('{kind}' || i)"}
        place = {"conversation": _uuid("conversation"), "endpoint": endpoint, "entity_type": entity}
        _insert(Participant, number, {"id": _uuid(kind), **place, **ticket, **tenant}, ROUTED)
    place = {"conversation": _uuid("conversation"), "endpoint": target[0]}
    _insert(Lane, number, {"id": f"{base} + i", **place, **tenant}, ROUTED)
    _insert(DeliveryContent, number, {"id": _uuid("content"), "organization": tenant["organization"]}, ROUTED)
    state = DELIVERY_STATE.format(number=number)
    delivery = {
        "id": f"{base} + i",
        "message": f"{base} + i",
        "rule": rule,
        "entity_type": target[1],
        "lane": f"{base} + i",
        "content": _uuid("content"),
        "effect_key": "md5('effect' || i)",
        "state": state,
        "hold_reason": f"CASE WHEN {state} = 'held' THEN 'refused' ELSE '' END",
        "state_since": moment,
    }
    _insert(Delivery, number, {**delivery, **place, **tenant}, ROUTED)


def analyze() -> None:
    """Give the planner its statistics, as autovacuum does in a running installation."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _of_each(way: str, ways: list[Way], end: str) -> tuple[str, str]:
    """SQL for the endpoint at one end of each way, and for its entity type."""
    endpoints = [getattr(one, end) for one in ways]
    entities = [endpoint.entity_types.order_by("pk").first() for endpoint in endpoints]
    return tuple(  # type: ignore[return-value]
        "(ARRAY[" + ",".join(str(row.pk) for row in rows) + f"])[1 + ({way})]"
        for rows in (endpoints, entities)
    )


def _uuid(word: str) -> str:
    return f"md5('{word}' || i)::uuid"


def _uuid7(moment: str) -> str:
    milliseconds = f"lpad(to_hex((extract(epoch from {moment}) * 1000)::bigint), 12, '0')"
    return (
        f"({milliseconds} || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid"
    )


def _insert(model: type[models.Model], number: int, given: Mapping[str, str], where: str = "true") -> None:
    """One row for each i from 1 to `number`; fields that are not given get their default."""
    values = {**_defaults(model), **{model._meta.get_field(name).column: sql for name, sql in given.items()}}  # type: ignore[union-attr]
    columns = ", ".join(f'"{column}"' for column in values)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{model._meta.db_table}" ({columns}) '
            f"SELECT {', '.join(values.values())} FROM generate_series(1, {number}) AS i WHERE {where}"
        )


def _defaults(model: type[models.Model]) -> dict[str, str]:
    """SQL for what a field has when nobody sets it; fields with a default of the database are left out."""
    found: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, EncryptedField):
            if not field.null:
                found[field.column] = SEALED
        elif not (field.primary_key or field.null or field.is_relation or field.has_db_default()):
            found[field.column] = _literal(field.get_default())
    return found


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value or 0 if value is not False else "false")
