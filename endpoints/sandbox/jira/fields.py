"""Values that clients send for issue fields: checked as Jira checks them and turned into what is stored."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.adf import BadDocumentError, check_document
from endpoints.sandbox.jira.catalog import Field, Named, by_id, by_name

LINE_LIMIT = 255
DOCUMENT_LIMIT = 32_767
NOT_ON_SCREEN = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."

Values = dict[str, Any]


class BadValueError(ValueError):
    """A value that a field does not take; the text is Jira's message."""


class BadFieldsError(Exception):
    """The fields refused, each with Jira's message."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True)
class Asking:
    """What a check depends on: API version, deployment, and how an issue is found by key or id."""

    version: int
    server: bool
    find_issue_id: Callable[[str], str | None]


def read_fields(given: Mapping[str, Any], allowed: Iterable[Field], asking: Asking) -> Values:
    """Return the stored values of the given fields; raises BadFieldsError naming every field at fault."""
    fields = {field.id: field for field in allowed}
    values: Values = {}
    errors: dict[str, str] = {}
    for name, value in given.items():
        try:
            values[name] = _read(fields, name, value, asking)
        except BadValueError as error:
            errors[name] = str(error)
    if errors:
        raise BadFieldsError(errors)
    return values


def check_required(values: Values) -> None:
    """Raise BadFieldsError when a new issue lacks what every issue needs."""
    missing = {
        "project": "Specify a valid project ID or key",
        "issuetype": "Specify a valid issue type",
        "summary": "You must specify a summary of the issue.",
    }
    errors = {name: text for name, text in missing.items() if name not in values}
    issue_type = by_id(catalog.ISSUE_TYPES, values.get("issuetype", ""))
    if issue_type and issue_type.subtask and not values.get("parent"):
        errors["parent"] = "Issue type is a sub-task but parent issue key or id not specified."
    if errors:
        raise BadFieldsError(errors)


def apply_operations(operations: Mapping[str, Any], current: Values, asking: Asking) -> Values:
    """Return the stored values after the `update` operations of an edit; raises BadFieldsError."""
    editable = {field.id: field for field in catalog.FIELDS if field.edit}
    values: Values = {}
    errors: dict[str, str] = {}
    for name, steps in operations.items():
        try:
            for step in _steps(steps):
                values[name] = _apply(editable, name, step, values.get(name, current.get(name)), asking)
        except BadValueError as error:
            errors[name] = str(error)
    if errors:
        raise BadFieldsError(errors)
    return values


def read_document(value: Any, version: int) -> Any:
    """Return a text as it is stored: wiki text in version 2, an Atlassian document in version 3."""
    if version == 2:
        if not isinstance(value, str):
            raise BadValueError("Operation value must be a string")
        if len(value) > DOCUMENT_LIMIT:
            raise BadValueError(
                "The entered text is too long. It exceeds the allowed limit of "
                f"{DOCUMENT_LIMIT:,} characters."
            )
        return value
    try:
        check_document(value)
    except BadDocumentError:
        raise BadValueError(
            "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
        ) from None
    return value


def _read(fields: Mapping[str, Field], name: str, value: Any, asking: Asking) -> Any:
    if name not in fields:
        raise BadValueError(NOT_ON_SCREEN.format(name))
    field = fields[name]
    if value is None and not field.required and field.kind not in ("priority", "resolution"):
        return [] if field.kind == "labels" else None
    return READERS[field.kind](value, field, asking)


def _steps(steps: Any) -> list[dict[str, Any]]:
    if not isinstance(steps, list) or not all(isinstance(step, dict) and len(step) == 1 for step in steps):
        raise BadValueError("Operations must be an array of objects with one operation each.")
    return steps


def _apply(
    editable: Mapping[str, Field], name: str, step: dict[str, Any], current: Any, asking: Asking
) -> Any:
    operation, value = next(iter(step.items()))
    if name not in editable:
        raise BadValueError(NOT_ON_SCREEN.format(name))
    if operation not in editable[name].operations:
        raise BadValueError(f"Field '{name}' does not support the operation '{operation}'.")
    if operation == "set":
        return _read(editable, name, value, asking)
    label = _label(value)
    rest = [each for each in current or [] if each != label]
    return [*rest, label] if operation == "add" else rest


def _line(value: Any, field: Field, asking: Asking) -> str:
    if field.required and (value is None or (isinstance(value, str) and not value.strip())):
        raise BadValueError("You must specify a summary of the issue.")
    if not isinstance(value, str):
        raise BadValueError("Operation value must be a string")
    if field.required and "\n" in value:
        raise BadValueError("The summary is invalid because it contains newline characters.")
    if len(value) > LINE_LIMIT:
        raise BadValueError(
            f"Summary can't exceed {LINE_LIMIT} characters."
            if field.required
            else f"The entered text is too long. It exceeds the allowed limit of {LINE_LIMIT} characters."
        )
    return value


def _document(value: Any, field: Field, asking: Asking) -> Any:
    return read_document(value, asking.version)


def _chosen(entries: Iterable[Named], value: Any, label: str, unknown: str) -> str:
    entries = tuple(entries)
    if not isinstance(value, dict):
        raise BadValueError("data was not an object")
    found: Named | None = None
    if value.get("id") is not None:
        found = by_id(entries, str(value["id"]))
    elif label in value:
        found = by_name(entries, str(value[label]))
        unknown = unknown or f"Option value '{value[label]}' is not valid"
    else:
        raise BadValueError(f"Could not find valid 'id' or '{label}' in the object.")
    if found is None:
        raise BadValueError(unknown or f"Option id '{value['id']}' is not valid")
    return found.id


def _priority(value: Any, field: Field, asking: Asking) -> str:
    named = isinstance(value, dict) and value.get("id") is None and "name" in value
    unknown = (
        f"Priority name '{value['name']}' is not valid" if named else "The priority selected is invalid."
    )
    return _chosen(catalog.PRIORITIES, value, "name", unknown)


def _issue_type(value: Any, field: Field, asking: Asking) -> str:
    return _chosen(catalog.ISSUE_TYPES, value, "name", "Specify a valid issue type")


def _resolution(value: Any, field: Field, asking: Asking) -> str:
    return _chosen(catalog.RESOLUTIONS, value, "name", "The resolution selected is invalid.")


def _option(value: Any, field: Field, asking: Asking) -> str:
    return _chosen(catalog.OPTIONS, value, "value", "")


def _project(value: Any, field: Field, asking: Asking) -> str:
    wanted = value.get("key") or value.get("id") if isinstance(value, dict) else None
    project = catalog.find_project(str(wanted)) if wanted else None
    if project is None:
        raise BadValueError("Specify a valid project ID or key")
    return project.id


def _labels(value: Any, field: Field, asking: Asking) -> list[str]:
    if not isinstance(value, list):
        raise BadValueError("data was not an array")
    return list(dict.fromkeys(_label(each) for each in value))


def _label(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValueError("string expected at index 0")
    if not value or any(character.isspace() for character in value):
        raise BadValueError(f"The label '{value}' contains spaces which is invalid.")
    if len(value) > LINE_LIMIT:
        raise BadValueError(f"The label '{value}' exceeds the maximum length of {LINE_LIMIT} characters.")
    return value


def _user(value: Any, field: Field, asking: Asking) -> str | None:
    if not isinstance(value, dict):
        raise BadValueError("data was not an object")
    names = ("name", "key", "accountId", "id") if asking.server else ("accountId", "id")
    wanted = next((str(value[name]) for name in names if value.get(name) is not None), None)
    if wanted is None and "name" in value and not asking.server and value["name"] is not None:
        raise BadValueError(
            "'accountId' must be the only user identifying query parameter in GDPR strict mode."
        )
    if wanted is None or wanted == "-1":
        return None
    user = next((each for each in catalog.USERS if wanted in (each.id, asking.server and each.login)), None)
    if user is None:
        raise BadValueError(f"User '{wanted}' does not exist.")
    return user.id


def _date(value: Any, field: Field, asking: Asking) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise BadValueError(f"Error parsing date string: {value}") from None


def _number(value: Any, field: Field, asking: Asking) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadValueError("Operation value must be a number")
    return float(value)


def _parent(value: Any, field: Field, asking: Asking) -> str:
    wanted = value.get("key") or value.get("id") if isinstance(value, dict) else None
    issue_id = asking.find_issue_id(str(wanted)) if wanted else None
    if issue_id is None:
        raise BadValueError("Could not find issue by id or key.")
    return issue_id


READERS: dict[str, Callable[[Any, Field, Asking], Any]] = {
    "line": _line,
    "document": _document,
    "priority": _priority,
    "issuetype": _issue_type,
    "resolution": _resolution,
    "option": _option,
    "project": _project,
    "labels": _labels,
    "user": _user,
    "date": _date,
    "number": _number,
    "parent": _parent,
}
