"""Jira's issue fields: which is which canonical attribute, and how a value is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from endpoints.adapters.base import FieldDescription
from endpoints.adapters.values import canonical_value
from endpoints.canonical import ATTRIBUTES, Actor, AttributeType, EntityKind, Value
from endpoints.richtext.adf import adf_to_text
from endpoints.richtext.wiki import wiki_to_text

LABEL_MARK = "oneio-"
"""What stands before our effect key in a label."""

NAMES: Mapping[str, str] = {
    "summary": "title",
    "duedate": "due_at",
    "created": "created_at",
    "updated": "updated_at",
    "resolutiondate": "resolved_at",
}
"""Attributes whose documented name differs from Jira's; all others bear the field's own name."""
_FIELDS = {name: field for field, name in NAMES.items()}

_HIDDEN = frozenset(
    {
        "comment",
        "attachment",
        "worklog",
        "watches",
        "votes",
        "progress",
        "timetracking",
        "subtasks",
        "issuelinks",
        "lastViewed",
        "workratio",
        "statuscategorychangedate",
        "statusCategory",
        "issuerestriction",
        "security",
        "thumbnail",
        "timespent",
        "timeestimate",
        "timeoriginalestimate",
        "aggregatetimespent",
        "aggregatetimeestimate",
        "aggregatetimeoriginalestimate",
        "aggregateprogress",
        "creator",
    }
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:?\d\d|Z)")
_RICH = frozenset({"description", "environment"})

_DESCRIBED = (
    ("summary", "Summary", AttributeType.TEXT),
    ("description", "Description", AttributeType.TEXT),
    ("status", "Status", AttributeType.CHOICE),
    ("priority", "Priority", AttributeType.CHOICE),
    ("resolution", "Resolution", AttributeType.CHOICE),
    ("issuetype", "Issue type", AttributeType.CHOICE),
    ("labels", "Labels", AttributeType.LIST),
    ("assignee", "Assignee", AttributeType.REFERENCE),
    ("reporter", "Reporter", AttributeType.REFERENCE),
    ("components", "Components", AttributeType.LIST),
    ("duedate", "Due date", AttributeType.DATETIME),
    ("environment", "Environment", AttributeType.TEXT),
    ("parent", "Parent", AttributeType.REFERENCE),
    ("project", "Project", AttributeType.REFERENCE),
    ("created", "Created", AttributeType.DATETIME),
    ("updated", "Updated", AttributeType.DATETIME),
    ("resolutiondate", "Resolved", AttributeType.DATETIME),
)


def attribute_of(kind: EntityKind, field: str) -> str:
    """The attribute of a field: the documented name if this kind documents it, else the field's own."""
    name = NAMES.get(field, field)
    return name if any(known.name == name for known in ATTRIBUTES[kind]) else field


def field_of(attribute: str) -> str:
    """The field of an attribute."""
    return _FIELDS.get(attribute, attribute)


def describe(kind: EntityKind) -> Sequence[FieldDescription]:
    """The fields that every project has, under their attribute names."""
    return tuple(
        FieldDescription(attribute_of(kind, field), label, type_, mandatory=field == "summary")
        for field, label, type_ in _DESCRIBED
    )


def attributes_of(
    kind: EntityKind, fields: Mapping[str, Any], zone: ZoneInfo
) -> tuple[dict[str, Value], dict[str, str]]:
    """An issue's fields as attributes, and the ids behind choices and people. Dates begin in `zone`."""
    attributes: dict[str, Value] = {}
    codes: dict[str, str] = {}
    for field, raw in fields.items():
        if field in _HIDDEN:
            continue
        name = attribute_of(kind, field)
        attributes[name] = value_of(field, raw, zone)
        if code := _code(raw):
            codes[name] = code
    return attributes, codes


def value_of(field: str, raw: Any, zone: ZoneInfo) -> Value:
    """What people see of a field's value."""
    if field == "labels" and isinstance(raw, list):
        return [str(label) for label in raw if not str(label).startswith(LABEL_MARK)]
    if isinstance(raw, str):
        return _text(field, raw, zone)
    if isinstance(raw, Mapping):
        return _object(field, raw)
    if isinstance(raw, list):
        return [value_of("", item, zone) for item in raw]
    return canonical_value(raw)


def actor_of(raw: Any) -> Actor:
    """A person as Jira Cloud (accountId) or Data Center (name) describes one."""
    if not isinstance(raw, Mapping):
        return Actor()
    return Actor(
        id=_identity(raw), name=_first(raw, "displayName", "name"), email=_first(raw, "emailAddress")
    )


def rich_text(raw: Any) -> str:
    """A text that is an Atlassian document or wiki text."""
    if isinstance(raw, Mapping):
        return adf_to_text(raw)
    return wiki_to_text(raw) if isinstance(raw, str) else ""


def parse_time(text: Any) -> datetime | None:
    """A time as Jira writes it, always with its zone; None when it is none."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _text(field: str, raw: str, zone: ZoneInfo) -> Value:
    if field in _RICH:
        return wiki_to_text(raw)
    if field == "duedate":
        try:
            return datetime.fromisoformat(raw).replace(tzinfo=zone)
        except ValueError:
            return raw
    return parse_time(raw) or raw


def _object(field: str, raw: Mapping[str, Any]) -> Value:
    if raw.get("type") == "doc":
        return adf_to_text(raw)
    if field in ("project", "parent") and raw.get("key"):
        return str(raw["key"])
    if "value" in raw:
        child = raw.get("child")
        return (
            f"{raw['value']} / {child.get('value')}"
            if isinstance(child, Mapping)
            else canonical_value(raw["value"])
        )
    known = _first(raw, "displayName", "name", "key", "accountId", "id")
    return known or canonical_value(raw)


def _code(raw: Any) -> str:
    if not isinstance(raw, Mapping):
        return ""
    if "displayName" in raw or "accountId" in raw:
        return _identity(raw)
    return _first(raw, "id")


def _identity(user: Mapping[str, Any]) -> str:
    return _first(user, "accountId", "name", "key")


def _first(raw: Mapping[str, Any], *names: str) -> str:
    return next((str(raw[name]) for name in names if raw.get(name) not in (None, "")), "")
