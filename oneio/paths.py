"""Paths into a document: JSONPath's core grammar, parsed once, over mappings and lists as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeAlias

from jsonpath_ng import Child, Fields, Index, Root
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.jsonpath import Wildcard
from jsonpath_ng.lexer import JsonPathLexer
from jsonpath_ng.parser import JsonPathParser

MAX_LENGTH = 500
MAX_CACHED = 4096
_PLAIN = re.compile(r"(?:\$\.)?([^\W\d][\w-]*(?:\.[^\W\d][\w-]*)*)")
_WRITTEN_PLAIN = re.compile(r"(?!(?:where|wherenot)$)[A-Za-z_][A-Za-z0-9_-]*")
_REFUSED: Mapping[str, str] = {
    "DOUBLEDOT": "'..' (search at any depth)",
    "WHERE": "'where'",
    "WHERENOT": "'wherenot'",
    "NAMED_OPERATOR": "an operator in back quotes",
    "|": "'|'",
    "&": "'&'",
    "~": "'~'",
    ",": "a comma (several names at once)",
    "(": "a bracket '('",
}


class Missing(Enum):
    """The type of `MISSING`, so that a type checker can tell it from every value, None included."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


class PathError(ValueError):
    """A text that is not a path that can be used; its message is a sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class _Every:
    """One step that takes every element of a list or every value of a mapping."""


class _Mappings(dict[type, bool]):
    """Which types are mappings. Of each value of a path, `isinstance` would take several times longer."""

    def __missing__(self, kind: type) -> bool:
        self[kind] = answer = issubclass(kind, Mapping)
        return answer


_HAS_NAMES = _Mappings()
_Step: TypeAlias = "str | int | slice | _Every"


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; make it with `compile_path`. Two paths are equal if they take the same steps."""

    steps: tuple[_Step, ...]
    many: bool = field(init=False, repr=False, compare=False)
    """Whether the path may lead to several values."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "many", any(isinstance(step, slice | _Every) for step in self.steps))

    @property
    def root(self) -> str | None:
        """The name that the path begins with; None for `$`, `*` and the like."""
        return self.steps[0] if self.steps and isinstance(self.steps[0], str) else None

    def under(self, name: str) -> Path:
        """The same path, one level down: looked for in what `name` holds."""
        return Path((name, *self.steps))

    def first(self, document: Any) -> Any:
        """The first value that the path leads to, or `MISSING`. A value of None is a value."""
        value = document
        for place, step in enumerate(self.steps):
            if type(step) is not str:
                return next(_walk(value, self.steps[place:]), MISSING)
            if not _HAS_NAMES[type(value)]:
                return MISSING
            value = value.get(step, MISSING)
        return value

    def all(self, document: Any) -> list[Any]:
        """Every value that the path leads to, in the document's order."""
        if not self.many:
            value = self.first(document)
            return [] if value is MISSING else [value]
        return list(_walk(document, self.steps))

    def __str__(self) -> str:
        return "".join(_written(step, first=not place) for place, step in enumerate(self.steps)) or "$"


@lru_cache(maxsize=MAX_CACHED)
def compile_path(text: str) -> Path:
    """The path written in `text`: names joined by dots, `["any name"]`, `[0]`, `[-1]`, `[1:3]`, `[*]`, `$`.

    Raises PathError with a sentence on anything else and on more than 500 characters.
    """
    if len(text) > MAX_LENGTH:
        raise PathError(f"The path has {len(text)} characters. Shorten it to {MAX_LENGTH} or fewer.")
    if plain := _PLAIN.fullmatch(text):
        return Path(tuple(plain[1].split(".")))
    if not text.strip():
        raise PathError("The path is empty. Write the name of an attribute, such as title.")
    return Path(tuple(_steps(_parse(text))))


def _parse(text: str) -> Any:
    """jsonpath-ng's tree of the path, which holds only what `_steps` knows."""
    try:
        tokens = list(JsonPathLexer().tokenize(text))
        _refuse(tokens)
        return JsonPathParser().parse_token_stream(iter(tokens))
    except (JSONPathError, RecursionError) as error:
        raise PathError(
            f"The path {text!r} cannot be read. Join names with dots and put a name with spaces, dots"
            ' or other signs into brackets and quotes: attributes["weird name"].'
        ) from error


def _refuse(tokens: list[Any]) -> None:
    for token in tokens:
        if token.type in _REFUSED:
            raise PathError(
                f"A path cannot use {_REFUSED[token.type]}. Name the place itself, level by level;"
                " a name that holds such a sign goes into brackets and quotes."
            )


def _steps(tree: Any) -> Iterator[_Step]:
    if isinstance(tree, Child):
        yield from _steps(tree.left)
        yield from _steps(tree.right)
    elif not isinstance(tree, Root):
        yield _step(tree)


def _step(tree: Any) -> _Step:
    match tree:
        case Wildcard():
            return _Every()
        case Fields():
            return str(tree.fields[0])
        case Index():
            return int(tree.indices[0])
    # `_refuse` has let nothing else through.
    return slice(tree.start, tree.end, _stride(tree.step))


def _stride(step: int | None) -> int | None:
    if step == 0:
        raise PathError("A slice cannot have a step of 0. Leave the step out.")
    return step


def _walk(value: Any, steps: tuple[_Step, ...]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    for inner in _take(value, steps[0]):
        yield from _walk(inner, steps[1:])


def _take(value: Any, step: _Step) -> Iterator[Any]:
    match step:
        case str():
            if isinstance(value, Mapping) and step in value:
                yield value[step]
        case int():
            if isinstance(value, list) and -len(value) <= step < len(value):
                yield value[step]
        case slice():
            yield from value[step] if isinstance(value, list) else ()
        case _Every():
            yield from _every(value)


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _written(step: _Step, *, first: bool) -> str:
    match step:
        case str() if _WRITTEN_PLAIN.fullmatch(step):
            return step if first else f".{step}"
        case str():
            return '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
        case int():
            return f"[{step}]"
        case slice():
            ends = [step.start, step.stop, *([step.step] if step.step is not None else [])]
            return "[" + ":".join("" if end is None else str(end) for end in ends) + "]"
        case _:
            return "[*]"
