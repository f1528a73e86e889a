"""Atlassian documents (ADF) written as the wiki text that REST version 2 speaks."""

from collections.abc import Callable
from typing import Any

Node = dict[str, Any]

MARKS = {"strong": "*", "em": "_", "strike": "-", "underline": "+"}


class BadDocumentError(ValueError):
    """A value that is no Atlassian document."""


def check_document(value: Any) -> None:
    """Raise BadDocumentError unless the value is a document of version 1 with known nodes."""
    if not isinstance(value, dict) or value.get("type") != "doc" or value.get("version") != 1:
        raise BadDocumentError("not a document of version 1")
    if not isinstance(value.get("content"), list):
        raise BadDocumentError("a document has content")
    for node in value["content"]:
        _check_node(node)


def to_text(document: Node) -> str:
    """Return the wiki text of a checked document."""
    return "\n\n".join(_block(node) for node in _content(document))


def _check_node(node: Any) -> None:
    if not isinstance(node, dict) or str(node.get("type")) not in BLOCKS.keys() | INLINES.keys():
        raise BadDocumentError("unknown node")
    if node["type"] == "text" and not (isinstance(node.get("text"), str) and node["text"]):
        raise BadDocumentError("text without text")
    _check_attributes(node)
    for mark in _list_in(node, "marks"):
        _check_attributes(mark)
    for child in _list_in(node, "content"):
        _check_node(child)


def _check_attributes(part: Any) -> None:
    if not isinstance(part, dict) or not isinstance(part.get("attrs", {}), dict):
        raise BadDocumentError("attributes are an object")


def _list_in(node: Node, name: str) -> list[Any]:
    value = node.get(name, [])
    if not isinstance(value, list):
        raise BadDocumentError(f"{name} is a list")
    return value


def _content(node: Node) -> list[Node]:
    return node.get("content") or []


def _block(node: Node) -> str:
    write = BLOCKS.get(node["type"])
    return write(node) if write else _inline(node)


def _inline(node: Node) -> str:
    write = INLINES.get(node["type"])
    return write(node) if write else _block(node)


def _inlines(node: Node) -> str:
    return "".join(_inline(child) for child in _content(node))


def _blocks(node: Node) -> str:
    return "\n".join(_block(child) for child in _content(node))


def _text(node: Node) -> str:
    text: str = node["text"]
    for mark in node.get("marks", []):
        text = _marked(text, mark)
    return text


def _marked(text: str, mark: Node) -> str:
    kind = mark.get("type", "")
    if kind == "code":
        return f"{{{{{text}}}}}"
    if kind == "link":
        address = _attribute(mark, "href")
        return f"[{address}]" if text == address else f"[{text}|{address}]"
    sign = MARKS.get(kind, "")
    return f"{sign}{text}{sign}"


def _attribute(node: Node, name: str) -> str:
    return str((node.get("attrs") or {}).get(name, ""))


def _heading(node: Node) -> str:
    return f"h{_attribute(node, 'level') or 1}. {_inlines(node)}"


def _code(node: Node) -> str:
    language = _attribute(node, "language")
    return f"{{code{':' + language if language else ''}}}\n{_inlines(node)}\n{{code}}"


def _framed(sign: str) -> Callable[[Node], str]:
    return lambda node: f"{{{sign}}}\n{_blocks(node)}\n{{{sign}}}"


def _list(sign: str) -> Callable[[Node], str]:
    def write(node: Node) -> str:
        return "\n".join(_item(child, sign) for child in _content(node))

    return write


def _item(node: Node, sign: str) -> str:
    lines = []
    for child in _content(node):
        text = _block(child)
        nested = child["type"] in ("bulletList", "orderedList")
        # A list inside a list repeats the outer sign in front of each of its lines.
        lines += [f"{sign}{line}" for line in text.split("\n")] if nested else [f"{sign} {text}"]
    return "\n".join(lines)


def _row(node: Node) -> str:
    sign = "||" if any(cell["type"] == "tableHeader" for cell in _content(node)) else "|"
    return sign + sign.join(_blocks(cell) for cell in _content(node)) + sign


def _mention(node: Node) -> str:
    return f"[~accountid:{_attribute(node, 'id')}]"


def _emoji(node: Node) -> str:
    return _attribute(node, "text") or _attribute(node, "shortName")


def _media(node: Node) -> str:
    return f"!{_attribute(node, 'alt') or _attribute(node, 'id') or _attribute(node, 'url')}!"


BLOCKS: dict[str, Callable[[Node], str]] = {
    "paragraph": _inlines,
    "heading": _heading,
    "codeBlock": _code,
    "blockquote": _framed("quote"),
    "panel": _framed("panel"),
    "expand": _blocks,
    "nestedExpand": _blocks,
    "rule": lambda node: "----",
    "bulletList": _list("*"),
    "orderedList": _list("#"),
    "listItem": _blocks,
    "taskList": _list("*"),
    "taskItem": _inlines,
    "decisionList": _list("*"),
    "decisionItem": _inlines,
    "table": _blocks,
    "tableRow": _row,
    "tableHeader": _blocks,
    "tableCell": _blocks,
    "mediaSingle": _blocks,
    "mediaGroup": _blocks,
}
INLINES: dict[str, Callable[[Node], str]] = {
    "text": _text,
    "hardBreak": lambda node: "\n",
    "mention": _mention,
    "emoji": _emoji,
    "media": _media,
    "mediaInline": _media,
    "inlineCard": lambda node: f"[{_attribute(node, 'url')}]",
    "blockCard": lambda node: f"[{_attribute(node, 'url')}]",
    "status": lambda node: _attribute(node, "text"),
    "date": lambda node: _attribute(node, "timestamp"),
}
