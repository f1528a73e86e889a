"""Reads a configuration document: every key known, every value of its kind, or a place and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from oneio import plain_yaml
from oneio.plain_yaml import MAX_DEPTH, can_be_stored
from routing.models import ConditionGroup
from routing.portable import shape
from routing.portable.companions import COMPANIONS

_UNSTORABLE = "This holds a character that cannot be stored, or goes too deep. Take it out."
SECTIONS = ("oneio", "endpoints", "tables", "rules")


@dataclass(frozen=True, slots=True)
class Problem:
    """What cannot be brought in: where it stands in the document, and why."""

    place: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}" if self.place else self.sentence


class Unimportable(Exception):
    """A document that cannot be brought in, with every problem that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ConditionNode:
    """A condition, or a group of them."""

    fields: Mapping[str, Any]
    group: str = ""
    below: tuple[ConditionNode, ...] = ()


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping; table and counter by name."""

    place: str
    fields: Mapping[str, Any]
    table: str = ""
    counter: str = ""
    conditions: tuple[ConditionNode, ...] = ()


@dataclass(frozen=True, slots=True)
class LookupNode:
    """A lookup; `source` is endpoint, or endpoint/entity type."""

    place: str
    fields: Mapping[str, Any]
    source: str


@dataclass(frozen=True, slots=True)
class RuleNode:
    """A rule with the rows of one version; source and target are endpoint/entity type."""

    slug: str
    place: str
    rule: Mapping[str, Any]
    version: Mapping[str, Any]
    owner: str
    source: str
    target: str
    conditions: tuple[ConditionNode, ...]
    mappings: tuple[MappingNode, ...]
    delays: tuple[Mapping[str, Any], ...]
    lookups: tuple[LookupNode, ...]
    attachments: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TableNode:
    """A translation table; each row is what goes in and what comes out."""

    name: str
    place: str
    fields: Mapping[str, Any]
    rows: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class EndpointNode:
    """An endpoint with its entity types, by name."""

    slug: str
    place: str
    fields: Mapping[str, Any]
    entities: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Document:
    """All that a document holds, checked as far as it can be without a database."""

    endpoints: tuple[EndpointNode, ...] = ()
    tables: tuple[TableNode, ...] = ()
    rules: tuple[RuleNode, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Sections that other apps read, as they stand there."""


def read(text: str) -> Document:
    """The document written in the text. Raises Unimportable with all that is wrong."""
    try:
        raw = plain_yaml.load(text)
    except plain_yaml.PlainYamlError as error:
        raise Unimportable([Problem("", str(error))]) from None
    document, problems = look_at(raw)
    if problems:
        raise Unimportable(problems)
    return document


def look_at(raw: Any) -> tuple[Document, list[Problem]]:
    """The document in a tree of plain values, as far as it can be read, and all that is wrong with it."""
    reader = _Reader()
    if place := _unstorable(raw):
        return Document(), [Problem(place, _UNSTORABLE)]
    return reader.document(raw), reader.problems


@dataclass
class _Reader:
    problems: list[Problem] = field(default_factory=list)

    def document(self, raw: Any) -> Document:
        top = self._mapping(raw, "", (*SECTIONS, *COMPANIONS))
        if top.get("oneio") != shape.FORMAT:
            self._refuse("oneio", f"The first line must be 'oneio: {shape.FORMAT}', the format of this file.")
        return Document(
            tuple(self._endpoint(slug, one) for slug, one in self._named(top, "endpoints")),
            tuple(self._table(name, one) for name, one in self._named(top, "tables")),
            tuple(self._rule(slug, one) for slug, one in self._named(top, "rules")),
            {name: top[name] for name in COMPANIONS if name in top},
        )

    def _endpoint(self, slug: str, raw: Any) -> EndpointNode:
        place = f"endpoints.{slug}"
        given = self._mapping(raw, place, (*shape.ENDPOINT.fields, "entity_types"))
        entities = self._mapping(given.get("entity_types", {}), f"{place}.entity_types", None)
        return EndpointNode(
            slug,
            place,
            self._fields(given, shape.ENDPOINT, place),
            {
                str(name): self._row(one, shape.ENTITY, f"{place}.entity_types.{name}")
                for name, one in entities.items()
            },
        )

    def _table(self, name: str, raw: Any) -> TableNode:
        place = f"tables.{name}"
        given = self._mapping(raw, place, (*shape.TABLE.fields, "rows"))
        fields = self._fields(given, shape.TABLE, place)
        rows = self._list(given.get("rows", []), f"{place}.rows")
        wide = bool(fields["inputs"])
        read = self._wide_row if wide else self._pair
        return TableNode(
            name,
            place,
            fields,
            tuple(read(row, f"{place}.rows[{at}]", fields) for at, row in enumerate(rows)),
        )

    def _pair(self, raw: Any, place: str, _: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        pair = self._texts(raw, place)
        if len(pair) != 2:
            self._refuse(place, "A row is a pair: [what comes in, what goes out].")
            return ("",), ("",)
        return pair[:1], pair[1:]

    def _wide_row(
        self, raw: Any, place: str, fields: Mapping[str, Any]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        given = self._mapping(raw, place, ("from", "to"))
        sides = self._texts(given.get("from", []), place), self._texts(given.get("to", []), place)
        if (len(sides[0]), len(sides[1])) != (len(fields["inputs"]), len(fields["outputs"])):
            self._refuse(place, "The row has another number of values than the table has columns.")
        return sides

    def _rule(self, slug: str, raw: Any) -> RuleNode:
        place = f"rules.{slug}"
        own = ("owner", "from", "to", "when", *shape.CATEGORIES, "delays", "lookups", "attachments")
        given = self._mapping(raw, place, (*shape.RULE.fields, *shape.VERSION.fields, *own))
        if not given.get("from"):
            self._refuse(f"{place}.from", "The rule takes nothing. Write endpoint/entity type.")
        files = given.get("attachments")
        return RuleNode(
            slug=slug,
            place=place,
            rule=self._fields(given, shape.RULE, place),
            version=self._fields(given, shape.VERSION, place),
            owner=str(given.get("owner", "")),
            source=str(given.get("from", "")),
            target=str(given.get("to", "")),
            conditions=self._conditions(given.get("when", []), f"{place}.when"),
            mappings=tuple(
                self._mapping_row(row, category, f"{place}.{key}[{at}]")
                for key, category in shape.CATEGORIES.items()
                for at, row in enumerate(self._list(given.get(key, []), f"{place}.{key}"))
            ),
            delays=self._rows(given.get("delays", []), shape.DELAY, f"{place}.delays"),
            lookups=tuple(
                self._lookup(row, f"{place}.lookups[{at}]")
                for at, row in enumerate(self._list(given.get("lookups", []), f"{place}.lookups"))
            ),
            attachments=None if files is None else self._row(files, shape.FILES, f"{place}.attachments"),
        )

    def _conditions(self, raw: Any, place: str) -> tuple[ConditionNode, ...]:
        rows = self._list(raw, place)
        return tuple(self._condition(row, f"{place}[{at}]") for at, row in enumerate(rows))

    def _condition(self, raw: Any, place: str) -> ConditionNode:
        if isinstance(raw, Mapping) and len(raw) == 1 and next(iter(raw)) in ConditionGroup.values:
            group, below = next(iter(raw.items()))
            return ConditionNode({}, group, self._conditions(below, f"{place}.{group}"))
        return ConditionNode(self._row(raw, shape.CONDITION, place))

    def _mapping_row(self, raw: Any, category: str, place: str) -> MappingNode:
        given = self._mapping(raw, place, (*shape.MAPPING.fields, "table", "counter", "when"))
        return MappingNode(
            place,
            {**self._fields(given, shape.MAPPING, place), "category": category},
            str(given.get("table", "")),
            str(given.get("counter", "")),
            self._conditions(given.get("when", []), f"{place}.when"),
        )

    def _lookup(self, raw: Any, place: str) -> LookupNode:
        given = self._mapping(raw, place, (*shape.LOOKUP.fields, "from"))
        return LookupNode(place, self._fields(given, shape.LOOKUP, place), str(given.get("from", "")))

    def _rows(self, raw: Any, kind: shape.Shape, place: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(self._row(row, kind, f"{place}[{at}]") for at, row in enumerate(self._list(raw, place)))

    def _row(self, raw: Any, kind: shape.Shape, place: str) -> Mapping[str, Any]:
        return self._fields(self._mapping(raw, place, tuple(kind.fields)), kind, place)

    def _fields(self, given: Mapping[Any, Any], kind: shape.Shape, place: str) -> dict[str, Any]:
        """Each field with the value given or its default."""
        return {
            name: self._value(given[key], kind.field(key), f"{place}.{key}")
            if key in given
            else kind.default(key)
            for key, name in kind.fields.items()
        }

    def _value(self, raw: Any, field: models.Field[Any, Any], place: str) -> Any:
        value = [_text(item) for item in raw] if _is_texts(raw, field) else raw
        if isinstance(field, models.CharField | models.TextField):
            value = _text(raw)
        if isinstance(field, models.JSONField) and type(value) is not type(field.get_default()):
            self._refuse(place, "This has another form than an exported one. Compare it with one.")
            return field.get_default()
        try:
            return field.clean(value, None)
        except ValidationError as error:
            self._refuse(place, " ".join(error.messages))
            return field.get_default()

    def _named(self, top: Mapping[Any, Any], section: str) -> list[tuple[str, Any]]:
        return [(str(name), one) for name, one in self._mapping(top.get(section, {}), section, None).items()]

    def _mapping(self, raw: Any, place: str, known: Sequence[str] | None) -> Mapping[Any, Any]:
        if not isinstance(raw, Mapping):
            self._refuse(place, "This must be a mapping of keys to values.")
            return {}
        for key in raw if known is not None else ():
            if key not in (known or ()):
                self._refuse(f"{place}.{key}".lstrip("."), _unknown(str(key), known or ()))
        return raw

    def _list(self, raw: Any, place: str) -> Sequence[Any]:
        if isinstance(raw, list):
            return raw
        self._refuse(place, "This must be a list.")
        return []

    def _texts(self, raw: Any, place: str) -> tuple[str, ...]:
        return tuple(_text(item) for item in self._list(raw, place))

    def _refuse(self, place: str, sentence: str) -> None:
        self.problems.append(Problem(place, sentence))


def _is_texts(raw: Any, field: models.Field[Any, Any]) -> bool:
    return isinstance(field, ArrayField) and isinstance(raw, list)


def _text(raw: Any) -> Any:
    """A number or a truth as it was written; what is no single value stays for the field to refuse."""
    if raw is None:
        return ""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw) if isinstance(raw, int) else raw


def _unstorable(raw: Any) -> str:
    """Where the tree has a text that the database takes in no column, or goes too deep; empty if nowhere."""
    left = [("", raw, 0)]
    while left:
        place, value, depth = left.pop()
        if depth > MAX_DEPTH or (isinstance(value, str) and not can_be_stored(value)):
            return place or "document"
        if isinstance(value, Mapping):
            inside: list[tuple[Any, Any]] = [*value.items(), *(("key", key) for key in value)]
        else:
            inside = list(enumerate(value)) if isinstance(value, list) else []
        left += [(f"{place}.{_name(key)}".lstrip("."), one, depth + 1) for key, one in inside]
    return ""


def _name(key: Any) -> str:
    return str(key) if can_be_stored(str(key)) else "key"


def _unknown(key: str, known: Sequence[str]) -> str:
    close = get_close_matches(key, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else f" Known are {', '.join(known)}."
    return f"The key '{key}' is not known.{hint}"
