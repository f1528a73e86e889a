"""HTML as an Atlassian document: paragraphs, headings, lists, tables, links, code; no scripts or styles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from typing import Any

from endpoints.richtext.building import DocumentBuilder, check_length

MAX_MARKS = 30
"""Marks inside each other; further ones are not read."""
_TAG = re.compile(r"""<(/?)([A-Za-z][\w:-]{0,30}+)((?>[^<>"']|"[^"<]*"|'[^'<]*')*+)>""")
_ATTRIBUTE = re.compile(r"""(?<![\w:-])([\w:-]++)\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]++))""")
_BLANK = re.compile(r"[ \t\r\n\f]+")
_SAFE = re.compile(r"(?:https?|mailto|tel|ftp):", re.IGNORECASE)
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript", "svg", "math"})
_LINES = frozenset(
    {
        *("p", "div", "section", "article", "header", "footer", "main", "aside", "address", "center"),
        *("figure", "figcaption", "dl", "dt", "dd", "form", "fieldset", "tbody", "thead", "tfoot"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "caption", "body", "html", "details", "summary"),
    }
)
_MARKS: Mapping[str, str] = {
    **dict.fromkeys(("b", "strong"), "strong"),
    **dict.fromkeys(("i", "em", "cite", "var"), "em"),
    **dict.fromkeys(("s", "strike", "del"), "strike"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("code", "tt", "kbd", "samp"), "code"),
}
_CONTAINERS: Mapping[str, str] = {
    "ul": "bulletList",
    "ol": "orderedList",
    "blockquote": "blockquote",
    "table": "table",
    "tr": "tableRow",
    "td": "tableCell",
    "th": "tableHeader",
}
# What ends by itself when its sibling begins, and within what.
_SIBLINGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "li": (("listItem",), ("bulletList", "orderedList")),
    "tr": (("tableRow",), ("table",)),
    "td": (("tableCell", "tableHeader"), ("tableRow",)),
    "th": (("tableCell", "tableHeader"), ("tableRow",)),
}


def html_to_adf(html: str) -> dict[str, Any]:
    """The document that people would see. Raises DocumentTooLong."""
    return _Reader(check_length(html)).read()


class _Reader:
    def __init__(self, html: str) -> None:
        self._html = html
        self._to = DocumentBuilder()
        self._marks: list[tuple[str, dict[str, Any]]] = []

    def read(self) -> dict[str, Any]:
        for text, closing, tag, attributes in _tokens(self._html):
            if not tag:
                self._text(text)
            elif closing:
                self._ends(tag)
            else:
                self._begins(tag, attributes)
        return self._to.finish()

    def _text(self, text: str) -> None:
        self._to.write(_BLANK.sub(" ", unescape(text)), _together([mark for _, mark in self._marks]))

    def _begins(self, tag: str, attributes: str) -> None:
        if begin := _BEGINNINGS.get(tag):
            begin(self._to, _attributes(attributes))
        elif tag in _MARKS:
            self._mark(tag, {"type": _MARKS[tag]})
        elif tag == "a":
            address = _attributes(attributes).get("href", "").strip()
            if _SAFE.match(address):
                self._mark(tag, {"type": "link", "attrs": {"href": address}})
        elif tag == "pre":
            self._to.code(unescape(_TAG.sub("", attributes)))
        else:
            self._opens(tag)

    def _mark(self, tag: str, mark: dict[str, Any]) -> None:
        if len(self._marks) < MAX_MARKS:
            self._marks.append((tag, mark))

    def _opens(self, tag: str) -> None:
        if tag in _SIBLINGS:
            own, parents = _SIBLINGS[tag]
            if self._innermost(own, parents):
                self._to.close(*own)
        if tag == "li":
            if not self._to.inside("bulletList", "orderedList"):
                self._to.open("bulletList")
            self._to.open("listItem")
        elif tag in _CONTAINERS:
            self._to.open(_CONTAINERS[tag])
        elif tag in _LINES:
            self._to.heading(int(tag[1]) if re.fullmatch("h[1-6]", tag) else 0)

    def _innermost(self, own: tuple[str, ...], parents: tuple[str, ...]) -> bool:
        return self._to.innermost(*own, *parents) in own

    def _ends(self, tag: str) -> None:
        if tag in _MARKS or tag == "a":
            places = [place for place, (name, _) in enumerate(self._marks) if name == tag]
            if places:
                del self._marks[places[-1]]
        elif tag == "li":
            self._to.close("listItem")
        elif tag in _CONTAINERS:
            self._to.close(_CONTAINERS[tag])
        elif tag in _LINES:
            self._to.end_line()


def _tokens(html: str) -> Iterator[tuple[str, bool, str, str]]:
    """Texts and tags in order, in time linear to the text: (text, whether it closes, tag, attributes)."""
    position = 0
    while (start := html.find("<", position)) >= 0:
        if start > position:
            yield html[position:start], False, "", ""
        tag = _TAG.match(html, start)
        if tag is None:
            position = _after_declaration(html, start)
            if position == start + 1:
                yield "<", False, "", ""
            continue
        name, position = tag[2].lower(), tag.end()
        if not tag[1] and name in _SILENT | {"pre"}:
            end, position = _end_of(html, name, position)
            if name == "pre":
                yield "", False, name, html[tag.end() : end]
            continue
        yield "", bool(tag[1]), name, tag[3]
    if position < len(html):
        yield html[position:], False, "", ""


def _after_declaration(html: str, start: int) -> int:
    """Where a comment or declaration that begins here ends; one sign further if there is none."""
    for opening, closing in (("<!--", "-->"), ("<!", ">"), ("<?", ">")):
        if html.startswith(opening, start):
            end = html.find(closing, start + len(opening))
            return len(html) if end < 0 else end + len(closing)
    return start + 1


def _end_of(html: str, name: str, start: int) -> tuple[int, int]:
    """Where an element that is not read ends: its content, and its closing tag."""
    found = re.compile(f"</{name}[^<>]{{0,100}}>", re.IGNORECASE).search(html, start)
    return (found.start(), found.end()) if found else (len(html), len(html))


def _attributes(text: str) -> dict[str, str]:
    return {
        found[1].lower(): unescape(next(part for part in found.groups()[1:] if part is not None))
        for found in _ATTRIBUTE.finditer(text)
    }


def _together(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Marks that may stand together: each kind once, and beside code only a link."""
    kinds = {mark["type"]: mark for mark in marks}
    if "code" in kinds:
        return [mark for kind, mark in kinds.items() if kind in ("code", "link")]
    return list(kinds.values())


def _image(to: DocumentBuilder, attributes: Mapping[str, str]) -> None:
    if described := attributes.get("alt", "").strip():
        to.write(f"[image: {described}]")


_BEGINNINGS: Mapping[str, Callable[[DocumentBuilder, Mapping[str, str]], None]] = {
    "br": lambda to, _: to.line_break(),
    "hr": lambda to, _: to.rule(),
    "img": _image,
}
