"""Wiki text of REST version 2 read into Atlassian documents (ADF), and into HTML for rendered fields."""

import re
from html import escape
from typing import Any

Node = dict[str, Any]

HEADING = re.compile(r"h([1-6])\. (.*)")
ITEM = re.compile(r"([*#]+) (.+)")
FENCE = re.compile(r"\{(code|noformat|quote)(?::([\w+-]+))?\}\s*")
INLINE = re.compile(
    r"\[~accountid:(?P<mention>[^\]\s]+)\]"
    r"|\[(?:(?P<label>[^\]|\n]+)\|)?(?P<link>(?:https?|mailto):[^\]\s|]+)\]"
    r"|\{\{(?P<code>[^}\n]+)\}\}"
    r"|(?<!\w)\*(?P<strong>[^\s*](?:[^*\n]*[^\s*])?)\*(?!\w)"
    r"|(?<!\w)_(?P<em>[^\s_](?:[^_\n]*[^\s_])?)_(?!\w)"
    r"|(?P<break>\n)"
)


def to_document(text: str) -> Node:
    """Return the document of a wiki text; what is no markup stays plain text."""
    blocks: list[Node] = []
    lines = text.replace("\r\n", "\n").split("\n")
    while lines:
        block = _take_block(lines)
        if block:
            blocks.append(block)
    return {"type": "doc", "version": 1, "content": blocks}


def to_html(text: str) -> str:
    """Return wiki text as HTML paragraphs, for rendered fields."""
    paragraphs = [part for part in re.split(r"\n{2,}", text) if part]
    return "\n".join(f"<p>{escape(part).replace(chr(10), '<br/>')}</p>" for part in paragraphs)


def _take_block(lines: list[str]) -> Node | None:
    first = lines[0]
    if not first.strip():
        lines.pop(0)
        return None
    if fence := FENCE.fullmatch(first):
        return _take_fenced(lines, fence[1], fence[2])
    if heading := HEADING.fullmatch(first):
        lines.pop(0)
        return {
            "type": "heading",
            "attrs": {"level": int(heading[1])},
            "content": _inlines(heading[2]),
        }
    if ITEM.fullmatch(first):
        return _take_list(lines, 1)
    if re.fullmatch(r"-{4,}", first):
        lines.pop(0)
        return {"type": "rule"}
    return _take_paragraph(lines)


def _take_fenced(lines: list[str], kind: str, language: str | None) -> Node:
    lines.pop(0)
    inside: list[str] = []
    while lines and not re.fullmatch(rf"\{{{kind}\}}\s*", lines[0]):
        inside.append(lines.pop(0))
    if lines:
        lines.pop(0)
    text = "\n".join(inside)
    if kind == "quote":
        return {"type": "blockquote", "content": to_document(text)["content"] or [_paragraph("")]}
    node: Node = {"type": "codeBlock", "content": [{"type": "text", "text": text}] if text else []}
    return {**node, "attrs": {"language": language}} if language else node


def _take_list(lines: list[str], depth: int) -> Node:
    sign = lines[0][depth - 1]
    items: list[Node] = []
    while lines and (item := ITEM.fullmatch(lines[0])) and len(item[1]) >= depth:
        if len(item[1]) == depth and item[1][-1] != sign:
            break
        if len(item[1]) > depth and items:
            items[-1]["content"].append(_take_list(lines, depth + 1))
        else:
            lines.pop(0)
            items.append({"type": "listItem", "content": [_paragraph(item[2])]})
    return {"type": "orderedList" if sign == "#" else "bulletList", "content": items}


def _take_paragraph(lines: list[str]) -> Node:
    taken = [lines.pop(0)]
    while lines and lines[0].strip() and not _starts_block(lines[0]):
        taken.append(lines.pop(0))
    return _paragraph("\n".join(taken))


def _starts_block(line: str) -> bool:
    return bool(FENCE.fullmatch(line) or HEADING.fullmatch(line) or ITEM.fullmatch(line))


def _paragraph(text: str) -> Node:
    return {"type": "paragraph", "content": _inlines(text)}


def _inlines(text: str) -> list[Node]:
    nodes: list[Node] = []
    end = 0
    for match in INLINE.finditer(text):
        nodes += _plain(text[end : match.start()])
        nodes.append(_inline(match))
        end = match.end()
    return nodes + _plain(text[end:])


def _plain(text: str) -> list[Node]:
    return [{"type": "text", "text": text}] if text else []


def _inline(match: re.Match[str]) -> Node:
    kind = match.lastgroup or ""
    if kind == "break":
        return {"type": "hardBreak"}
    if kind == "mention":
        return {"type": "mention", "attrs": {"id": match["mention"], "text": ""}}
    if kind == "link":
        mark = {"type": "link", "attrs": {"href": match["link"]}}
        return {"type": "text", "text": match["label"] or match["link"], "marks": [mark]}
    return {"type": "text", "text": match[kind], "marks": [{"type": kind}]}
