"""Commands to Table API requests.

Requests are written with `sysparm_input_display_value=true`, because attributes hold what people see. The
price: ServiceNow reads times in the zone of the integration user, so they are written in the endpoint's
timezone, which must be that user's; and in ServiceNow's own format, which that user must not have changed.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from endpoints.adapters.base import (
    Action,
    Command,
    EndpointConfig,
    EntityConfig,
    Plan,
    Reference,
    Step,
    Unrenderable,
)
from endpoints.adapters.servicenow.fields import JOURNALS, attribute_of, column_of, has_journal
from endpoints.adapters.servicenow.reading import MARK, TIME_FORMAT
from endpoints.adapters.values import json_number, text_of
from endpoints.canonical import Comment, EntityKind, Value, Visibility

TABLE_API = "/api/now/table"
READ_QUERY = {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}
WRITE_QUERY = {**READ_QUERY, "sysparm_input_display_value": "true"}


def mark_of(effect_key: str) -> str:
    """What correlation_display holds on a record that we made."""
    return f"{MARK}{effect_key}"


def journal_column(comment: Comment) -> str:
    """The journal that a comment goes to: the one that customers read only if it is public."""
    return "comments" if comment.visibility is Visibility.PUBLIC else "work_notes"


def render(endpoint: EndpointConfig, command: Command) -> Plan:
    """Translate one command. Raises Unrenderable."""
    body = _body(endpoint, command)
    table = f"{TABLE_API}/{command.entity.remote_name}"
    if command.action is Action.CREATE:
        step = Step("create", "POST", table, WRITE_QUERY, body=body)
        return Plan(command, (step,), repeatable=False)
    path = f"{table}/{quote(target_of(command).external_id, safe='')}"
    step = Step(command.action.value, "PATCH", path, WRITE_QUERY, body=body)
    return Plan(command, (step,) if body else (), repeatable=not JOURNALS & body.keys())


def target_of(command: Command) -> Reference:
    """The record to be changed. Raises Unrenderable when there is none."""
    if command.target is None or not command.target.external_id:
        raise Unrenderable(
            "It is not known which ServiceNow record this belongs to. "
            "Deliver the create first, or skip this one."
        )
    return command.target


def _body(endpoint: EndpointConfig, command: Command) -> dict[str, Any]:
    if command.action is Action.WRITE_BACK:
        return _reference(command.entity, command.partner)
    kind = command.entity.kind
    body = {
        column_of(kind, name): _written(endpoint, name, value) for name, value in command.attributes.items()
    }
    _refuse_system_columns(kind, body)
    if command.comment:
        body |= _journal(kind, command.comment)
    if command.action is Action.CREATE and has_journal(kind):
        body = {**_correlation(command.partner), **body, "correlation_display": mark_of(command.effect_key)}
    return body


def _correlation(partner: Reference | None) -> dict[str, Any]:
    return {"correlation_id": partner.number or partner.external_id} if partner else {}


def _reference(entity: EntityConfig, partner: Reference | None) -> dict[str, Any]:
    if partner is None:
        raise Unrenderable("There is no partner ticket whose number could be written to ServiceNow.")
    if entity.kind is EntityKind.EVENT:
        raise Unrenderable(
            "ServiceNow events have no correlation ID. Switch the write-back off for this entity type."
        )
    return _correlation(partner)


def _journal(kind: EntityKind, comment: Comment) -> dict[str, Any]:
    if not has_journal(kind):
        raise Unrenderable(
            "ServiceNow has no comments on this kind of record. Leave comments out of the rule for it."
        )
    return {journal_column(comment): comment.text}


def _refuse_system_columns(kind: EntityKind, body: dict[str, Any]) -> None:
    # Journal columns may be mapped on purpose; what ServiceNow sets itself would be ignored silently.
    for column in body.keys() - JOURNALS:
        if attribute_of(kind, column) is None and column.startswith(("sys_", "correlation_display")):
            raise Unrenderable(
                f"ServiceNow sets “{column}” itself. "
                "Remove it from the mapping or choose another target field."
            )


def _written(endpoint: EndpointConfig, name: str, value: Value) -> str | int | float:
    if isinstance(value, datetime):
        return value.astimezone(endpoint.timezone).strftime(TIME_FORMAT)
    if isinstance(value, Decimal):
        return json_number(value)
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ",".join(text_of(item) for item in value)
    if isinstance(value, dict | list):
        raise Unrenderable(
            f"“{name}” is a structure, and a ServiceNow column takes one value. Map one of its parts."
        )
    return text_of(value)
