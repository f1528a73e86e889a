"""Plain text to Atlassian documents (ADF) and back: lines, lists, links and mentions stay readable."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Node = Mapping[str, Any]

_URL = re.compile(r"https?://[^\s<>\"'\[\]{}|\\^`]*[^\s<>\"'\[\]{}|\\^`.,;:!?()]")
_INDENT = "  "
_STAMP_DIGITS = 14


def normal(text: str) -> str:
    """Text with one kind of line end and no blank lines around it: what survives a document."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")


def text_to_adf(text: str) -> dict[str, Any]:
    """A document of the text: blank lines part paragraphs, web addresses become links."""
    text = normal(text)
    paragraphs = text.split("\n\n") if text else []
    return {"type": "doc", "version": 1, "content": [_paragraph(part) for part in paragraphs]}


def adf_to_text(document: Node) -> str:
    """The document as plain text; the inverse of `text_to_adf` for `normal` text."""
    return _blocks(document, "\n\n")


def _paragraph(text: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n")):
        if number:
            content.append({"type": "hardBreak"})
        content += _linked(line)
    return {"type": "paragraph", "content": content}


def _linked(line: str) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    end = 0
    for match in _URL.finditer(line):
        nodes += _plain(line[end : match.start()])
        nodes.append({**_plain(match[0])[0], "marks": [{"type": "link", "attrs": {"href": match[0]}}]})
        end = match.end()
    return nodes + _plain(line[end:])


def _plain(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text else []


def _children(node: Node) -> list[Node]:
    content = node.get("content")
    return [child for child in content if isinstance(child, Mapping)] if isinstance(content, list) else []


def _attribute(node: Node, name: str) -> str:
    attributes = node.get("attrs")
    value = attributes.get(name) if isinstance(attributes, Mapping) else None
    return "" if value is None else str(value)


def _write(node: Node) -> str:
    writer = _WRITERS.get(str(node.get("type")))
    return writer(node) if writer else _inlines(node)


def _blocks(node: Node, between: str = "\n") -> str:
    return between.join(_write(child) for child in _children(node))


def _inlines(node: Node) -> str:
    return "".join(_write(child) for child in _children(node))


def _text(node: Node) -> str:
    text = str(node.get("text") or "")
    marks = node.get("marks")
    known = [mark for mark in marks if isinstance(mark, Mapping)] if isinstance(marks, list) else []
    links = [mark for mark in known if mark.get("type") == "link"]
    address = _attribute(links[0], "href") if links else ""
    return f"{text} ({address})" if address and address != text else text


def _indented(text: str, sign: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([f"{sign} {first}", *(f"{_INDENT}{line}" for line in rest)])


def _bullets(node: Node) -> str:
    return "\n".join(_indented(_blocks(item), "*") for item in _children(node))


def _numbered(node: Node) -> str:
    first = _attribute(node, "order")
    start = int(first) if first.isdecimal() else 1
    items = enumerate(_children(node), start)
    return "\n".join(_indented(_blocks(item), f"{number}.") for number, item in items)


def _tasks(node: Node) -> str:
    lines = []
    for item in _children(node):
        sign = "[x]" if _attribute(item, "state") == "DONE" else "[ ]"
        lines.append(_indented(_inlines(item), sign))
    return "\n".join(lines)


def _quote(node: Node) -> str:
    return "\n".join(f"> {line}" for line in _blocks(node).split("\n"))


def _row(node: Node) -> str:
    return " | ".join(_blocks(cell).replace("\n", " ") for cell in _children(node))


def _expand(node: Node) -> str:
    return "\n".join(part for part in (_attribute(node, "title"), _blocks(node)) if part)


def _mention(node: Node) -> str:
    return f"@{(_attribute(node, 'text') or _attribute(node, 'id')).removeprefix('@')}"


def _emoji(node: Node) -> str:
    return _attribute(node, "text") or _attribute(node, "shortName")


def _date(node: Node) -> str:
    stamp = _attribute(node, "timestamp")
    if not (stamp.isdecimal() and len(stamp) <= _STAMP_DIGITS):
        return stamp
    return datetime.fromtimestamp(int(stamp) / 1000, UTC).date().isoformat()


def _media(node: Node) -> str:
    return f"[file: {_attribute(node, 'alt') or _attribute(node, 'url') or _attribute(node, 'id')}]"


def _card(node: Node) -> str:
    return _attribute(node, "url")


_WRITERS: Mapping[str, Callable[[Node], str]] = {
    "text": _text,
    "hardBreak": lambda node: "\n",
    "mention": _mention,
    "emoji": _emoji,
    "date": _date,
    "status": lambda node: _attribute(node, "text"),
    "media": _media,
    "mediaInline": _media,
    "inlineCard": _card,
    "blockCard": _card,
    "embedCard": _card,
    "bulletList": _bullets,
    "decisionList": _bullets,
    "orderedList": _numbered,
    "taskList": _tasks,
    "rule": lambda node: "----",
    "blockquote": _quote,
    "panel": _blocks,
    "expand": _expand,
    "nestedExpand": _expand,
    "table": _blocks,
    "tableRow": _row,
    "tableCell": _blocks,
    "tableHeader": _blocks,
    "layoutSection": _blocks,
    "layoutColumn": _blocks,
    "mediaSingle": _blocks,
    "mediaGroup": _blocks,
}
