"""Markdown as an Atlassian document: what people write in tickets, each line kept as a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from endpoints.richtext.building import DocumentBuilder, check_length

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+-]{0,30})[^`]*$")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)$")
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_ITEM = re.compile(r"([ \t]*)(?:([-*+])|(\d{1,9})[.)])(?:[ \t]+(.*))?$")
_QUOTE = re.compile(r" {0,3}> ?(.*)$")
_TABLE_LINE = re.compile(r"\|?(?:[ \t]*+:?-++:?[ \t]*+\|)++(?:[ \t]*+:?-++:?)?$")
_CELLS = re.compile(r"(?<!\\)\|")
_TOKEN = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|`(?P<code>[^`\n]+)`"
    r"|(?P<image>!?)\[(?P<label>[^\[\]\n]{1,500})\]\((?P<address>[^()\[\]\s]{1,2000})\)"
    r"|<(?P<auto>(?:https?|mailto):[^<>\s]{1,2000})>"
    r"|(?P<bare>https?://[^\s<>\"'\[\]{}|\\^`]*[^\s<>\"'\[\]{}|\\^`.,;:!?()*_~])"
    r"|(?P<sign>\*\*|__|~~|\*|_)"
)
_SIGNS = {"**": "strong", "__": "strong", "*": "em", "_": "em", "~~": "strike"}
_SAFE = re.compile(r"(?:https?|mailto|tel|ftp):", re.IGNORECASE)
_LISTS = ("bulletList", "orderedList")
MAX_QUOTES = 10


def markdown_to_adf(markdown: str) -> dict[str, Any]:
    """The document that the Markdown stands for. Raises DocumentTooLong."""
    reader = _Reader()
    reader.read(check_length(markdown).replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return reader.to.finish()


class _Reader:
    """Reads line by line; `indents` are the places where the open lists' items begin."""

    def __init__(self) -> None:
        self.to = DocumentBuilder()
        self._indents: list[int] = []
        self._quotes = 0

    def read(self, lines: list[str]) -> None:
        place = 0
        while place < len(lines):
            place += self._block(lines, place)
        self._leave_lists(0)

    def _block(self, lines: list[str], place: int) -> int:
        """Read what begins at this line; how many lines it takes."""
        line = lines[place]
        if _QUOTE.match(line):
            return self._quoted(lines, place)
        if not line.strip():
            self.to.end_line()
            return 1
        if fence := _FENCE.match(line.lstrip() if self._indents else line):
            return self._fenced(lines, place, fence)
        if "|" in line and place + 1 < len(lines) and _TABLE_LINE.match(lines[place + 1].strip()):
            return self._table(lines, place)
        self._plain(line)
        return 1

    def _plain(self, line: str) -> None:
        if heading := _HEADING.match(line):
            self._leave_lists(0)
            self.to.heading(len(heading[1]))
            _inline(self.to, heading[2].rstrip("# \t"))
            self.to.end_line()
        elif _RULE.match(line):
            self._leave_lists(0)
            self.to.rule()
        elif item := _ITEM.match(line):
            self._item(item)
        else:
            self._continue(line)

    def _continue(self, line: str) -> None:
        """A line of the paragraph, or of the list's item that it is indented below."""
        if self._indents and not self.to.in_line and not line.startswith((" ", "\t")):
            self._leave_lists(0)
        if self.to.in_line:
            self.to.line_break()
        _inline(self.to, line.strip())

    def _item(self, item: re.Match[str]) -> None:
        indent = len(item[1].expandtabs(4))
        self._leave_lists(indent + 1)
        kind = "orderedList" if item[3] else "bulletList"
        if self._indents and self._indents[-1] == indent and self.to.innermost(*_LISTS) == kind:
            self.to.close("listItem")
        else:
            self._leave_lists(indent)
            first = {"order": int(item[3])} if item[3] and int(item[3]) > 1 else {}
            if self.to.open(kind, **first):
                self._indents.append(indent)
        self.to.open("listItem")
        _inline(self.to, (item[4] or "").strip())

    def _leave_lists(self, indent: int) -> None:
        """End the lists whose items begin at `indent` or further right."""
        self.to.end_line()
        while self._indents and self._indents[-1] >= indent:
            self._indents.pop()
            self.to.close(*_LISTS)

    def _quoted(self, lines: list[str], place: int) -> int:
        self._leave_lists(0)
        inner: list[str] = []
        while place + len(inner) < len(lines) and (quote := _QUOTE.match(lines[place + len(inner)])):
            inner.append(quote[1])
        if self._quotes < MAX_QUOTES:
            nested = _Reader()
            nested.to, nested._quotes = self.to, self._quotes + 1
            opened = self.to.open("blockquote")
            nested.read(inner)
            if opened:
                self.to.close("blockquote")
        return len(inner)

    def _fenced(self, lines: list[str], place: int, fence: re.Match[str]) -> int:
        end = place + 1
        while end < len(lines) and not lines[end].strip().startswith(fence[1]):
            end += 1
        self.to.code("\n".join(lines[place + 1 : end]), fence[2])
        return end + 1 - place

    def _table(self, lines: list[str], place: int) -> int:
        self._leave_lists(0)
        opened = self.to.open("table")
        end = place
        while end < len(lines) and "|" in lines[end]:
            if end != place + 1:
                self._row(lines[end], "tableHeader" if end == place else "tableCell")
            end += 1
        if opened:
            self.to.close("table")
        return end - place

    def _row(self, line: str, kind: str) -> None:
        self.to.open("tableRow")
        for cell in _CELLS.split(line.strip().removeprefix("|").removesuffix("|")):
            self.to.open(kind)
            _inline(self.to, cell.strip())
            self.to.close(kind)
        self.to.close("tableRow")


def _inline(to: DocumentBuilder, text: str) -> None:
    marks: dict[str, dict[str, Any]] = {}
    rest = _closers(text)
    end = 0
    for token in _TOKEN.finditer(text):
        to.write(text[end : token.start()], list(marks.values()))
        end = token.end()
        if token["sign"]:
            _toggle(to, token, marks, rest)
        else:
            for part, more in _parts(token):
                to.write(part, [*(mark for mark in marks.values() if not _codes(more)), *more])
    to.write(text[end:], list(marks.values()))


def _codes(marks: list[dict[str, Any]]) -> bool:
    return any(mark["type"] == "code" for mark in marks)


def _closers(text: str) -> dict[str, int]:
    """For each sign the last place where it can end something."""
    return {token["sign"]: token.start() for token in _TOKEN.finditer(text) if token["sign"] and _ends(token)}


def _toggle(
    to: DocumentBuilder, token: re.Match[str], marks: dict[str, dict[str, Any]], last: dict[str, int]
) -> None:
    sign = token["sign"]
    if sign in marks and _ends(token):
        del marks[sign]
    elif sign not in marks and _begins(token) and last.get(sign, -1) > token.start():
        marks[sign] = {"type": _SIGNS[sign]}
    else:
        to.write(sign, list(marks.values()))


def _begins(token: re.Match[str]) -> bool:
    before, after = _around(token)
    return bool(after.strip()) and not ("_" in token["sign"] and before.isalnum())


def _ends(token: re.Match[str]) -> bool:
    before, after = _around(token)
    return bool(before.strip()) and not ("_" in token["sign"] and after.isalnum())


def _around(token: re.Match[str]) -> tuple[str, str]:
    """The characters before and after a sign."""
    start, end = token.span()
    return token.string[max(start - 1, 0) : start], token.string[end : end + 1]


def _parts(token: re.Match[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The texts that a token stands for, each with its marks."""
    if token["escaped"]:
        yield token["escaped"], []
    elif token["code"]:
        yield token["code"], [{"type": "code"}]
    elif token["label"]:
        safe = _SAFE.match(token["address"]) and not token["image"]
        text = f"[image: {token['label']}]" if token["image"] else token["label"]
        yield text, [_link(token["address"])] if safe else []
    else:
        address = token["auto"] or token["bare"]
        yield address, [_link(address)]


def _link(address: str) -> dict[str, Any]:
    return {"type": "link", "attrs": {"href": address}}
