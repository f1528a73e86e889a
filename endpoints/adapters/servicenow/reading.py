"""ServiceNow records to canonical messages: business rule payloads, flat records and Table API answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from endpoints.adapters.base import EndpointConfig, EntityConfig, Received, Unreadable
from endpoints.adapters.servicenow.fields import COLUMNS, attribute_of
from endpoints.adapters.values import canonical_value, text_of
from endpoints.canonical import (
    Actor,
    Attachment,
    AttributeType,
    CanonicalMessage,
    Comment,
    EntityKind,
    Operation,
    Value,
    Visibility,
)

MARK = "oneio:"
"""What stands before our effect key in correlation_display."""
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_ENVELOPE = frozenset(
    {"entity_type", "table", "operation", "instance", "changes", "attachments", "comments", "record"}
)
_OPERATIONS = {
    "insert": Operation.CREATE,
    "create": Operation.CREATE,
    "update": Operation.UPDATE,
    "comment": Operation.COMMENT,
    "attach": Operation.ATTACH,
    "delete": Operation.DELETE,
}
_VISIBILITY = {"comments": Visibility.PUBLIC, "work_notes": Visibility.INTERNAL}


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a record: what the table holds and what people see. `paired`: the sender gave both."""

    value: str
    display: str
    paired: bool


def cell_of(raw: Any) -> Cell:
    """A column in any of the forms the Table API and business rules use."""
    if isinstance(raw, Mapping) and ("value" in raw or "display_value" in raw):
        shown = raw.get("display_value")
        value = text_of(raw.get("value", shown))
        return Cell(value, text_of(shown) or value, shown is not None)
    value = text_of(raw) if not isinstance(raw, Mapping | list) else ""
    return Cell(value, value, False)


def parse_time(text: str) -> datetime | None:
    """A time as the table holds it, which is always UTC; None when it is none."""
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Payload:
    """A received message with its record found."""

    envelope: Mapping[str, Any]
    record: Mapping[str, Any]
    parameters: Mapping[str, str]

    def value(self, name: str) -> str:
        """A column's value, from the envelope if it stands there, else from the record."""
        return cell_of(self.envelope.get(name)).value or cell_of(self.record.get(name)).value

    def entries(self, name: str) -> list[Mapping[str, Any]]:
        """A list of objects in the envelope; empty when there is none."""
        found = self.envelope.get(name)
        return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def unwrap(received: Received) -> Payload:
    """Find the record in the message. Raises Unreadable."""
    body: Any = received.body.get("result", received.body)
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, Mapping):
        raise Unreadable("“result” holds no single record. Send one record per message.")
    record = body.get("record", body)
    if not isinstance(record, Mapping):
        raise Unreadable("“record” is not an object of columns. Compare the business rule with our example.")
    return Payload(body, record, received.parameters)


def read(endpoint: EndpointConfig, received: Received) -> CanonicalMessage:
    """Translate one message. Raises Unreadable."""
    payload = unwrap(received)
    entity = _entity(endpoint, payload)
    sys_id = payload.value("sys_id")
    if not sys_id:
        raise Unreadable("The message has no sys_id. Let the business rule send the record's sys_id.")
    updated = payload.value("sys_updated_on")
    comments = tuple(_comments(payload))
    attributes, codes = attributes_of(entity.kind, payload.record)
    return CanonicalMessage(
        entity_type=entity.name,
        kind=entity.kind,
        operation=_operation(payload, comments),
        external_id=sys_id,
        number=payload.value("number"),
        link=link_to(endpoint, entity, sys_id),
        actor=Actor(id=payload.value("sys_updated_by"), name=payload.value("sys_updated_by")),
        occurred_at=parse_time(updated) or received.received_at,
        attributes=attributes,
        codes=codes,
        comments=comments,
        attachments=tuple(_attachment(item) for item in payload.entries("attachments")),
        native=received.body,
        parameters=received.parameters,
        effect_key=effect_key_of(payload.value("correlation_display")),
        event_id=_event_id(payload, entity, sys_id, updated),
    )


def link_to(endpoint: EndpointConfig, entity: EntityConfig, sys_id: str) -> str:
    """Where a person opens the record."""
    return f"{endpoint.base_url.rstrip('/')}/nav_to.do?uri={entity.remote_name}.do?sys_id={sys_id}"


def effect_key_of(correlation_display: str) -> str:
    """Our key in correlation_display; empty when somebody else wrote it."""
    return correlation_display.removeprefix(MARK) if correlation_display.startswith(MARK) else ""


def attributes_of(kind: EntityKind, record: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
    """A record's columns as attributes, and the codes behind those whose display value differs."""
    attributes: dict[str, Value] = {}
    codes: dict[str, str] = {}
    for column, raw in record.items():
        name = None if column in _ENVELOPE else attribute_of(kind, column)
        if name is None:
            continue
        cell = cell_of(raw)
        attributes[name] = _attribute(kind, column, raw, cell)
        if cell.paired and cell.value != cell.display and not isinstance(attributes[name], datetime):
            codes[name] = cell.value
    return attributes, codes


def _attribute(kind: EntityKind, column: str, raw: Any, cell: Cell) -> Value:
    known = COLUMNS[kind].get(column)
    if known is None:
        return _unknown(raw, cell)
    if known.type is AttributeType.DATETIME:
        return (parse_time(cell.value) or cell.display) if cell.value else None
    if known.type is AttributeType.BOOLEAN and cell.value in ("true", "false"):
        return cell.value == "true"
    if known.type is AttributeType.NUMBER:
        return _number(cell.value)
    return cell.display


def _unknown(raw: Any, cell: Cell) -> Value:
    """A column that is not in our tables; times are known by their look when both forms were sent."""
    if cell.paired and parse_time(cell.display):
        return parse_time(cell.value) or cell.display
    if (
        not cell.value
        and isinstance(raw, Mapping | list)
        and "value" not in raw
        and "display_value" not in raw
    ):
        return canonical_value(raw)
    return cell.display


def _number(text: str) -> Value:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text or None
    return int(number) if number == number.to_integral_value() else number


def sample(endpoint: EndpointConfig) -> dict[str, str]:
    """The least that `read` understands."""
    return {
        "entity_type": endpoint.first_selector or "incident",
        "operation": "insert",
        "sys_id": f"{1:032x}",
    }


def _entity(endpoint: EndpointConfig, payload: Payload) -> EntityConfig:
    envelope, record = payload.envelope, payload.record
    named = [
        cell_of(envelope.get("entity_type")).value,
        cell_of(envelope.get("table")).value,
        payload.parameters.get("entity_type", ""),
        cell_of(record.get("sys_class_name")).value,
    ]
    selector = next((name for name in named if name), "")
    if not selector:
        raise Unreadable(
            "The message does not say which table it is from. Send entity_type (such as incident) with it."
        )
    if entity := endpoint.entity_selected_by(selector):
        return entity
    raise Unreadable(
        f"This endpoint has no active entity type for “{selector}”. Add one with that resolving value, "
        "or stop the business rule from sending this table."
    )


def _operation(payload: Payload, comments: tuple[Comment, ...]) -> Operation:
    named = cell_of(payload.envelope.get("operation")).value or payload.parameters.get("operation", "")
    if not named:
        return Operation.CREATE if payload.value("sys_mod_count") == "0" else Operation.UPDATE
    operation = _OPERATIONS.get(named.casefold())
    if operation is None:
        raise Unreadable(f"The operation “{named}” is not known. Send insert, update or delete.")
    if operation is not Operation.UPDATE or payload.envelope.get("changes"):
        return operation
    if comments:
        return Operation.COMMENT
    return Operation.ATTACH if payload.entries("attachments") else operation


def _comments(payload: Payload) -> Iterator[Comment]:
    for entry in payload.entries("comments"):
        text = cell_of(entry.get("value")).value
        if text:
            author = cell_of(entry.get("sys_created_by")).value
            yield Comment(
                id=cell_of(entry.get("sys_id")).value,
                text=text,
                visibility=_VISIBILITY.get(cell_of(entry.get("element")).value, Visibility.INTERNAL),
                author=Actor(id=author, name=author),
                at=parse_time(cell_of(entry.get("sys_created_on")).value),
            )


def _attachment(item: Mapping[str, Any]) -> Attachment:
    size = cell_of(item.get("size_bytes", item.get("size"))).value
    return Attachment(
        id=cell_of(item.get("sys_id")).value,
        file_name=cell_of(item.get("file_name")).value,
        content_type=cell_of(item.get("content_type")).value or "application/octet-stream",
        size=int(size) if size.isdecimal() else None,
        url=cell_of(item.get("download_link", item.get("url"))).value,
        content=cell_of(item.get("content")).value,
    )


def _event_id(payload: Payload, entity: EntityConfig, sys_id: str, updated: str) -> str:
    """Equal for a repeated message only: journal entries and deletion may leave the counter as it was."""
    count = payload.value("sys_mod_count")
    if not count:
        return ""
    entries = [cell_of(entry.get("sys_id")).value for entry in payload.entries("comments")]
    deleted = ["delete"] if _operation(payload, ()) is Operation.DELETE else []
    return ":".join([entity.remote_name, sys_id, count, updated, *entries, *deleted])
