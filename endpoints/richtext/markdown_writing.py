"""Atlassian documents as Markdown, with every sign escaped that would mean something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from endpoints.richtext.adf import Node, adf_to_text

_SIGNS = re.compile(r"([\\`*\[\]<]|~(?=~)|(?<![^\W_])_|_(?![^\W_]))")
_FIRST = re.compile(
    r"^([^\S\n]*)(#{1,6}(?=\s)|>|[-+](?=\s|$)|-(?=-)|\d{1,9}(?=[.)](?:\s|$))|\|)", re.MULTILINE
)
_ADDRESS = re.compile(r"[()\s<>]")
_MARKS: Mapping[str, str] = {"strong": "**", "em": "*", "strike": "~~"}


def adf_to_markdown(document: Node) -> str:
    """The document as Markdown."""
    return _blocks(document, "\n\n")


def _children(node: Node) -> list[Node]:
    content = node.get("content")
    return [child for child in content if isinstance(child, Mapping)] if isinstance(content, list) else []


def _attributes(node: Node) -> Mapping[str, Any]:
    attributes = node.get("attrs")
    return attributes if isinstance(attributes, Mapping) else {}


def _write(node: Node) -> str:
    writer = _WRITERS.get(str(node.get("type")))
    if writer:
        return writer(node)
    # What Markdown has no sign for reads as it would in plain text.
    return _blocks(node, "\n\n") if node.get("content") else _escaped(adf_to_text({"content": [node]}))


def _blocks(node: Node, between: str) -> str:
    return between.join(text for child in _children(node) if (text := _write(child)))


def _inlines(node: Node) -> str:
    return "".join(_write(child) for child in _children(node))


def _paragraph(node: Node) -> str:
    return _FIRST.sub(_escape_first, _inlines(node))


def _escape_first(found: re.Match[str]) -> str:
    sign = found[2]
    return f"{found[1]}{sign}\\" if sign.isdigit() else f"{found[1]}\\{sign}"


def _escaped(text: str) -> str:
    return _SIGNS.sub(r"\\\1", text)


def _text(node: Node) -> str:
    text = str(node.get("text") or "")
    found = node.get("marks")
    marks = [mark for mark in found if isinstance(mark, Mapping)] if isinstance(found, list) else []
    kinds = [str(mark.get("type")) for mark in marks]
    address = next(
        (str(_attributes(mark).get("href", "")) for mark in marks if mark.get("type") == "link"), ""
    )
    if address == text and not _ADDRESS.search(address):
        return f"<{address}>" if address.startswith("http") else _escaped(text)
    inner = f"`{text}`" if "code" in kinds and "`" not in text else _signed(_escaped(text), kinds)
    return f"[{inner}]({_ADDRESS.sub(_percent, address)})" if address and text.strip() else inner


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _signed(text: str, kinds: list[str]) -> str:
    """The text between its signs, which stand close to its words."""
    words = text.strip()
    if not words:
        return text
    signs = "".join(_MARKS[kind] for kind in dict.fromkeys(kinds) if kind in _MARKS)
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    closing = "".join(_MARKS[kind] for kind in reversed(dict.fromkeys(kinds)) if kind in _MARKS)
    return f"{before}{signs}{words}{closing}{after}"


def _heading(node: Node) -> str:
    level = _attributes(node).get("level")
    signs = "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1)
    return f"{signs} {_inlines(node).replace(chr(10), ' ')}"


def _item(node: Node, sign: str) -> str:
    lines = _blocks(node, "\n").split("\n")
    indent = " " * (len(sign) + 1)
    return "\n".join([f"{sign} {lines[0]}", *(f"{indent}{line}" if line else line for line in lines[1:])])


def _bullets(node: Node) -> str:
    return "\n".join(_item(item, "-") for item in _children(node))


def _numbered(node: Node) -> str:
    order = _attributes(node).get("order")
    start = order if isinstance(order, int) and 0 < order < 10**9 else 1
    return "\n".join(_item(item, f"{number}.") for number, item in enumerate(_children(node), start))


def _quote(node: Node) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _blocks(node, "\n\n").split("\n"))


def _code(node: Node) -> str:
    text = "".join(str(child.get("text") or "") for child in _children(node))
    fence = "````" if "```" in text else "```"
    return f"{fence}{_attributes(node).get('language') or ''}\n{text}\n{fence}"


def _table(node: Node) -> str:
    rows = [_children(row) for row in _children(node)]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [_row(row, width) for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _row(cells: list[Node], width: int) -> str:
    texts = [_blocks(cell, " ").replace("\n", " ").replace("|", "\\|") for cell in cells]
    return "| " + " | ".join([*texts, *[""] * (width - len(texts))]) + " |"


_WRITERS: Mapping[str, Callable[[Node], str]] = {
    "text": _text,
    "hardBreak": lambda node: "\n",
    "rule": lambda node: "---",
    "paragraph": _paragraph,
    "heading": _heading,
    "bulletList": _bullets,
    "decisionList": _bullets,
    "orderedList": _numbered,
    "blockquote": _quote,
    "panel": _quote,
    "codeBlock": _code,
    "table": _table,
}
