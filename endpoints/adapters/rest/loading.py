"""Declarations from YAML: every key known, every path, template and pattern readable, or a clear error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import re2

from endpoints.adapters.base import Unreadable, Unrenderable
from endpoints.adapters.rest.declaration import AuthKind, RestDeclaration, Source
from endpoints.adapters.rest.templates import check_body, check_url
from oneio import plain_yaml
from oneio.paths import compile_path
from oneio.templating import compile_template

MAX_LENGTH = 64 * 1024
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class DeclarationError(Unreadable, Unrenderable):
    """A declaration that cannot be used; the text names the key and says what is wrong with it."""


@lru_cache(maxsize=256)
def declaration_from_text(text: str) -> RestDeclaration:
    """The declaration written as YAML. Raises DeclarationError."""
    try:
        mapping = plain_yaml.load(text, "declaration", MAX_LENGTH)
    except plain_yaml.PlainYamlError as error:
        raise DeclarationError(str(error)) from None
    return declaration_from_mapping(mapping)


def declaration_from_mapping(mapping: Any) -> RestDeclaration:
    """The declaration in plain values. Raises DeclarationError, which names the wrong key by its path."""
    declaration: RestDeclaration = _build(RestDeclaration, mapping, "")
    auth = declaration.auth
    if declaration.inbound.id == Source():
        raise _wrong("inbound.id", "must name a place: a path, a header or a parameter")
    if auth.kind in (AuthKind.HEADER, AuthKind.QUERY) and not auth.name:
        raise _wrong("auth.name", "is missing: name the header or parameter of the API key")
    if auth.kind is AuthKind.OAUTH2 and not auth.token_url:
        raise _wrong("auth.token_url", "is missing: it is where access tokens are fetched")
    return declaration


def _build(kind: Any, value: Any, where: str) -> Any:
    shorthand = getattr(kind, "SHORTHAND", None)
    if shorthand and isinstance(value, str):
        value = {shorthand: value}
    if not isinstance(value, Mapping):
        raise _wrong(where, "must be a mapping of keys to values")
    known = {item.name: item for item in fields(kind)}
    for key in value:
        if key not in known:
            raise _unknown(f"{where}.{key}", str(key), list(known))
    for name, item in known.items():
        if name not in value and item.default is NO_DEFAULT and item.default_factory is NO_DEFAULT:
            raise _wrong(f"{where}.{name}", "is missing")
    hints = get_type_hints(kind, include_extras=True)
    given = {key: item for key, item in value.items() if not _is_default(item, known[key].default)}
    return kind(**{key: _convert(hints[key], item, f"{where}.{key}") for key, item in given.items()})


def _is_default(value: Any, default: Any) -> bool:
    """Whether the key could as well be left out; 1 and true are not the same here."""
    return type(value) is type(default) and value == default


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        base, rule = get_args(hint)
        return _checked(rule, _convert(base, value, where), where)
    if origin is UnionType:
        return None if value is None else _convert(get_args(hint)[0], value, where)
    if origin in _CONTAINERS:
        return _CONTAINERS[origin](get_args(hint), value, where)
    if is_dataclass(hint):
        return _build(hint, value, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(hint, value, where)
    return _plain(hint, value, where)


def _mapping(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(where, "must be a mapping of keys to values")
    key_hint, item_hint = arguments
    return {
        (_key(key) if key_hint is str else key): _convert(item_hint, item, f"{where}.{key}")
        for key, item in value.items()
    }


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise _wrong(where, "must be a list")
    return tuple(_convert(arguments[0], item, f"{where}[{place}]") for place, item in enumerate(value))


def _set(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    return frozenset(_tuple(arguments, value, where))


_CONTAINERS: Mapping[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    Mapping: _mapping,
    tuple: _tuple,
    frozenset: _set,
}


def _key(key: Any) -> str:
    """YAML reads some keys as booleans; people mean the word that JSON has."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _choice(kind: type[Enum], value: Any, where: str) -> Enum:
    names = [str(member.value) for member in kind]
    if value not in names:
        raise _wrong(where, f"must be one of {', '.join(names)}")
    return kind(value)


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str and number:
        return str(value)
    if hint is float and (number or _is_fraction(value)):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise _wrong(where, f"must be {_NAMES[hint]}")
    return value


def _is_fraction(value: Any) -> bool:
    """Whether a text is a number with a fraction, which YAML leaves as it was written."""
    return isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value) is not None


_NAMES = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


def _name(text: str) -> None:
    if not all(isinstance(step, str) for step in compile_path(text).steps):
        raise ValueError("must be a name, or names joined by dots.")


def _method(text: str) -> None:
    if text not in METHODS:
        raise ValueError(f"must be one of {', '.join(METHODS)}.")


def _pattern(text: str) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error:
        raise ValueError("is not a regular expression that google-re2 can read.") from None


def _zone(text: str) -> None:
    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        raise ValueError("is not a time zone. Write a name such as Europe/Helsinki.") from None


_RULES: Mapping[str, Callable[[Any], object]] = {
    "path": compile_path,
    "name": _name,
    "template": compile_template,
    "url": check_url,
    "pattern": _pattern,
    "body": check_body,
    "method": _method,
    "zone": _zone,
}


def _checked(rule: str, value: Any, where: str) -> Any:
    try:
        _RULES[rule](value)
    except ValueError as error:
        raise _wrong(where, str(error)) from None
    return value


def _unknown(where: str, key: str, known: list[str]) -> DeclarationError:
    near = get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
    return _wrong(where, f"is not known; {hint}")


def _wrong(where: str, what: str) -> DeclarationError:
    name = where.lstrip(".") or "The declaration"
    separator = ":" if re.match(r"[A-Z]", what) else ""
    return DeclarationError(f"{name}{separator} {what}" + ("" if what[-1] in ".?" else "."))
