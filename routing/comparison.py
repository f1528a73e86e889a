"""How what systems send compares with what people write: as text, as a number, as a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from endpoints.canonical import Value
from oneio.template_values import to_text

Key: TypeAlias = "tuple[str, str | int | Decimal | datetime]"
"""What makes two values the same: text ignoring case, a number by value, a moment by instant."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value as a person wrote it, read once in every way it can be meant."""

    text: str
    number: Decimal | None = field(init=False, compare=False)
    moment: datetime | None = field(init=False, compare=False)
    keys: frozenset[Key] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        number, moment = as_number(self.text), as_moment(self.text)
        keys: list[Key] = [("text", fold(self.text))]
        keys += [("number", number)] if number is not None else []
        keys += [("moment", moment)] if moment is not None else []
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "moment", moment)
        object.__setattr__(self, "keys", frozenset(keys))


def as_number(text: str) -> Decimal | None:
    """The number written in a text, or None. Infinity and the like are no numbers."""
    if "_" in text:  # Python's own way to group digits, nobody else's
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def as_moment(text: str) -> datetime | None:
    """The moment written in ISO 8601, with an offset, a zone's name behind it, or in UTC; else None."""
    written, zone = _split_zone(text.strip())
    try:
        return _with_zone(datetime.fromisoformat(written), zone)
    except ValueError:
        return None


def as_day(text: str) -> tuple[datetime, datetime] | None:
    """The first instant of the day written in a text and that of the next day, or None if it is no date."""
    written, zone = _split_zone(text.strip())
    try:
        day = date.fromisoformat(written)
        ends = (day, day + timedelta(days=1))
        begin, end = (datetime.combine(one, time.min, zone).astimezone(UTC) for one in ends)
    except (ValueError, OverflowError):
        return None
    return begin, end


def key_of(actual: Value) -> Key | None:
    """The key of a value that a system sent; two values are equal if their keys are. None has no key."""
    if isinstance(actual, str):
        return ("text", actual.strip().casefold())
    if actual is None:
        return None
    if isinstance(actual, datetime):
        return ("moment", _with_zone(actual))
    if isinstance(actual, int | Decimal) and not isinstance(actual, bool):
        return ("number", actual)
    return ("text", fold(actual))


def equal(actual: Value, expected: Written) -> bool:
    """Whether one value is what a person wrote: text ignoring case, numbers by value, times by instant."""
    return key_of(actual) in expected.keys


def order(actual: Value, expected: Written) -> int | None:
    """1 if `actual` is greater or later, -1 if less or earlier, 0 if equal; None if they have no order."""
    mine: Any = _comparable(actual)
    other: Any = expected.moment if isinstance(mine, datetime) else expected.number
    if mine is None or other is None:
        return None
    return int(mine > other) - int(mine < other)


def moment_of(actual: Value) -> datetime | None:
    """The moment that a value is or tells."""
    if isinstance(actual, datetime):
        return _with_zone(actual)
    return as_moment(actual) if isinstance(actual, str) else None


def fold(value: Value) -> str:
    """The value as text that ignores case and blanks around it."""
    return to_text(value).strip().casefold()


def _comparable(actual: Value) -> datetime | Decimal | int | None:
    if isinstance(actual, datetime):
        return _with_zone(actual)
    if isinstance(actual, str):
        return number if (number := as_number(actual)) is not None else as_moment(actual)
    return actual if isinstance(actual, int | Decimal) and not isinstance(actual, bool) else None


def _with_zone(moment: datetime, zone: tzinfo = UTC) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _split_zone(text: str) -> tuple[str, tzinfo]:
    """What stands before the name of a time zone, and the zone; all of it and UTC without one."""
    before, blank, name = text.rpartition(" ")
    if not blank or not name[0].isalpha():
        return text, UTC
    try:
        return before.strip(), ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return text, UTC
