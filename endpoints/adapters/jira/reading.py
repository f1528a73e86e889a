"""Jira webhooks to canonical messages.

Who may read a comment: it is internal when Jira says so (`jsdPublic` false, a restriction to a role or
group, or service management's own property) and public when `jsdPublic` is true. A comment without any such
word (Data Center) is public in projects that are known not to be service projects, internal in service
projects; where the project's type was not sent, the setting `unmarked_comments` decides, which is internal
until somebody says otherwise: a note must not reach a customer by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from endpoints.adapters.base import EndpointConfig, EntityConfig, Received, Unreadable
from endpoints.adapters.jira.fields import (
    LABEL_MARK,
    actor_of,
    attributes_of,
    parse_time,
    rich_text,
)
from endpoints.canonical import Actor, Attachment, CanonicalMessage, Comment, Operation, Visibility

ANY_TYPE = "*"
EVENT_ID_HEADER = "x-atlassian-webhook-identifier"
_ISSUE_IN_ADDRESS = re.compile(r"/issue/(\d+)(?:/|$)")
_OPERATIONS = {
    "jira:issue_created": Operation.CREATE,
    "jira:issue_updated": Operation.UPDATE,
    "jira:issue_deleted": Operation.DELETE,
    "comment_created": Operation.COMMENT,
    "comment_updated": Operation.COMMENT,
    "attachment_created": Operation.ATTACH,
}


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook with its parts found; parts that were not sent are empty."""

    body: Mapping[str, Any]
    parameters: Mapping[str, str]
    operation: Operation

    @property
    def issue(self) -> Mapping[str, Any]:
        """The issue as far as it was sent."""
        return _mapping(self.body.get("issue"))

    @property
    def fields(self) -> Mapping[str, Any]:
        """The issue's fields as far as they were sent."""
        return _mapping(self.issue.get("fields"))

    @property
    def comment(self) -> Mapping[str, Any]:
        """The comment of the event."""
        return _mapping(self.body.get("comment"))

    @property
    def changes(self) -> list[Mapping[str, Any]]:
        """The changelog's items."""
        items = _mapping(self.body.get("changelog")).get("items")
        return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def read(endpoint: EndpointConfig, received: Received) -> CanonicalMessage:
    """Translate one webhook. Raises Unreadable."""
    event = _event(received)
    entity = _entity(endpoint, event)
    issue_id = _issue_id(event)
    number = str(event.issue.get("key") or received.parameters.get("issue.key", ""))
    attributes, codes = attributes_of(entity.kind, event.fields, endpoint.timezone)
    return CanonicalMessage(
        entity_type=entity.name,
        kind=entity.kind,
        operation=_operation(event),
        external_id=issue_id,
        number=number,
        link=link_to(endpoint, number),
        actor=_actor(event),
        occurred_at=_occurred_at(event) or received.received_at,
        attributes=attributes,
        codes=codes,
        comments=_comments(endpoint, event),
        attachments=_attachments(event),
        native=received.body,
        parameters=received.parameters,
        effect_key=effect_key_of(endpoint, event.fields),
        event_id=received.headers.get(EVENT_ID_HEADER, ""),
    )


def sample(endpoint: EndpointConfig) -> dict[str, Any]:
    """A webhook of an issue that does not exist."""
    type_ = endpoint.first_selector.replace(ANY_TYPE, "") or "Task"
    fields = {"summary": "A test of the connection", "issuetype": {"name": type_}}
    return {"webhookEvent": "jira:issue_updated", "issue": {"id": "1", "key": "TEST-1", "fields": fields}}


def link_to(endpoint: EndpointConfig, key: str) -> str:
    """Where a person opens the issue."""
    return f"{endpoint.base_url.rstrip('/')}/browse/{key}" if key else ""


def effect_key_of(endpoint: EndpointConfig, fields: Mapping[str, Any]) -> str:
    """Our key in the reference field if the endpoint has one, else in a label."""
    field = str(endpoint.settings.get("reference_field") or "")
    if field:
        return str(fields.get(field) or "")
    labels = fields.get("labels")
    ours = (
        [str(label) for label in labels if str(label).startswith(LABEL_MARK)]
        if isinstance(labels, list)
        else []
    )
    return ours[0].removeprefix(LABEL_MARK) if ours else ""


def _mapping(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}


def _event(received: Received) -> Event:
    name = str(received.body.get("webhookEvent") or "")
    if not name:
        raise Unreadable(
            "The message is no Jira webhook: it has no webhookEvent. Leave “Exclude body” off in the webhook."
        )
    if name not in _OPERATIONS:
        raise Unreadable(
            f"Jira's event “{name}” is not exchanged. Untick it in the webhook; what is read are issues, "
            "comments and attachments."
        )
    return Event(received.body, received.parameters, _OPERATIONS[name])


def _entity(endpoint: EndpointConfig, event: Event) -> EntityConfig:
    issue_type = _mapping(event.fields.get("issuetype"))
    named = [str(issue_type.get(name) or "") for name in ("name", "id")]
    selectors = [*named, event.parameters.get("entity_type", ""), ANY_TYPE]
    entity = next(
        (found for name in selectors if name and (found := endpoint.entity_selected_by(name))), None
    )
    active = [each for each in endpoint.entities if each.active]
    if entity is None and not any(named) and len(active) == 1:
        entity = active[0]
    if entity is None:
        raise Unreadable(_unknown_type(named[0]))
    return entity


def _unknown_type(name: str) -> str:
    if not name:
        return (
            "The event does not say the issue's type, and this endpoint has several entity types. "
            "Add ?entity_type= with the resolving value to the webhook's address."
        )
    return (
        f"This endpoint has no active entity type for the issue type “{name}”. Add one with that resolving "
        "value (or * for all types), or keep such issues out with a JQL filter in the webhook."
    )


def _issue_id(event: Event) -> str:
    if event.issue.get("id"):
        return str(event.issue["id"])
    # Data Center sends some events without the issue; its id stands in the comment's own address.
    match = _ISSUE_IN_ADDRESS.search(str(event.comment.get("self") or ""))
    found = match[1] if match else event.parameters.get("issue.id", "")
    if not found:
        raise Unreadable(
            "The event does not say which issue it belongs to. "
            "Add ?issue.id=${issue.id} to the webhook's address."
        )
    return found


def _operation(event: Event) -> Operation:
    if event.operation is not Operation.UPDATE:
        return event.operation
    changed = {str(item.get("field")) for item in event.changes}
    if not changed and event.comment:
        return Operation.COMMENT
    return Operation.ATTACH if changed == {"Attachment"} else Operation.UPDATE


def _actor(event: Event) -> Actor:
    attachment = _mapping(event.body.get("attachment"))
    known = (
        event.body.get("user"),
        event.comment.get("updateAuthor"),
        event.comment.get("author"),
        attachment.get("author"),
    )
    return next((actor_of(raw) for raw in known if raw), Actor())


def _occurred_at(event: Event) -> datetime | None:
    stamp = event.body.get("timestamp")
    if isinstance(stamp, int) and 0 < stamp < 10**14:
        return datetime.fromtimestamp(stamp / 1000, UTC)
    return parse_time(event.comment.get("updated")) or parse_time(event.fields.get("updated"))


def _comments(endpoint: EndpointConfig, event: Event) -> tuple[Comment, ...]:
    raw = event.comment
    if not raw.get("id"):
        return ()
    comment = Comment(
        id=str(raw["id"]),
        text=rich_text(raw.get("body")),
        visibility=_visibility(endpoint, event),
        author=actor_of(raw.get("author")),
        at=parse_time(raw.get("created")),
    )
    return (comment,)


def _visibility(endpoint: EndpointConfig, event: Event) -> Visibility:
    public = event.comment.get("jsdPublic")
    if public is False or event.comment.get("visibility") or _marked_internal(event.comment):
        return Visibility.INTERNAL
    project = _mapping(event.fields.get("project")).get("projectTypeKey")
    if public is True or (project and project != "service_desk"):
        return Visibility.PUBLIC
    unmarked = endpoint.settings.get("unmarked_comments") == "public" and not project
    return Visibility.PUBLIC if unmarked else Visibility.INTERNAL


def _marked_internal(comment: Mapping[str, Any]) -> bool:
    properties = comment.get("properties")
    found = [each for each in properties if isinstance(each, Mapping)] if isinstance(properties, list) else []
    return any(
        each.get("key") == "sd.public.comment"
        and _mapping(each.get("value")).get("internal") in (True, "true")
        for each in found
    )


def _attachments(event: Event) -> tuple[Attachment, ...]:
    if event.operation is Operation.ATTACH:
        return tuple(_attachment(raw) for raw in [_mapping(event.body.get("attachment"))] if raw.get("id"))
    present = event.fields.get("attachment")
    files = [raw for raw in present if isinstance(raw, Mapping)] if isinstance(present, list) else []
    if event.operation is not Operation.CREATE:
        added = {str(item.get("to")) for item in event.changes if item.get("field") == "Attachment"}
        files = [raw for raw in files if str(raw.get("id")) in added]
    return tuple(_attachment(raw) for raw in files)


def _attachment(raw: Mapping[str, Any]) -> Attachment:
    size = raw.get("size")
    return Attachment(
        id=str(raw.get("id") or ""),
        file_name=str(raw.get("filename") or ""),
        content_type=str(raw.get("mimeType") or "application/octet-stream"),
        size=size if isinstance(size, int) else None,
        url=str(raw.get("content") or ""),
    )
