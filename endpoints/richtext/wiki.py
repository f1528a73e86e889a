"""Jira's wiki text, which webhooks and version 2 carry, as plain text without markup that hides meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from endpoints.richtext.adf import normal

_FENCE = re.compile(r"\{(code|noformat)(:[^{}\n]*)?\}")
_BREAK = re.compile(r"\\\\(?=\s|$)")
_ESCAPED = re.compile(r"\\([{}\[\]*_+^~\-#|!])")
_NUMBERED = re.compile(r"# (?=\S)")
_NESTED = re.compile(r"([*#]{2,}) (?=\S)")
_SUBSTITUTIONS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\[~(?:accountid:)?([^\[\]\s|]+)\]"), r"@\1"),
    (re.compile(r"\[\^([^\[\]\n]+)\]"), r"[file: \1]"),
    (re.compile(r"!([^\s!|]+\.\w{2,5})(?:\|[^!\n]*)?!"), r"[file: \1]"),
    (
        re.compile(r"(?<!\\)\[(?:([^\[\]|\n]+)\|)?((?:https?|mailto|ftp):[^\[\]|\s]+)(?:\|[^\[\]\n]*)?\]"),
        lambda match: _link(match[1], match[2]),
    ),
    (re.compile(r"\{(?:color|panel|quote)(?::[^{}\n]*)?\}\n?"), ""),
    (re.compile(r"\{\{([^{}\n]+)\}\}"), r"\1"),
    (re.compile(r"^h[1-6]\. ", re.MULTILINE), ""),
    (re.compile(r"^bq\. ", re.MULTILINE), "> "),
)


def wiki_to_text(wiki: str) -> str:
    """The text people would read; text without markup stays exactly as it is."""
    return normal("".join(_parts(normal(wiki))))


def _parts(wiki: str) -> Iterator[str]:
    """Plain text outside of code and noformat blocks, and their content as it is."""
    end = 0
    for start, inner, stop in _verbatim(wiki):
        yield _plain(wiki[end:start])
        yield inner
        end = stop
    yield _plain(wiki[end:])


def _verbatim(wiki: str) -> Iterator[tuple[int, str, int]]:
    """Each closed block: where it starts, what it holds, where it stops; in time linear to the text."""
    fences = list(_FENCE.finditer(wiki))
    last = {fence[1]: fence.start() for fence in fences if not fence[2]}
    opened: re.Match[str] | None = None
    for fence in fences:
        if opened is None:
            opened = fence if last.get(fence[1], -1) > fence.start() else None
        elif fence[1] == opened[1] and not fence[2]:
            inner = wiki[opened.end() : fence.start()]
            yield opened.start(), inner.removeprefix("\n").removesuffix("\n"), fence.end()
            opened = None


def _plain(wiki: str) -> str:
    for pattern, replacement in _SUBSTITUTIONS:
        wiki = pattern.sub(replacement, wiki)
    return _ESCAPED.sub(r"\1", _BREAK.sub("\n", "\n".join(_lists(wiki.split("\n")))))


def _link(label: str | None, address: str) -> str:
    return address if label in (None, address) else f"{label} ({address})"


def _lists(lines: list[str]) -> Iterator[str]:
    """Numbers for numbered lists, indentation for nested ones. One line alone with # is no list."""
    number = 0
    for position, line in enumerate(lines):
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if _NUMBERED.match(line) and (number or _NUMBERED.match(following)):
            number += 1
            yield f"{number}. {line[2:]}"
            continue
        nested = _NESTED.match(line)
        number = number if nested else 0
        yield f"{'  ' * (len(nested[1]) - 1)}* {line[nested.end() :]}" if nested else line
