"""Builds a valid Atlassian document step by step; what may not stand in a place goes where it may."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 30
"""Containers inside each other; what is deeper goes into the last of them."""
MAX_DOCUMENT = 256 * 1024
"""Characters of a text that is read as a document."""
_BLANKS = re.compile(" {2,}")
Marks = Sequence[Mapping[str, Any]]

_IN_TEXT = frozenset({"paragraph", "bulletList", "orderedList", "codeBlock"})
_ALLOWED: Mapping[str, frozenset[str]] = {
    "doc": _IN_TEXT | {"heading", "blockquote", "rule", "table"},
    "blockquote": _IN_TEXT,
    "listItem": _IN_TEXT,
    "tableCell": _IN_TEXT | {"heading", "blockquote", "rule"},
    "tableHeader": _IN_TEXT | {"heading", "blockquote", "rule"},
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "table": frozenset({"tableRow"}),
    "tableRow": frozenset({"tableCell", "tableHeader"}),
}
_IMPLIED: Mapping[str, str] = {
    "bulletList": "listItem",
    "orderedList": "listItem",
    "table": "tableRow",
    "tableRow": "tableCell",
}


class DocumentTooLong(ValueError):
    """A text that is too long to be read as a document."""


def check_length(text: str) -> str:
    """The text. Raises DocumentTooLong beyond MAX_DOCUMENT."""
    if len(text) > MAX_DOCUMENT:
        raise DocumentTooLong
    return text


class DocumentBuilder:
    """One document while it is read. `open` and `close` containers, `write` text; take it with `finish`."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {"type": "doc", "version": 1, "content": []}
        self._open: list[dict[str, Any]] = [self._document]
        self._line: list[dict[str, Any]] = []
        self._words: list[str] = []
        self._marks: list[Mapping[str, Any]] = []
        self._heading = 0

    def open(self, kind: str, **attributes: Any) -> bool:
        """Begin a container; False if it may not stand here, and its content then goes where we are."""
        self.end_line()
        wanted = {"type": kind, **({"attrs": attributes} if attributes else {}), "content": []}
        if len(self._open) > MAX_DEPTH:
            return False
        self._imply(kind)
        if kind not in _ALLOWED[self._here]:
            return False
        self._content.append(wanted)
        self._open.append(wanted)
        return True

    def close(self, *kinds: str) -> None:
        """End the innermost container of one of these kinds, and what is open in it."""
        self.end_line()
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place]["type"] in kinds:
                del self._open[place:]
                return

    def innermost(self, *kinds: str) -> str:
        """Which of these kinds of container was opened last; empty if none is open."""
        return next((node["type"] for node in reversed(self._open) if node["type"] in kinds), "")

    def inside(self, *kinds: str) -> bool:
        """Whether a container of one of these kinds is open."""
        return any(node["type"] in kinds for node in self._open)

    def heading(self, level: int) -> None:
        """The next line is a heading."""
        self.end_line()
        self._heading = level

    def write(self, text: str, marks: Marks = ()) -> None:
        """Add text to the line; what has the same marks becomes one piece."""
        if list(marks) != self._marks:
            self._end_words()
            self._marks = list(marks)
        self._words.append(text)

    def line_break(self) -> None:
        """Go on in a new line of the same paragraph."""
        self._end_words()
        self._line.append({"type": "hardBreak"})

    def rule(self) -> None:
        """A line across."""
        self.end_line()
        if "rule" in _ALLOWED[self._here]:
            self._content.append({"type": "rule"})

    def code(self, text: str, language: str = "") -> None:
        """A block of code."""
        self.end_line()
        node: dict[str, Any] = {"type": "codeBlock", "content": [{"type": "text", "text": text}]}
        if language:
            node["attrs"] = {"language": language}
        self._imply("codeBlock")
        if text:
            self._content.append(node)

    def end_line(self) -> None:
        """End the paragraph or heading."""
        self._end_words()
        line, level = _trimmed(self._line), self._heading
        self._line, self._heading = [], 0
        if line:
            self._imply("paragraph")
            heads = level and "heading" in _ALLOWED[self._here]
            head = {"type": "heading", "attrs": {"level": level}} if heads else {"type": "paragraph"}
            self._content.append({**head, "content": line})

    def finish(self) -> dict[str, Any]:
        """The document, without containers that stayed empty."""
        self.end_line()
        _prune(self._document)
        return self._document

    def _end_words(self) -> None:
        text, self._words = _BLANKS.sub(" ", "".join(self._words)), []
        if text:
            marks = {"marks": self._marks} if self._marks else {}
            self._line.append({"type": "text", "text": text, **marks})

    @property
    def in_line(self) -> bool:
        """Whether a paragraph has begun."""
        return bool(self._line) or any(self._words)

    @property
    def _here(self) -> str:
        return str(self._open[-1]["type"])

    @property
    def _content(self) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = self._open[-1]["content"]
        return content

    def _imply(self, kind: str) -> None:
        """Open what must stand between here and a node of this kind, such as the item of a list."""
        while kind not in _ALLOWED[self._here] and self._here in _IMPLIED:
            node: dict[str, Any] = {"type": _IMPLIED[self._here], "content": []}
            self._content.append(node)
            self._open.append(node)


def _trimmed(line: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The line without blanks and breaks around it, its words parted by one blank."""
    kept: list[dict[str, Any]] = []
    for node in line:
        if node["type"] == "text" and (not kept or kept[-1].get("text", " ").endswith(" ")):
            node = {**node, "text": node["text"].lstrip(" ")}
        if node["type"] == "hardBreak" or node["text"]:
            kept.append(node)
    filled = [place for place, node in enumerate(kept) if node.get("text", "").strip(" ")]
    return kept[filled[0] : filled[-1] + 1] if filled else []


def _prune(node: dict[str, Any]) -> bool:
    """Whether the node holds anything; what holds nothing in it is taken out."""
    if node["type"] not in _ALLOWED:
        return True
    node["content"] = [child for child in node["content"] if _prune(child)]
    if node["type"] in ("tableCell", "tableHeader", "listItem") and not node["content"]:
        node["content"] = [{"type": "paragraph", "content": []}]
        return str(node["type"]) != "listItem"
    return bool(node["content"])
