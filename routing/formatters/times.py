"""Formatters of dates and times: read by a pattern, moved to a zone, written by a pattern, as epoch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from endpoints.canonical import Value
from oneio.template_values import to_text
from routing.errors import RuleError
from routing.formatters.base import Argument, ArgumentValue, Formatter, FormatterError
from routing.formatters.date_patterns import EPOCHS, compile_pattern, zone_named

ISO = "yyyy-MM-dd'T'HH:mm:ssZZ"
_UNITS = {"seconds": 1, "milliseconds": 1000}


def date_format(value: Value, *, pattern: str, zone: str) -> str | int:
    """A moment by a pattern, in a zone if one is given, else in its own."""
    moment = moment_of(value)
    if pattern in EPOCHS:
        return epoch_of(moment, EPOCHS[pattern])
    return compile_pattern(pattern).write(moment.astimezone(zone_named(zone)) if zone else moment)


def date_parse(value: Value, *, pattern: str, zone: str) -> datetime:
    """The moment that a text or number says by a pattern; in `zone` if the pattern names none."""
    text = to_text(value)
    try:
        if pattern in EPOCHS:
            return datetime.fromtimestamp(float(Decimal(text.strip()[:40]) / EPOCHS[pattern]), UTC)
        return compile_pattern(pattern).read(text[:200], zone_named(zone))
    except (ArithmeticError, ValueError, OSError):
        raise FormatterError(
            f"The value is no time of the pattern {pattern}. Correct the pattern, or check what the source"
            " sends."
        ) from None


def epoch(value: Value, *, unit: str) -> int:
    """The whole seconds or milliseconds from 1970-01-01T00:00Z to a moment."""
    return epoch_of(moment_of(value), _UNITS[unit])


def epoch_of(moment: datetime, per_second: int) -> int:
    """How many of these units lie between 1970-01-01T00:00Z and the moment, without rounding up."""
    passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    return microseconds * per_second // 1_000_000


def moment_of(value: Value) -> datetime:
    """A value that is a time, or a text in ISO 8601; without a zone it is UTC. Raises FormatterError."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(to_text(value)[:60].strip())
    except ValueError:
        raise FormatterError(
            "The value is no time. Put “Read a date” before it, with the pattern that it has."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_format(arguments: Mapping[str, ArgumentValue]) -> None:
    if arguments["pattern"] not in EPOCHS:
        compile_pattern(str(arguments["pattern"]))
    if arguments["zone"]:
        zone_named(str(arguments["zone"]))


def _check_parse(arguments: Mapping[str, ArgumentValue]) -> None:
    _check_format(arguments)
    pattern = str(arguments["pattern"])
    if pattern not in EPOCHS and compile_pattern(pattern).reader is None:
        raise RuleError(
            "formatters",
            f"The pattern '{pattern}' can be written but not read: it needs a year, no sign twice, and no z.",
        )


TIMES = (
    Formatter(
        "date_format",
        "Write a date",
        "A time by a pattern such as dd.MM.yyyy HH:mm, in a zone; EpochTime and EpochTime_s give numbers.",
        date_format,
        (Argument("pattern", "Pattern", default=ISO, required=True), Argument("zone", "Time zone")),
        takes="value",
        check=_check_format,
    ),
    Formatter(
        "date_parse",
        "Read a date",
        "The time that a text says by a pattern; the zone counts where the pattern has none.",
        date_parse,
        (
            Argument("pattern", "Pattern", default=ISO, required=True),
            Argument("zone", "Time zone", default="UTC", required=True),
        ),
        takes="value",
        check=_check_parse,
    ),
    Formatter(
        "epoch",
        "Epoch",
        "The seconds or milliseconds since 1970-01-01 UTC.",
        epoch,
        (Argument("unit", "Unit", "choice", "seconds", choices=tuple(_UNITS)),),
        takes="value",
    ),
)
