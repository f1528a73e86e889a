"""Formatters of text: case, length, parts, replacing, and what mail programs add."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from oneio.paths import MISSING, Missing
from routing.errors import RuleError
from routing.formatters.base import Argument, ArgumentValue, Formatter, bounded

_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)
_REPLY = re.compile(
    r"^(?:-{2,} ?(?:original message|forwarded message|ursprüngliche nachricht) ?-{2,}"
    r"|_{20,}"
    r"|(?:on|am) [^\n]{1,200}(?:wrote|schrieb[^\n]{0,100}):)[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_QUOTED = re.compile(r"^>[^\n]*\n?", re.MULTILINE)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\r": "\r"}


def written(separator: str) -> str:
    """A separator as meant: people write a line end as \\n and a tab as \\t."""
    for sign, meant in _ESCAPES.items():
        separator = separator.replace(sign, meant)
    return separator


def capitalise(text: str) -> str:
    """The first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def truncate(text: str, *, length: int, ellipsis: str, at_word: bool) -> str:
    """At most `length` characters, the ellipsis among them; `at_word` cuts at a word's end if one is near."""
    if len(text) <= length:
        return text
    room = length - len(ellipsis)
    if room <= 0:
        return text[:length]
    kept = text[:room]
    words = kept if text[room].isspace() else kept.rpartition(" ")[0]
    return (words if at_word and len(words) >= room * 3 // 4 else kept).rstrip() + ellipsis


def substring(text: str, *, start: int, length: int | str) -> str:
    """`length` characters from `start` (0 is the first, -3 the third from the end), or all from there."""
    begin = max(len(text) + start, 0) if start < 0 else start
    return text[begin:] if isinstance(length, str) else text[begin : begin + max(length, 0)]


def replace(text: str, *, old: str, new: str) -> str:
    """Every place of `old` as `new`."""
    old, new = written(old), written(new)
    bounded(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def surround(text: str, *, before: str, after: str) -> str:
    """The text with something before and after it."""
    return written(before) + text + written(after)


def pad(text: str, *, length: int, fill: str) -> str:
    """The text, filled up at its left to `length` characters."""
    bounded(length)
    return text.rjust(length, fill)


def first_line(text: str) -> str | Missing:
    """The first line that is not blank."""
    return next((line.strip() for line in text.splitlines() if line.strip()), MISSING)


def last_line(text: str) -> str | Missing:
    """The last line that is not blank."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), MISSING)


def strip_signature(text: str) -> str:
    """The text before the line `-- ` that mail programs put before a signature."""
    found = _SIGNATURE.search(text := text.replace("\r\n", "\n"))
    return text[: found.start()].rstrip() if found else text


def strip_quotes(text: str) -> str:
    """The text before the mail that it answers, without lines that begin with >."""
    found = _REPLY.search(text := text.replace("\r\n", "\n"))
    return _QUOTED.sub("", text[: found.start()] if found else text).strip()


def _one_character(arguments: Mapping[str, ArgumentValue]) -> None:
    if len(str(arguments["fill"])) != 1:
        raise RuleError("formatters", "“Fill with” is one character, such as 0.")


def _not_negative(name: str, label: str) -> Callable[[Mapping[str, ArgumentValue]], None]:
    def check(arguments: Mapping[str, ArgumentValue]) -> None:
        if int(arguments[name]) < 0:
            raise RuleError("formatters", f"“{label}” cannot be below 0.")

    return check


TEXT = (
    Formatter("upper", "Upper case", "MAIL IS DOWN", str.upper),
    Formatter("lower", "Lower case", "mail is down", str.lower),
    Formatter("capitalise", "Capitalise", "The first letter large, the others as they are.", capitalise),
    Formatter("trim", "Trim", "Without spaces and line ends at both ends.", str.strip),
    Formatter(
        "truncate",
        "Truncate",
        "At most so many characters, the ellipsis among them; cut at a word's end if one is near.",
        truncate,
        (
            Argument("length", "Length", "number", required=True),
            Argument("ellipsis", "Ellipsis", default="…"),
            Argument("at_word", "At a word's end", "flag", default=True),
        ),
        check=_not_negative("length", "Length"),
    ),
    Formatter(
        "substring",
        "Part of the text",
        "So many characters from a place; the first is 0, the last -1. Without a length, all from there.",
        substring,
        (Argument("start", "Start", "number", 0), Argument("length", "Length", "number")),
    ),
    Formatter(
        "replace",
        "Replace",
        "Every place of one text by another, large and small letters told apart. \\n is a line end.",
        replace,
        (Argument("old", "Text", required=True), Argument("new", "By")),
    ),
    Formatter(
        "surround",
        "Put around",
        "Something before and after a text that is not empty. \\n is a line end.",
        lambda text, *, before, after: surround(text, before=before, after=after) if text else text,
        (Argument("before", "Before"), Argument("after", "After")),
    ),
    Formatter(
        "pad",
        "Fill up",
        "Fills the left side up to so many characters: 7 becomes 0007.",
        pad,
        (Argument("length", "Length", "number", required=True), Argument("fill", "Fill with", default="0")),
        check=_one_character,
    ),
    Formatter("first_line", "First line", "The first line that is not blank.", first_line),
    Formatter("last_line", "Last line", "The last line that is not blank.", last_line),
    Formatter(
        "strip_signature",
        "Without signature",
        "What stands before the line “-- ” of a mail.",
        strip_signature,
    ),
    Formatter(
        "strip_quotes",
        "Without quoted mail",
        "What stands before the mail that is answered, without lines that begin with >.",
        strip_quotes,
    ),
)
