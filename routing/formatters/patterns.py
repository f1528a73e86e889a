"""Formatters by regular expression: RE2, whatever the case, `.` fitting line ends too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from oneio.paths import MISSING, Missing
from routing.errors import RuleError
from routing.formatters.base import Argument, ArgumentValue, Formatter, FormatterError, bounded
from routing.formatters.text import written
from routing.regex import compile_regex

MAX_PLACES = 10_000
_GROUP = re.compile(r"\\(\d)")
_PATTERN = Argument("pattern", "Regular expression", required=True)


def extract(text: str, *, pattern: str, group: int) -> str | Missing:
    """What the expression's group fits first; MISSING if nothing does. Group 0 is all of it."""
    found = compile_regex(pattern).search(text)
    part = found.group(group) if found else None
    return MISSING if part is None else str(part)


def extract_all(text: str, *, pattern: str, group: int) -> list[str] | Missing:
    """What the group fits at each place, in order; MISSING if at none."""
    parts = [found.group(group) for found in _places(pattern, text)]
    return [part for part in parts if part is not None] or MISSING


def replace_pattern(text: str, *, pattern: str, new: str) -> str:
    """Every place that the expression fits as `new`, in which \\1 stands for its first group."""
    pieces: list[str] = []
    size, end = 0, 0
    for found in _places(pattern, text):
        piece = text[end : found.start()] + _filled(new, found)
        size, end = size + len(piece), found.end()
        bounded(size)
        pieces.append(piece)
    return "".join(pieces) + text[end:]


def _places(pattern: str, text: str) -> Iterator[re.Match[str]]:
    for number, found in enumerate(compile_regex(pattern).finditer(text)):
        if number == MAX_PLACES:
            raise FormatterError(
                f"The expression fits at more than {MAX_PLACES} places. Make it fit longer parts, or shorten"
                " the value first, with truncate."
            )
        yield found


def _filled(new: str, found: re.Match[str]) -> str:
    return _GROUP.sub(lambda sign: found.group(int(sign[1])) or "", written(new))


def _check(arguments: Mapping[str, ArgumentValue]) -> None:
    groups = _compiled(arguments).groups
    highest = max((int(number) for number in _GROUP.findall(str(arguments.get("new", "")))), default=0)
    if not 0 <= int(arguments.get("group", highest)) <= groups or highest > groups:
        raise RuleError(
            "formatters", f"The regular expression has {groups} groups in round brackets. Name one of them."
        )


def _compiled(arguments: Mapping[str, ArgumentValue]) -> re.Pattern[str]:
    try:
        compiled: re.Pattern[str] = compile_regex(str(arguments["pattern"]))
    except RuleError as error:
        raise RuleError("formatters", str(error)) from None
    return compiled


PATTERNS = (
    Formatter(
        "extract",
        "Extract",
        "What a regular expression fits first, or one of its groups; missing if it fits nowhere.",
        extract,
        (_PATTERN, Argument("group", "Group", "number", 0)),
        check=_check,
    ),
    Formatter(
        "extract_all",
        "Extract all",
        "A list of what a regular expression fits; missing if it fits nowhere.",
        extract_all,
        (_PATTERN, Argument("group", "Group", "number", 0)),
        check=_check,
    ),
    Formatter(
        "replace_pattern",
        "Replace by pattern",
        "Every place that a regular expression fits; \\1 in the new text is its first group.",
        replace_pattern,
        (_PATTERN, Argument("new", "By")),
        check=_check,
    ),
)
