"""The canonical message: the one shape that every system's messages are turned into and back from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

Value: TypeAlias = "str | int | Decimal | bool | datetime | list[Value] | dict[str, Value] | None"
Attributes: TypeAlias = Mapping[str, Value]


class EntityKind(StrEnum):
    """What a ticket is, in the field's own words; an endpoint's entity type is one of these."""

    INCIDENT = "incident"
    REQUEST = "request"
    CHANGE = "change"
    PROBLEM = "problem"
    TASK = "task"
    CONFIGURATION_ITEM = "configuration_item"
    EVENT = "event"


class Operation(StrEnum):
    """What happened to the ticket at its sender."""

    CREATE = "create"
    UPDATE = "update"
    COMMENT = "comment"
    ATTACH = "attach"
    CLOSE = "close"
    DELETE = "delete"


class Visibility(StrEnum):
    """Who may read a comment at its system: the customer too, or only the people who work on it."""

    PUBLIC = "public"
    INTERNAL = "internal"


class AttributeType(StrEnum):
    """How a documented attribute's value is to be read."""

    TEXT = "text"
    CHOICE = "choice"
    REFERENCE = "reference"
    DATETIME = "datetime"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class AttributeDefinition:
    """One documented attribute: its name in paths, its type and what it means to a person."""

    name: str
    type: AttributeType
    meaning: str


ANY_TYPE = "application/octet-stream"
"""The content type of a file that says nothing of itself."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or account that did something, as its system names it."""

    id: str = ""
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment or work note. `id` is the sending system's own; `at` always carries a zone."""

    id: str
    text: str
    visibility: Visibility = Visibility.INTERNAL
    author: Actor = Actor()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a ticket and where it is: `stored` here, at the sender (`id`, `url`), or in the message
    itself (`content`, as base64)."""

    id: str
    file_name: str
    content_type: str = ANY_TYPE
    size: int | None = None
    url: str = ""
    stored: str = ""
    content: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CanonicalMessage:
    """One message about one ticket.

    `entity_type` is the endpoint's own name for it (what rules select); `kind` its canonical kind.
    `attributes` are keyed by the documented names below, or by the system's own field name where there
    is none; values are what people see (display values). `codes` holds, for the attributes whose system
    keeps another value behind what people see, that code. `native` is the message as it was sent.
    """

    entity_type: str
    kind: EntityKind
    operation: Operation
    external_id: str
    number: str = ""
    link: str = ""
    actor: Actor = Actor()
    occurred_at: datetime | None = None
    attributes: Attributes = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    comments: tuple[Comment, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    native: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    effect_key: str = ""
    """Our own mark, found on a ticket that we made at the sender."""
    event_id: str = ""
    """The sender's own id of this message, equal when it sends the same message again."""


_TASK = (
    AttributeDefinition("title", AttributeType.TEXT, "One line that says what it is about"),
    AttributeDefinition("description", AttributeType.TEXT, "The whole text"),
    AttributeDefinition("status", AttributeType.CHOICE, "Where the ticket stands in its system's workflow"),
    AttributeDefinition("priority", AttributeType.CHOICE, "How soon it must be worked on"),
    AttributeDefinition("category", AttributeType.CHOICE, "What sort of matter it is"),
    AttributeDefinition("reporter", AttributeType.REFERENCE, "The person it was opened for"),
    AttributeDefinition("assignee", AttributeType.REFERENCE, "The person who works on it"),
    AttributeDefinition("assignment_group", AttributeType.REFERENCE, "The team that works on it"),
    AttributeDefinition("configuration_item", AttributeType.REFERENCE, "The thing that is affected"),
    AttributeDefinition("company", AttributeType.REFERENCE, "The customer it belongs to"),
    AttributeDefinition("labels", AttributeType.LIST, "Free words attached to it"),
    AttributeDefinition("parent", AttributeType.REFERENCE, "The ticket this one is part of"),
    AttributeDefinition("partner_reference", AttributeType.TEXT, "The other side's ticket number"),
    AttributeDefinition("created_at", AttributeType.DATETIME, "When it was opened"),
    AttributeDefinition("updated_at", AttributeType.DATETIME, "When it was last changed"),
    AttributeDefinition("due_at", AttributeType.DATETIME, "When it must be done"),
    AttributeDefinition("closed_at", AttributeType.DATETIME, "When it was closed"),
)
_RESOLVABLE = (
    AttributeDefinition("resolution", AttributeType.CHOICE, "How it was solved, as a choice"),
    AttributeDefinition("resolution_notes", AttributeType.TEXT, "How it was solved, in words"),
    AttributeDefinition("resolved_at", AttributeType.DATETIME, "When it was solved"),
)
_SEVERITY = (
    AttributeDefinition("impact", AttributeType.CHOICE, "How much of the business is hit"),
    AttributeDefinition("urgency", AttributeType.CHOICE, "How long it can wait"),
)
ATTRIBUTES: Mapping[EntityKind, tuple[AttributeDefinition, ...]] = {
    EntityKind.INCIDENT: (*_TASK, *_SEVERITY, *_RESOLVABLE),
    EntityKind.PROBLEM: (
        *_TASK,
        *_SEVERITY,
        *_RESOLVABLE,
        AttributeDefinition("cause", AttributeType.TEXT, "Why it happens"),
        AttributeDefinition("workaround", AttributeType.TEXT, "What helps until it is solved"),
    ),
    EntityKind.REQUEST: (
        *_TASK,
        AttributeDefinition("item", AttributeType.REFERENCE, "What was ordered"),
        AttributeDefinition("quantity", AttributeType.NUMBER, "How many were ordered"),
        AttributeDefinition("approval", AttributeType.CHOICE, "Whether it may go ahead"),
    ),
    EntityKind.CHANGE: (
        *_TASK,
        *_SEVERITY,
        AttributeDefinition("risk", AttributeType.CHOICE, "How likely it is to go wrong"),
        AttributeDefinition("approval", AttributeType.CHOICE, "Whether it may go ahead"),
        AttributeDefinition("starts_at", AttributeType.DATETIME, "When the work is to begin"),
        AttributeDefinition("ends_at", AttributeType.DATETIME, "When the work is to be finished"),
        AttributeDefinition("implementation_plan", AttributeType.TEXT, "What will be done"),
        AttributeDefinition("backout_plan", AttributeType.TEXT, "How it is undone when it fails"),
    ),
    EntityKind.TASK: _TASK,
    EntityKind.CONFIGURATION_ITEM: (
        AttributeDefinition("name", AttributeType.TEXT, "What it is called"),
        AttributeDefinition("class", AttributeType.CHOICE, "What sort of thing it is"),
        AttributeDefinition("status", AttributeType.CHOICE, "Whether it is in use"),
        AttributeDefinition("serial_number", AttributeType.TEXT, "The maker's number of this piece"),
        AttributeDefinition("location", AttributeType.REFERENCE, "Where it stands"),
        AttributeDefinition("owner", AttributeType.REFERENCE, "Who answers for it"),
    ),
    EntityKind.EVENT: (
        AttributeDefinition("title", AttributeType.TEXT, "One line that says what was seen"),
        AttributeDefinition("description", AttributeType.TEXT, "The whole text"),
        AttributeDefinition("severity", AttributeType.CHOICE, "How bad it is"),
        AttributeDefinition("status", AttributeType.CHOICE, "Firing or over"),
        AttributeDefinition("source", AttributeType.TEXT, "What noticed it"),
        AttributeDefinition("node", AttributeType.TEXT, "The host or service it is about"),
        AttributeDefinition("metric", AttributeType.TEXT, "What was measured"),
        AttributeDefinition("starts_at", AttributeType.DATETIME, "When it began"),
        AttributeDefinition("ends_at", AttributeType.DATETIME, "When it was over"),
    ),
}


def to_json(message: CanonicalMessage) -> dict[str, Any]:
    """The message as plain JSON types; numbers keep their digits, times their zone."""
    return {
        "entity_type": message.entity_type,
        "kind": message.kind.value,
        "operation": message.operation.value,
        "external_id": message.external_id,
        "number": message.number,
        "link": message.link,
        "actor": _actor_to_json(message.actor),
        "occurred_at": encode(message.occurred_at),
        "attributes": encode_attributes(message.attributes),
        "codes": dict(message.codes),
        "comments": [comment_to_json(comment) for comment in message.comments],
        "attachments": [_attachment_to_json(attachment) for attachment in message.attachments],
        "native": dict(message.native),
        "parameters": dict(message.parameters),
        "effect_key": message.effect_key,
        "event_id": message.event_id,
    }


def from_json(data: Mapping[str, Any]) -> CanonicalMessage:
    """The inverse of `to_json`. Raises KeyError or ValueError on anything that `to_json` did not make."""
    return CanonicalMessage(
        entity_type=data["entity_type"],
        kind=EntityKind(data["kind"]),
        operation=Operation(data["operation"]),
        external_id=data["external_id"],
        number=data["number"],
        link=data["link"],
        actor=Actor(**data["actor"]),
        occurred_at=_time(data["occurred_at"]),
        attributes=decode_attributes(data["attributes"]),
        codes=data["codes"],
        comments=tuple(comment_from_json(comment) for comment in data["comments"]),
        attachments=tuple(Attachment(**attachment) for attachment in data["attachments"]),
        native=data["native"],
        parameters=data["parameters"],
        effect_key=data["effect_key"],
        event_id=data["event_id"],
    )


def encode(value: Value) -> Any:
    """One attribute value as plain JSON: times and exact decimals become tagged objects."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("A canonical time needs a zone.")
        return {"$time": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$number": str(value)}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {"$object": encode_attributes(value)}
    return value


def decode(value: Any) -> Value:
    """The inverse of `encode`."""
    if type(value) is str:
        return value
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        [(tag, inner)] = value.items()
        return _DECODERS[tag](inner)
    plain: Value = value
    return plain


def encode_attributes(attributes: Attributes) -> dict[str, Any]:
    """Every value of a name-to-value mapping through `encode`."""
    return {name: encode(value) for name, value in attributes.items()}


def decode_attributes(data: Mapping[str, Any]) -> dict[str, Value]:
    """Every value of a name-to-value mapping through `decode`."""
    return {name: decode(value) for name, value in data.items()}


def comment_to_json(comment: Comment) -> dict[str, Any]:
    """A comment as plain JSON types."""
    return {
        "id": comment.id,
        "text": comment.text,
        "visibility": comment.visibility.value,
        "author": _actor_to_json(comment.author),
        "at": encode(comment.at),
    }


def comment_from_json(data: Mapping[str, Any]) -> Comment:
    """The inverse of `comment_to_json`."""
    return Comment(
        id=data["id"],
        text=data["text"],
        visibility=Visibility(data["visibility"]),
        author=Actor(**data["author"]),
        at=_time(data["at"]),
    )


_PLAIN = frozenset({str, int, bool, type(None)})
_DECODERS: Mapping[str, Callable[[Any], Value]] = {
    "$time": datetime.fromisoformat,
    "$number": Decimal,
    "$object": decode_attributes,
}


def _time(data: Any) -> datetime | None:
    return datetime.fromisoformat(data["$time"]) if data else None


def _actor_to_json(actor: Actor) -> dict[str, str]:
    return {"id": actor.id, "name": actor.name, "email": actor.email}


def _attachment_to_json(attachment: Attachment) -> dict[str, Any]:
    """Without `content`: the bytes themselves are kept apart, encrypted in chunks."""
    kept = (name for name in Attachment.__slots__ if name != "content")
    return {name: getattr(attachment, name) for name in kept}
