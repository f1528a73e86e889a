"""What changed between two states of an issue, as Jira's history writes it."""

from typing import Any

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.adf import to_text
from endpoints.sandbox.jira.catalog import Field, by_id

Item = dict[str, Any]

# Jira writes no history for these: they follow from others.
SILENT = frozenset({"created", "updated", "creator", "resolutiondate", "project"})
CHOICES: dict[str, tuple[catalog.Named, ...]] = {
    "priority": catalog.PRIORITIES,
    "issuetype": catalog.ISSUE_TYPES,
    "status": catalog.STATUSES,
    "resolution": catalog.RESOLUTIONS,
    "option": catalog.OPTIONS,
    "user": catalog.USERS,
}


def changed_items(before: dict[str, Any], after: dict[str, Any]) -> list[Item]:
    """Return one history item for each field whose value differs."""
    fields = [field for field in catalog.FIELDS if field.id not in SILENT]
    return [
        _item(field, before.get(field.id), after.get(field.id))
        for field in fields
        if (before.get(field.id) or None) != (after.get(field.id) or None)
    ]


def attachment_item(attachment: dict[str, Any], removed: bool = False) -> Item:
    """Return the history item of an attachment that came or went."""
    old, new = ("from", "fromString"), ("to", "toString")
    there, gone = (old, new) if removed else (new, old)
    item: Item = {"field": "Attachment", "fieldtype": "jira", "fieldId": "attachment"}
    item |= {gone[0]: None, gone[1]: None, there[0]: attachment["id"], there[1]: attachment["filename"]}
    return item


def _item(field: Field, before: Any, after: Any) -> Item:
    custom = field.custom_id is not None
    item: Item = {
        "field": field.name if custom else field.id,
        "fieldtype": "custom" if custom else "jira",
        "fieldId": field.id,
        "from": _id(field, before),
        "fromString": _text(field, before),
        "to": _id(field, after),
        "toString": _text(field, after),
    }
    if field.kind == "user":
        item |= {"tmpFromAccountId": before, "tmpToAccountId": after}
    return item


def _id(field: Field, value: Any) -> str | None:
    if field.kind == "labels":
        return ""
    return value if field.kind in CHOICES or field.kind == "parent" else None


def _text(field: Field, value: Any) -> str | None:
    if field.kind == "labels":
        return " ".join(value or [])
    if value is None:
        return None
    if field.kind in CHOICES:
        entry = by_id(CHOICES[field.kind], value)
        return entry.name if entry else str(value)
    return to_text(value) if isinstance(value, dict) else str(value)
