"""Reads a stored message back into the canonical form, through its endpoint's adapter."""

from __future__ import annotations

from typing import Any

from conversations.attachments import is_announcement
from conversations.incoming import Malformed, parse
from conversations.models import Message
from endpoints.adapters.base import Adapter, EndpointConfig, Received, Unreadable
from endpoints.canonical import Attachment, CanonicalMessage, Operation


def read(message: Message, adapter: Adapter) -> CanonicalMessage:
    """The canonical message. Raises Unreadable, with a sentence for a person."""
    body = message.body
    if body.emptied_at:
        raise Unreadable("What this message said was deleted (retention). Let its sender send it again.")
    try:
        content = parse(body.content_type, body.raw)
    except Malformed as error:
        raise Unreadable(str(error)) from None
    # One that a system told of has this operation, too, once it has been read: it may be routed again.
    if message.operation == Operation.ATTACH and is_announcement(content):
        return _attachment(content, adapter.endpoint)
    return adapter.read(
        Received(
            body=content, parameters=body.parameters, headers=body.headers, received_at=message.received_at
        )
    )


def is_test(message: Message) -> bool:
    """Whether its sender only tries the connection: `?test=true` stands in the address it was posted to."""
    return str(message.body.parameters.get("test", "")).lower() == "true"


def _attachment(content: Any, endpoint: EndpointConfig) -> CanonicalMessage:
    """A file that was posted by itself: it belongs to a ticket, and tells nothing else about it."""
    entity = endpoint.entity(content["entity_type"]) or endpoint.entity_selected_by(content["entity_type"])
    if entity is None:
        raise Unreadable(
            f"No entity type of {endpoint.name} is called “{content['entity_type']}”. Add it to the "
            "endpoint, or correct entity_type in the address that files are sent to."
        )
    file = Attachment(
        id=content["attachment"],
        stored=content["attachment"],
        file_name="",
        content_type=content["content_type"],
        size=content["size"],
    )
    return CanonicalMessage(
        entity_type=entity.name,
        kind=entity.kind,
        operation=Operation.ATTACH,
        external_id=content["external_id"],
        attachments=(file,),
        native=content,
    )
