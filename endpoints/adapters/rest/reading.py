"""A REST system's message as a canonical one, by its declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from endpoints.adapters.base import EndpointConfig, EntityConfig, Received, Unreadable
from endpoints.adapters.rest.declaration import (
    ActorPaths,
    CommentPaths,
    Field,
    FilePaths,
    Inbound,
    OperationSource,
    RestDeclaration,
    Source,
    VisibilitySource,
)
from endpoints.adapters.rest.values import read_time, read_value, zone_of
from endpoints.adapters.values import canonical_value, text_of
from endpoints.canonical import (
    ANY_TYPE,
    Actor,
    Attachment,
    CanonicalMessage,
    Comment,
    Operation,
    Value,
    Visibility,
)
from oneio.paths import MISSING, Path, compile_path
from oneio.templating import compile_template


def read(
    endpoint: EndpointConfig,
    declaration: RestDeclaration,
    received: Received,
    entity: EntityConfig | None = None,
) -> CanonicalMessage:
    """The message; `entity` is given when it is known beforehand. Raises Unreadable."""
    return _Reader(endpoint, declaration, received).message(entity)


def sample(endpoint: EndpointConfig, inbound: Inbound) -> dict[str, Any]:
    """A body with the ticket's id, number and type where the declaration looks for them."""
    body: dict[str, Any] = {}
    for source, text in (
        (inbound.id, "TEST-1"),
        (inbound.number, "TEST-1"),
        (inbound.entity_type, endpoint.first_selector),
    ):
        if source.path:
            _put(body, compile_path(source.path), text)
    return body


def _put(body: dict[str, Any], path: Path, text: str) -> None:
    """Write `text` there if the path is made of names and nothing else stands in its way."""
    place: Any = body
    for name in path.steps[:-1]:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if isinstance(place, dict) and all(isinstance(name, str) for name in path.steps):
        place.setdefault(path.steps[-1], text)


def link_to(endpoint: EndpointConfig, declaration: RestDeclaration, external_id: str, number: str) -> str:
    """The ticket's address for a browser, empty when none is declared."""
    values = {"base_url": endpoint.base_url.rstrip("/"), "id": external_id, "number": number}
    return compile_template(declaration.link).render(values) if declaration.link and external_id else ""


def text_at(source: Source, body: Any, headers: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """What stands there as text, empty for nothing."""
    value = source.find(body, headers, parameters)
    return "" if value is MISSING else text_of(canonical_value(value))


class _Reader:
    """Reads one message."""

    def __init__(self, endpoint: EndpointConfig, declaration: RestDeclaration, received: Received) -> None:
        self._endpoint = endpoint
        self._declaration = declaration
        self._inbound = declaration.inbound
        self._received = received
        self._zone = zone_of(declaration.times, endpoint)

    def message(self, entity: EntityConfig | None) -> CanonicalMessage:
        entity = entity or self._entity()
        external_id = self._text(self._inbound.id)
        if not external_id:
            raise Unreadable(
                f"The message holds no ticket id at {_place(self._inbound.id)}. "
                "Correct inbound.id in the declaration, or let the system send the id there."
            )
        number = self._text(self._inbound.number)
        attributes, codes = self._attributes(entity)
        return CanonicalMessage(
            entity_type=entity.name,
            kind=entity.kind,
            operation=self._operation(self._inbound.operation),
            external_id=external_id,
            number=number,
            link=self._text(self._inbound.link)
            or link_to(self._endpoint, self._declaration, external_id, number),
            actor=_actor(self._inbound.actor, self._received.body),
            occurred_at=self._time(
                self._source(self._inbound.occurred_at), _place(self._inbound.occurred_at)
            ),
            attributes=attributes,
            codes=codes,
            comments=tuple(self._comments()),
            attachments=tuple(self._attachments()),
            native=self._received.body,
            parameters=self._received.parameters,
            effect_key=self._effect_key(),
            event_id=self._text(self._inbound.event_id),
        )

    def _source(self, source: Source) -> Any:
        return source.find(self._received.body, self._received.headers, self._received.parameters)

    def _text(self, source: Source) -> str:
        return text_at(source, self._received.body, self._received.headers, self._received.parameters)

    def _entity(self) -> EntityConfig:
        source = self._inbound.entity_type
        if source == Source():
            active = [entity for entity in self._endpoint.entities if entity.active]
            if len(active) == 1:
                return active[0]
            raise Unreadable(
                "The declaration names no inbound.entity_type, so one entity type must be active."
            )
        selector = self._text(source)
        if entity := self._endpoint.entity_selected_by(selector):
            return entity
        raise Unreadable(
            f"The message is of type {selector[:100]!r}, found at {_place(source)}. "
            "No active entity type of this endpoint has that as its resolving value."
        )

    def _operation(self, source: OperationSource) -> Operation:
        word = self._text(source)
        folded = {name.casefold(): operation for name, operation in source.values.items()}
        operation = folded.get(word.casefold(), source.default)
        if operation is None:
            raise Unreadable(
                f"{word[:100]!r} at {_place(source)} is no operation that the declaration knows."
            )
        return operation

    def _attributes(self, entity: EntityConfig) -> tuple[dict[str, Value], dict[str, str]]:
        attributes: dict[str, Value] = {}
        codes: dict[str, str] = {}
        record = compile_path(self._inbound.record).first(self._received.body)
        for name, field in self._declaration.attributes.items():
            raw = self._raw(field, record)
            if raw is MISSING:
                continue
            attributes[name] = self._value(entity, name, field, raw)
            if field.values and raw is not None:
                codes[name] = text_of(canonical_value(raw))
        return attributes, codes

    def _raw(self, field: Field, record: Any) -> Any:
        if field.path:
            return compile_path(field.path).first(self._received.body)
        return compile_path(field.native).first(record)

    def _value(self, entity: EntityConfig, name: str, field: Field, raw: Any) -> Value:
        try:
            return read_value(field, name, entity.kind, raw, self._declaration.times, self._zone)
        except ValueError:
            raise Unreadable(
                f"{name} (field {field.native}) is not written as the declaration says. "
                "Compare its type and the declaration's times."
            ) from None

    def _time(self, raw: Any, place: str) -> datetime | None:
        try:
            return None if raw is MISSING else read_time(raw, self._declaration.times, self._zone)
        except ValueError:
            raise Unreadable(f"The time at {place} is not written as the declaration's times say.") from None

    def _comments(self) -> Iterator[Comment]:
        for paths in self._inbound.comments:
            for found in compile_path(paths.path).all(self._received.body):
                for item in found if isinstance(found, list) else [found]:
                    if text := _text_in(item, paths.text):
                        yield self._comment(paths, item, text)

    def _comment(self, paths: CommentPaths, item: Any, text: str) -> Comment:
        at = compile_path(paths.at).first(item) if paths.at else MISSING
        return Comment(
            id=_text_in(item, paths.id),
            text=text,
            visibility=_visibility(paths.visibility, item),
            author=_actor(paths.author, item),
            at=self._time(at, f"{paths.path}.{paths.at}"),
        )

    def _attachments(self) -> Iterator[Attachment]:
        for paths in self._inbound.attachments:
            for found in compile_path(paths.path).all(self._received.body):
                for item in found if isinstance(found, list) else [found]:
                    yield _attachment(paths, item)

    def _effect_key(self) -> str:
        if not self._inbound.effect_key:
            return ""
        prefix = self._inbound.effect_key_prefix
        found = compile_path(self._inbound.effect_key).all(self._received.body)
        texts = (text for value in found for text in (value if isinstance(value, list) else [value]))
        marks = (text for text in texts if isinstance(text, str) and text.startswith(prefix))
        return next(marks, prefix)[len(prefix) :]


def _text_in(document: Any, path: str) -> str:
    value = compile_path(path).first(document) if path else MISSING
    return "" if value is MISSING else text_of(canonical_value(value))


def _attachment(paths: FilePaths, item: Any) -> Attachment:
    size = _text_in(item, paths.size)
    return Attachment(
        id=_text_in(item, paths.id),
        file_name=_text_in(item, paths.name),
        content_type=_text_in(item, paths.type) or ANY_TYPE,
        size=int(size) if size.isdecimal() else None,
        url=_text_in(item, paths.url),
        content=_text_in(item, paths.content),
    )


def _actor(paths: ActorPaths, document: Any) -> Actor:
    return Actor(*(_text_in(document, path) for path in (paths.id, paths.name, paths.email)))


def _visibility(source: VisibilitySource, item: Any) -> Visibility:
    word = _text_in(item, source.path).casefold()
    return next((seen for name, seen in source.values.items() if name.casefold() == word), source.default)


def _place(source: Source) -> str:
    return source.path or f"{source.header or source.parameter or 'any declared place'}"
