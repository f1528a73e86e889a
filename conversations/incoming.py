"""Turns the untrusted body of a message, JSON or XML, into a plain mapping, or says why it cannot.

The same bytes always give the same mapping, so a stored message can be parsed again later. Its values are
text, integers, booleans, None, lists and mappings: whatever is returned can be stored as JSON without loss.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message as MimeHeader
from functools import lru_cache
from typing import Any, NoReturn
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

MAX_DEPTH = 64
MAX_ELEMENTS = 100_000
CONTENT_TYPE_LENGTH = 100
CHARSETS = frozenset({"utf-8", "utf-16", "utf-32", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_JSON = re.compile(r"(application|text)/json|[\w.-]+/[\w.+-]+\+json")
_XML = re.compile(r"(application|text)/xml|[\w.-]+/[\w.+-]+\+xml")
# A string as a whole, closed or not, or one bracket. Possessive: one pass, whatever the text is.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_SUSPICIOUS_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(Exception):
    """A body that cannot be understood. The text says what is wrong with it, without quoting it.

    `response_id` is set once the body has been recorded as a faulty message.
    """

    response_id = ""


class Unsupported(Malformed):
    """A body in a format that is not read at all."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """What a Content-Type header says: `kind` is json or xml; `charset` is empty when not named."""

    name: str
    kind: str
    charset: str

    def __str__(self) -> str:
        return f"{self.name}; charset={self.charset}" if self.charset else self.name


@lru_cache(maxsize=256)
def media_type(content_type: str) -> MediaType:
    """Understand a Content-Type header; an empty one means JSON. Raises Unsupported."""
    if len(content_type) > CONTENT_TYPE_LENGTH or not content_type.isascii():
        raise Unsupported("This content type is not read here; messages are JSON or XML.")
    header = MimeHeader()
    header["Content-Type"] = re.sub(r"[\r\n]", " ", content_type) or "application/json"
    name, charset = header.get_content_type(), str(header.get_param("charset") or "").lower()
    charset = {"utf8": "utf-8", "latin-1": "iso-8859-1", "ascii": "us-ascii"}.get(charset, charset)
    kind = "json" if _JSON.fullmatch(name) else "xml" if _XML.fullmatch(name) else ""
    if not kind:
        raise Unsupported("This content type is not read here; messages are JSON or XML.")
    if charset and charset not in CHARSETS:
        raise Unsupported("This character set is not read here; messages are best sent in UTF-8.")
    return MediaType(name, kind, charset)


def parse(content_type: str, raw: bytes) -> Mapping[str, Any]:
    """The mapping that a JSON object or an XML document holds. Raises Malformed with a sentence.

    Numbers with a fraction or exponent become text with the very digits sent. XML: attributes are
    "@name", text beside attributes or elements is "#text", repeated elements a list; namespaces go.
    """
    media = media_type(content_type)
    if not raw.strip():
        raise Malformed("The body is empty.")
    return _parse_xml(raw, media.charset) if media.kind == "xml" else _parse_json(raw, media.charset)


def _parse_json(raw: bytes, charset: str) -> Mapping[str, Any]:
    text = _decoded(raw, charset)
    _check_depth(text)
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"The body is no JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from None
    except ValueError:
        raise Malformed("The body holds a number with more than 4,300 digits.") from None
    if _SUSPICIOUS_ESCAPE.search(text):
        _check_characters(value)
    return _top_level_object(value)


def _decoded(raw: bytes, charset: str) -> str:
    try:
        return raw.decode("utf-8-sig" if charset in {"", "utf-8"} else charset)
    except UnicodeDecodeError as error:
        expected = (charset or "utf-8").upper()
        raise Malformed(f"Byte {error.start + 1} of the body does not belong to {expected} text.") from None


def _check_depth(text: str) -> None:
    """Refuse deep nesting before a recursive parser meets it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRUCTURE.finditer(text):
        first = match.group()[0]
        if first in "[{":
            depth += 1
        elif first in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise Malformed(f"The body is nested more than {MAX_DEPTH} levels deep.")


def _check_characters(value: Any) -> None:
    for text in _texts(value):
        if "\0" in text:
            raise Malformed("The body holds the character NUL (\\u0000), which no database stores.")
        if _SURROGATE.search(text):
            raise Malformed("The body holds half a character (a lone surrogate such as \\ud800).")


def _texts(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending += value.keys()
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _top_level_object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        what = "a list of several" if isinstance(value, list) and value else "no object"
        raise Malformed(f"The body is {what}; a message is one JSON object, in braces {{ }}.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed("The body names a key twice in one object, so one of the two values would be lost.")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"The body holds {name}, which is no number in JSON.")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_constant=_refuse_constant)


def _parse_xml(raw: bytes, charset: str) -> Mapping[str, Any]:
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, encoding=charset or None, forbid_dtd=True)
    try:
        parser.feed(raw)
        parser.close()
    except DefusedXmlException:
        raise Malformed("The body has a DOCTYPE or entities of its own, which are not read.") from None
    except ParseError as error:
        line, column = error.position
        raise Malformed(f"The body is no XML: look at line {line}, column {column + 1}.") from None
    except (LookupError, ValueError):
        raise Malformed("The body is in a character set that is not read; UTF-8 always works.") from None
    return builder.result


class _Builder:
    """Collects what the XML parser reports into nested mappings; refuses too much of it."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self._open: list[dict[str, Any]] = [self.result]
        self._texts: list[list[str]] = [[]]
        self._elements = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1 + len(attributes)
        if len(self._open) > MAX_DEPTH:
            raise Malformed(f"The body is nested more than {MAX_DEPTH} levels deep.")
        if self._elements > MAX_ELEMENTS:
            raise Malformed(f"The body has more than {MAX_ELEMENTS:,} elements and attributes.")
        self._open.append({f"@{_local(name)}": value for name, value in attributes.items()})
        self._texts.append([])

    def data(self, text: str) -> None:
        self._texts[-1].append(text)

    def end(self, tag: str) -> None:
        content, text = self._open.pop(), "".join(self._texts.pop()).strip()
        if content and text:
            content["#text"] = text
        _put(self._open[-1], _local(tag), content or text)

    def close(self) -> None:
        """Part of the parser's protocol; there is nothing to finish."""


def _put(parent: dict[str, Any], name: str, value: Any) -> None:
    if name not in parent:
        parent[name] = value
    elif isinstance(parent[name], list):
        parent[name].append(value)
    else:
        parent[name] = [parent[name], value]


def _local(name: str) -> str:
    return name.rpartition("}")[2]
