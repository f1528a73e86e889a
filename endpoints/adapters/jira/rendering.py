"""Commands to Jira requests: fields first, then the workflow, then the comment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from endpoints.adapters.base import Action, Command, EndpointConfig, Plan, Reference, Step, Unrenderable
from endpoints.adapters.jira.fields import LABEL_MARK, field_of
from endpoints.adapters.jira.options import Options
from endpoints.adapters.jira.reading import ANY_TYPE, link_to
from endpoints.adapters.values import json_value, text_of
from endpoints.canonical import Comment, Value, Visibility
from endpoints.richtext.adf import text_to_adf

NEW_ISSUE = "{issue}"
"""Stands in paths for the id that the create of the same plan will give."""
PROPERTY = "oneio"
"""Comment property that holds our effect key."""
SUMMARY_LIMIT = 255
TEXT_LIMIT = 32_767

_SET_BY_JIRA = frozenset({"created", "updated", "resolutiondate", "statuscategorychangedate", "creator"})
PEOPLE = frozenset({"assignee", "reporter"})
"""Fields that are written with a person's id and read with a person's name."""
_DOCUMENTS = frozenset({"description", "environment"})


def render(endpoint: EndpointConfig, options: Options, command: Command) -> Plan:
    """Translate one command. Raises Unrenderable."""
    steps = tuple(_steps(endpoint, options, command))
    return Plan(command, steps, repeatable=not {"create", "comment"} & {step.purpose for step in steps})


def _steps(endpoint: EndpointConfig, options: Options, command: Command) -> Iterator[Step]:
    issues = f"{options.api}/issue"
    if command.action is Action.CREATE:
        yield Step("create", "POST", issues, body={"fields": _new_issue(endpoint, options, command)})
        issue = f"{issues}/{NEW_ISSUE}"
    else:
        issue = f"{issues}/{quote(target_of(command).external_id, safe='')}"
    if command.action is Action.WRITE_BACK:
        yield Step("write_back", "POST", f"{issue}/remotelink", body=_remote_link(endpoint, command))
        return
    fields = _fields(endpoint, options, command)
    if fields and command.action is not Action.CREATE:
        yield Step("fields", "PUT", issue, body={"fields": fields})
    if status := text_of(command.attributes.get("status")):
        yield Step("status", "POST", f"{issue}/transitions", body=_transition(status, command))
    if command.comment:
        yield Step("comment", "POST", f"{issue}/comment", body=_comment(options, command, command.comment))


def target_of(command: Command) -> Reference:
    """The issue to be changed. Raises Unrenderable when there is none."""
    if command.target is None or not command.target.external_id:
        raise Unrenderable(
            "It is not known which Jira issue this belongs to. Deliver the create first, or skip this one."
        )
    return command.target


def _new_issue(endpoint: EndpointConfig, options: Options, command: Command) -> dict[str, Any]:
    fields = _fields(endpoint, options, command)
    if not fields.get("summary"):
        raise Unrenderable("A Jira issue needs a summary. Map something to title.")
    if "project" not in fields:
        if not options.project:
            raise Unrenderable(
                "It is not known in which Jira project to create. Set the endpoint's project key."
            )
        fields["project"] = {"key": options.project}
    if "issuetype" not in fields:
        fields["issuetype"] = _issue_type(command)
    if options.reference_field:
        return {**fields, options.reference_field: command.effect_key}
    return {**fields, "labels": [*fields.get("labels", []), f"{LABEL_MARK}{command.effect_key}"]}


def _issue_type(command: Command) -> dict[str, str]:
    name = command.entity.remote_name
    if name == ANY_TYPE:
        raise Unrenderable(
            "The entity type stands for all issue types, so it is not known which to create. Map issuetype."
        )
    return {"id": name} if name.isdecimal() else {"name": name}


def _fields(endpoint: EndpointConfig, options: Options, command: Command) -> dict[str, Any]:
    # Jira takes a resolution only where the workflow asks for one: together with the status.
    apart = {"status", "resolution"} if command.attributes.get("status") else {"status"}
    return {
        field_of(name): _written(endpoint, options, name, value)
        for name, value in command.attributes.items()
        if name not in apart
    }


def _written(endpoint: EndpointConfig, options: Options, name: str, value: Value) -> Any:
    field = field_of(name)
    if field in _SET_BY_JIRA:
        raise Unrenderable(
            f"Jira sets “{field}” itself. Remove {name} from the mapping or choose another target field."
        )
    if value is None or isinstance(value, dict):
        return [] if field == "labels" else json_value(value)
    if isinstance(value, datetime):
        return _time(endpoint, field, value)
    if writer := _writer(options, field):
        return writer(value)
    return json_value(value)


def _writer(options: Options, field: str) -> Callable[[Value], Any] | None:
    if field in _DOCUMENTS | options.document_fields:
        return lambda value: _rich(options, field, text_of(value))
    if field in options.option_fields:
        return lambda value: _each("value", value)
    if field in PEOPLE:
        return lambda value: _each("accountId" if options.cloud else "name", value)
    return _WRITERS.get(field)


def _each(label: str, value: Value) -> Any:
    """One or several choices, each as Jira wants a choice named."""
    if isinstance(value, list):
        return [_each(label, item) for item in value]
    if isinstance(value, dict):
        return json_value(value)
    return {label: text_of(value)} if value not in (None, "") else None


def _summary(value: Value) -> str:
    text = " ".join(text_of(value).split("\n")).replace("\r", "").strip()
    if len(text) > SUMMARY_LIMIT:
        raise Unrenderable(
            f"The title has {len(text)} characters and a Jira summary takes {SUMMARY_LIMIT}. "
            "Truncate it in the mapping."
        )
    return text


def _rich(options: Options, field: str, text: str) -> Any:
    if len(text) > TEXT_LIMIT:
        raise Unrenderable(
            f"“{field}” has {len(text)} characters and Jira takes {TEXT_LIMIT}. Truncate it in the mapping."
        )
    return text_to_adf(text) if options.documents else text


def _labels(value: Value) -> list[str]:
    """Words for Jira, whose labels hold no spaces."""
    given = value if isinstance(value, list) else text_of(value).split(",")
    return ["_".join(word.split()) for item in given if (word := text_of(item).strip())]


def _time(endpoint: EndpointConfig, field: str, value: datetime) -> str:
    local = value.astimezone(endpoint.timezone)
    return local.date().isoformat() if field == "duedate" else local.strftime("%Y-%m-%dT%H:%M:%S.000%z")


def _transition(status: str, command: Command) -> dict[str, Any]:
    resolution = text_of(command.attributes.get("resolution"))
    fields = {"fields": {"resolution": {"name": resolution}}} if resolution else {}
    return {"transition": {"name": status}, **fields}


def _comment(options: Options, command: Command, comment: Comment) -> dict[str, Any]:
    body = {
        "body": _rich(options, "comment", comment.text),
        "properties": [{"key": PROPERTY, "value": {"effect_key": command.effect_key}}],
    }
    if comment.visibility is Visibility.PUBLIC or options.internal_comments == "as_public":
        return body
    return {**body, **_restriction(options, body["properties"])}


def _restriction(options: Options, properties: list[Mapping[str, Any]]) -> dict[str, Any]:
    if options.internal_comments == "jsm":
        return {"properties": [*properties, {"key": "sd.public.comment", "value": {"internal": True}}]}
    if options.internal_comments == "role" and options.internal_comment_role:
        return {"visibility": {"type": "role", "value": options.internal_comment_role}}
    raise Unrenderable(
        "This comment is internal, and it is not set how to keep it from customers in Jira. Choose under "
        "“Internal comments” of the endpoint: service management's internal notes, a role, or as public."
    )


def _remote_link(endpoint: EndpointConfig, command: Command) -> dict[str, Any]:
    partner = command.partner
    if partner is None:
        raise Unrenderable("There is no partner ticket whose number could be written to Jira.")
    number = partner.number or partner.external_id
    # Jira demands an address; a partner without one is at least named on the issue itself.
    own = link_to(endpoint, target_of(command).number or target_of(command).external_id)
    return {
        "globalId": f"oneio={partner.external_id or command.effect_key}"[:255],
        "relationship": "is exchanged with",
        "object": {"url": partner.link or own, "title": number},
    }


def _named(value: Value) -> Any:
    return _each("name", value)


def _keyed(value: Value) -> Any:
    return _each("key", value)


def _all_named(value: Value) -> Any:
    return _each("name", value if isinstance(value, list) else [value] if value else [])


_WRITERS: Mapping[str, Callable[[Value], Any]] = {
    "summary": _summary,
    "labels": _labels,
    **dict.fromkeys(("priority", "resolution", "issuetype"), _named),
    **dict.fromkeys(("components", "fixVersions", "versions"), _all_named),
    **dict.fromkeys(("project", "parent"), _keyed),
}
