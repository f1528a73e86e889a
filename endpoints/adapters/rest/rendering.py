"""A command as one request of a REST system, by its declaration."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from endpoints.adapters.base import (
    Action,
    Command,
    EndpointConfig,
    EntityConfig,
    OutgoingFile,
    Plan,
    Reference,
    Step,
    Unrenderable,
    Upload,
)
from endpoints.adapters.rest.declaration import Field, FileForm, FileRequest, Request, RestDeclaration
from endpoints.adapters.rest.templates import (
    MissingValue,
    TemplateError,
    fill,
    fill_texts,
    fill_url,
    paths_read,
)
from endpoints.adapters.rest.values import native_value, plain_value, zone_of
from endpoints.canonical import Attributes, Comment, Visibility
from oneio.paths import MISSING, compile_path

MOST_INLINE = 8 * 1024 * 1024
"""Bytes of a file that is sent inside a JSON body, where all of it is in memory."""
_ONCE_ONLY = frozenset({Action.CREATE, Action.COMMENT})


def render(endpoint: EndpointConfig, declaration: RestDeclaration, command: Command) -> Plan:
    """The plan: the one request that the declaration has for this action. Raises Unrenderable."""
    request = request_for(declaration, command.action)
    values = values_of(endpoint, declaration, command)
    if isinstance(request, FileRequest):
        return Plan(command, (_upload(request, command, values),), bool(request.repeatable))
    step = step_of(request, command.action.value, values)
    repeatable = command.action not in _ONCE_ONLY if request.repeatable is None else request.repeatable
    return Plan(command, (step,), repeatable)


def _upload(request: FileRequest, command: Command, values: Mapping[str, Any]) -> Step:
    file, name = command.file, command.action.value
    if file is None:
        raise Unrenderable("There is no file to attach. Skip this delivery.")
    if request.send is not FileForm.INLINE:
        part = request.part if request.send is FileForm.FORM else ""
        return replace(step_of(request, name, values), body=None, upload=Upload(file, part))
    if file.size > MOST_INLINE:
        raise Unrenderable(
            f"The file has {file.size} bytes. This system takes files inside JSON, {MOST_INLINE} bytes at "
            "most. Limit the size in the rule's attachments, or declare another way to send files."
        )
    content = b64encode(b"".join(file.pieces())).decode()
    shown = step_of(request, name, values)
    whole = step_of(request, name, {**values, "file": {**values["file"], "content": content}})
    return replace(whole, shown=shown.body)


def request_for(declaration: RestDeclaration, action: Action) -> Request:
    """The declared request. Raises Unrenderable when there is none."""
    request: Request | None = getattr(declaration.operations, action.value)
    if request is None:
        raise Unrenderable(
            f"This system's declaration has no operations.{action.value}, so it cannot be asked to do that. "
            "Add it, or change the rule."
        )
    return request


def step_of(request: Request, purpose: str, values: Mapping[str, Any]) -> Step:
    """The request with its templates filled in. Raises Unrenderable."""
    try:
        body = fill(request.body, values)
        return Step(
            purpose=purpose,
            method=request.method,
            path=fill_url(request.path, values),
            query=fill_texts(request.query, values),
            headers=fill_texts(request.headers, values),
            body=None if body is MISSING else body,
        )
    except (TemplateError, MissingValue) as error:
        raise Unrenderable(f"operations.{purpose}: {error}") from None


def values_of(endpoint: EndpointConfig, declaration: RestDeclaration, command: Command) -> dict[str, Any]:
    """All that the templates of a command may use: see docs of the REST endpoint type."""
    times, zone = declaration.times, zone_of(declaration.times, endpoint)
    return {
        **entity_values(endpoint, command.entity),
        "attributes": {name: plain_value(value, times, zone) for name, value in command.attributes.items()},
        "fields": _fields(endpoint, declaration, command.attributes),
        "target": _reference(command.target),
        "partner": _reference(command.partner),
        "comment": _comment(command.comment),
        "file": _file(command.file),
        "effect_key": command.effect_key,
        "message_type": command.message_type,
    }


def _file(file: OutgoingFile | None) -> dict[str, Any] | None:
    """A file without its bytes."""
    if file is None:
        return None
    shown = f"({file.size} bytes)"
    return {"name": file.name, "content_type": file.content_type, "size": file.size, "content": shown}


def entity_values(endpoint: EndpointConfig, entity: EntityConfig) -> dict[str, Any]:
    """What templates may use without a command."""
    return {
        "base_url": endpoint.base_url.rstrip("/"),
        "settings": {name: value for name, value in endpoint.settings.items() if name != "declaration"},
        "entity": {
            "name": entity.name,
            "kind": entity.kind.value,
            "remote_name": entity.remote_name,
            "selector": entity.selector,
            "settings": entity.settings,
        },
    }


class Carried:
    """Which attributes the templates of a request carry to the system, worked out once for each name."""

    def __init__(self, request: Request, declaration: RestDeclaration) -> None:
        trees = (request.path, request.query, request.headers, request.body)
        self._read = [path.steps for path in paths_read(*trees)]
        self._declaration = declaration
        self._known: dict[str, bool] = {}

    def of(self, attributes: Attributes) -> dict[str, Any]:
        """Those of the attributes that are carried."""
        return {name: value for name, value in attributes.items() if self._carries(name)}

    def _carries(self, name: str) -> bool:
        if name not in self._known:
            places = ("attributes", name), ("fields", *_native_steps(self._declaration, name))
            self._known[name] = any(_overlap(steps, place) for steps in self._read for place in places)
        return self._known[name]


def _fields(endpoint: EndpointConfig, declaration: RestDeclaration, attributes: Attributes) -> dict[str, Any]:
    """Every attribute under the system's own name; one that is not declared keeps its name."""
    times, zone = declaration.times, zone_of(declaration.times, endpoint)
    fields: dict[str, Any] = {}
    for name, value in attributes.items():
        field = declaration.attributes.get(name) or Field(name)
        *outer, last = _native_steps(declaration, name)
        place = fields
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = native_value(field, value, times, zone)
    return fields


def _native_steps(declaration: RestDeclaration, name: str) -> tuple[str, ...]:
    field = declaration.attributes.get(name)
    return tuple(str(step) for step in compile_path(field.native).steps) if field else (name,)


def _overlap(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    common = min(len(one), len(other))
    return one[:common] == other[:common]


def _reference(reference: Reference | None) -> dict[str, str]:
    if reference is None:
        return {}
    named = {"id": reference.external_id, "number": reference.number, "link": reference.link}
    return {name: value for name, value in named.items() if value}


def _comment(comment: Comment | None) -> dict[str, Any]:
    if comment is None:
        return {}
    author = comment.author
    return {
        "id": comment.id,
        "text": comment.text,
        "visibility": comment.visibility.value,
        "public": comment.visibility is Visibility.PUBLIC,
        "author": {"id": author.id, "name": author.name, "email": author.email},
    }
