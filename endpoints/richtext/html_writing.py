"""Atlassian documents as HTML that any system shows: plain elements, no styles, every text escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from endpoints.richtext.adf import Node, adf_to_text

_SAFE = re.compile(r"(?:https?|mailto|tel|ftp):", re.IGNORECASE)
_MARKS: Mapping[str, str] = {
    "strong": "strong",
    "em": "em",
    "strike": "s",
    "underline": "u",
    "code": "code",
}


def adf_to_html(document: Node) -> str:
    """The document's content as HTML."""
    return _inside(document)


def _write(node: Node) -> str:
    writer = _WRITERS.get(str(node.get("type")))
    if writer:
        return writer(node)
    # What HTML has no word for reads as it would in plain text.
    return _inside(node) if node.get("content") else escape(adf_to_text({"content": [node]}))


def _inside(node: Node) -> str:
    content = node.get("content")
    children = content if isinstance(content, list) else []
    return "".join(_write(child) for child in children if isinstance(child, Mapping))


def _element(name: str) -> Callable[[Node], str]:
    return lambda node: f"<{name}>{_inside(node)}</{name}>"


def _text(node: Node) -> str:
    html = escape(str(node.get("text") or ""), quote=False)
    marks = node.get("marks")
    for mark in marks if isinstance(marks, list) else []:
        if isinstance(mark, Mapping):
            html = _marked(html, mark)
    return html


def _marked(html: str, mark: Node) -> str:
    if mark.get("type") == "link":
        address = str(_attributes(mark).get("href", ""))
        return f'<a href="{escape(address)}">{html}</a>' if _SAFE.match(address) else html
    name = _MARKS.get(str(mark.get("type")))
    return f"<{name}>{html}</{name}>" if name else html


def _heading(node: Node) -> str:
    level = str(_attributes(node).get("level"))
    name = f"h{level if level in '123456' and len(level) == 1 else 1}"
    return f"<{name}>{_inside(node)}</{name}>"


def _code(node: Node) -> str:
    return f"<pre><code>{_inside(node)}</code></pre>"


def _item(node: Node) -> str:
    """An item; one that is a single paragraph needs no element for it."""
    content = node.get("content")
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        first, rest = content[0], content[1:]
        if first.get("type") == "paragraph":
            return f"<li>{_inside(first)}{_inside({'content': rest})}</li>"
    return f"<li>{_inside(node)}</li>"


def _attributes(node: Node) -> Mapping[str, Any]:
    attributes = node.get("attrs")
    return attributes if isinstance(attributes, Mapping) else {}


_WRITERS: Mapping[str, Callable[[Node], str]] = {
    "text": _text,
    "hardBreak": lambda node: "<br>",
    "rule": lambda node: "<hr>",
    "paragraph": _element("p"),
    "heading": _heading,
    "bulletList": _element("ul"),
    "orderedList": _element("ol"),
    "listItem": _item,
    "blockquote": _element("blockquote"),
    "panel": _element("blockquote"),
    "codeBlock": _code,
    "table": _element("table"),
    "tableRow": _element("tr"),
    "tableCell": _element("td"),
    "tableHeader": _element("th"),
}
