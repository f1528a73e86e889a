"""Patterns of dates and times, `yyyy-MM-dd'T'HH:mm:ssZZ`: the language of Java's tools, read and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from routing.errors import RuleError

MAX_PATTERN = 100
EPOCHS: Mapping[str, int] = {"EpochTime": 1000, "EpochTime_s": 1}
"""Patterns that stand for a count since 1970-01-01T00:00Z, and how many a second has."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_OFFSET = r"Z|[+-]\d\d:?\d\d"


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of a pattern: how it is written, and what it looks like when read (empty: write only)."""

    write: Callable[[datetime], str]
    read: str
    part: str


@dataclass(frozen=True, slots=True)
class DatePattern:
    """A pattern ready for use; make it with `compile_pattern`."""

    source: str
    parts: tuple[str | Sign, ...]
    reader: re.Pattern[str] | None

    def write(self, moment: datetime) -> str:
        """The moment in its own zone by this pattern."""
        return "".join(part if isinstance(part, str) else part.write(moment) for part in self.parts)

    def read(self, text: str, zone: tzinfo) -> datetime:
        """The moment written in a text; in `zone` if the pattern has none. Raises ValueError."""
        found = self.reader.fullmatch(text.strip()) if self.reader else None
        if found is None:
            raise ValueError
        return _moment({name: part for name, part in found.groupdict().items() if part}, zone)


@lru_cache(maxsize=256)
def compile_pattern(source: str) -> DatePattern:
    """The pattern written in `source`. Raises RuleError on the field `formatters`."""
    parts: list[str | Sign] = []
    end = 0
    for token in _TOKEN.finditer(source if len(source) <= MAX_PATTERN else ""):
        if token.start() != end:
            break
        parts.append(_part(token))
        end = token.end()
    if not source or end != len(source):
        raise RuleError(
            "formatters",
            f"The pattern '{source[:MAX_PATTERN]}' cannot be read. Write it such as yyyy-MM-dd'T'HH:mm:ssZZ;"
            " letters that are no signs stand between single quotes.",
        )
    return DatePattern(source, tuple(parts), _reader(parts))


def zone_named(name: str) -> ZoneInfo:
    """The time zone of this name. Raises RuleError on the field `formatters`."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise RuleError(
            "formatters", f"The time zone '{name[:60]}' is not known. Write it as Europe/Berlin."
        ) from None


def _part(token: re.Match[str]) -> str | Sign:
    if token[1] is not None:
        return token[1].replace("''", "'") or "'"
    if token[2] is None:
        return token[0]
    if token[0] not in SIGNS:
        raise RuleError(
            "formatters",
            f"There is no sign '{token[0][:20]}' in patterns of dates. There are: {', '.join(SIGNS)}."
            " Put letters that are no signs between single quotes.",
        )
    return SIGNS[token[0]]


def _reader(parts: list[str | Sign]) -> re.Pattern[str] | None:
    """The expression that reads; None if a sign can only be written, or stands twice."""
    signs = [part for part in parts if isinstance(part, Sign)]
    names = [sign.part for sign in signs]
    if not all(sign.read for sign in signs) or len(set(names)) < len(names) or "year" not in names:
        return None
    written = [
        re.escape(part) if isinstance(part, str) else f"(?P<{part.part}>{part.read})" for part in parts
    ]
    return re.compile("".join(written), re.IGNORECASE | re.ASCII)


def _moment(parts: Mapping[str, str], zone: tzinfo) -> datetime:
    year = int(parts["year"])
    moment = datetime(
        year + 2000 if len(parts["year"]) == 2 else year,
        _month(parts.get("month", "1")),
        int(parts.get("day", "1")),
        _hour(parts),
        int(parts.get("minute", "0")),
        int(parts.get("second", "0")),
        int(parts.get("fraction", "0").ljust(6, "0")[:6]),
        tzinfo=zone,
    )
    return moment.replace(tzinfo=_offset(parts["offset"])) if "offset" in parts else moment


def _hour(parts: Mapping[str, str]) -> int:
    if "half" not in parts:
        return int(parts.get("hour", "0"))
    return int(parts.get("hour", "0")) % 12 + (12 if parts["half"].upper() == "PM" else 0)


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return 1 + [name[:3] for name in MONTHS].index(text[:3].capitalize())


def _offset(text: str) -> tzinfo:
    if text.upper() == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-distance if text[0] == "-" else distance)


def _written_offset(moment: datetime, colon: str) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{colon}{rest:02d}"


def _or_z(moment: datetime, colon: str) -> str:
    return _written_offset(moment, colon) if moment.utcoffset() else "Z"


def _number(name: str, part: str, digits: int) -> Sign:
    read = rf"\d{{{digits}}}" if digits > 1 else r"\d{1,2}"
    return Sign(lambda moment: f"{getattr(moment, name):0{digits}d}", read, part)


def _fraction(digits: int) -> Sign:
    return Sign(
        lambda moment: f"{moment.microsecond:06d}".ljust(9, "0")[:digits], rf"\d{{{digits}}}", "fraction"
    )


def _names(names: tuple[str, ...], length: int | None) -> str:
    return "|".join(name[:length] for name in names)


SIGNS: Mapping[str, Sign] = {
    "yyyy": _number("year", "year", 4),
    "yy": Sign(lambda moment: f"{moment.year % 100:02d}", r"\d\d", "year"),
    "MMMM": Sign(lambda moment: MONTHS[moment.month - 1], _names(MONTHS, None), "month"),
    "MMM": Sign(lambda moment: MONTHS[moment.month - 1][:3], _names(MONTHS, 3), "month"),
    "MM": _number("month", "month", 2),
    "M": _number("month", "month", 1),
    "dd": _number("day", "day", 2),
    "d": _number("day", "day", 1),
    "EEEE": Sign(lambda moment: DAYS[moment.weekday()], _names(DAYS, None), "weekday"),
    "EEE": Sign(lambda moment: DAYS[moment.weekday()][:3], _names(DAYS, 3), "weekday"),
    "HH": _number("hour", "hour", 2),
    "H": _number("hour", "hour", 1),
    "hh": Sign(lambda moment: f"{moment.hour % 12 or 12:02d}", r"\d\d", "hour"),
    "h": Sign(lambda moment: str(moment.hour % 12 or 12), r"\d{1,2}", "hour"),
    "a": Sign(lambda moment: "AM" if moment.hour < 12 else "PM", "AM|PM", "half"),
    "mm": _number("minute", "minute", 2),
    "ss": _number("second", "second", 2),
    **{"S" * digits: _fraction(digits) for digits in range(1, 10)},
    "Z": Sign(lambda moment: _written_offset(moment, ""), _OFFSET, "offset"),
    "ZZ": Sign(lambda moment: _written_offset(moment, ":"), _OFFSET, "offset"),
    "XX": Sign(lambda moment: _or_z(moment, ""), _OFFSET, "offset"),
    "XXX": Sign(lambda moment: _or_z(moment, ":"), _OFFSET, "offset"),
    "z": Sign(lambda moment: moment.tzname() or "", "", "zone"),
}
"""Every sign that a pattern may have."""
