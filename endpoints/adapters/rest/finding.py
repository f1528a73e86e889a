"""Answers a rule's questions by the declared `find`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from endpoints.adapters.base import EndpointConfig, Question, Step, Unrenderable
from endpoints.adapters.exchange import Exchange
from endpoints.adapters.rest import reading, rendering
from endpoints.adapters.rest.declaration import Find, RestDeclaration
from endpoints.adapters.rest.templates import paths_read
from endpoints.adapters.rest.values import read_value, zone_of
from endpoints.adapters.values import canonical_value, text_of
from endpoints.canonical import Attributes, EntityKind, Value
from endpoints.outcomes import Failure, Outcome, Result
from oneio.paths import MISSING, compile_path


def step_for(endpoint: EndpointConfig, find: Find, question: Question) -> Step:
    """The request that asks the question. Raises Unrenderable."""
    entity = rendering.entity_values(endpoint, question.entity) if question.entity else {}
    values = {
        **entity,
        "record": question.entity.remote_name if question.entity else question.record,
        "criteria": dict(question.criteria),
        "wanted": list(question.attributes),
        "most": question.limit,
    }
    # A condition that is left out would find other records: without its value the question is not asked.
    for path in paths_read(find.path, find.query, find.headers, find.body):
        if path.root == "criteria" and path.first(values) is MISSING:
            raise Unrenderable(f"The declaration's find reads {path}, which the lookup does not give.")
    return rendering.step_of(find, "find", values)


def records_in(
    answer: Exchange, find: Find, question: Question, endpoint: EndpointConfig, declaration: RestDeclaration
) -> Sequence[Attributes] | Outcome:
    """The records that an answer holds."""
    if answer.outcome.status in find.none:
        return []
    if not answer.confirmed:
        return answer.outcome
    found = compile_path(find.items).first(answer.body)
    items = found if isinstance(found, list) else [] if found is MISSING or found is None else [found]
    reader = _Records(find, question, endpoint, declaration)
    try:
        return [reader.record(item) for item in items[: question.limit] if isinstance(item, Mapping)]
    except ValueError:
        detail = "A record that was found is not written as the declaration's attributes say."
        return replace(
            answer.outcome,
            result=Result.REJECTED,
            failure=Failure.CONFIGURATION,
            code="declaration",
            detail=detail,
        )


class _Records:
    """Reads found records."""

    def __init__(
        self, find: Find, question: Question, endpoint: EndpointConfig, declaration: RestDeclaration
    ) -> None:
        self._find, self._question, self._declaration = find, question, declaration
        self._zone = zone_of(declaration.times, endpoint)

    def record(self, item: Mapping[str, Any]) -> dict[str, Value]:
        """One record; raises ValueError where a value is not of its type."""
        named: dict[str, Value] = {}
        for name, source in (("id", self._find.id), ("number", self._find.number)):
            if text := reading.text_at(source, item, {}, {}):
                named[name] = text
        if self._question.entity is None:
            return {**{name: canonical_value(raw) for name, raw in item.items()}, **named}
        attributes, codes = self._attributes(item, self._question.entity.kind)
        return {**attributes, **named, "codes": dict(codes)}

    def _attributes(
        self, item: Mapping[str, Any], kind: EntityKind
    ) -> tuple[dict[str, Value], dict[str, str]]:
        attributes: dict[str, Value] = {}
        codes: dict[str, str] = {}
        for name, field in self._declaration.attributes.items():
            raw = compile_path(field.native).first(item)
            if raw is MISSING:
                continue
            attributes[name] = read_value(field, name, kind, raw, self._declaration.times, self._zone)
            if field.values and raw is not None:
                codes[name] = text_of(canonical_value(raw))
        return attributes, codes
