"""Single values of a REST system: its codes, times and numbers, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from endpoints.adapters.base import EndpointConfig
from endpoints.adapters.rest.declaration import Field, Times
from endpoints.adapters.values import canonical_value, json_number, text_of
from endpoints.canonical import ATTRIBUTES, AttributeType, EntityKind, Value

_TYPES: Mapping[EntityKind, Mapping[str, AttributeType]] = {
    kind: {definition.name: definition.type for definition in definitions}
    for kind, definitions in ATTRIBUTES.items()
}
_YES = frozenset({"true", "yes", "1", "on"})
_EPOCHS = {"epoch": 1, "epoch_ms": 1000}


def zone_of(times: Times, endpoint: EndpointConfig) -> ZoneInfo:
    """The zone of times that carry none."""
    return ZoneInfo(times.zone) if times.zone else endpoint.timezone


def read_time(raw: Any, times: Times, zone: ZoneInfo) -> datetime | None:
    """A system's time with its zone; None for nothing. Raises ValueError when it is written otherwise."""
    if raw is None or raw == "":
        return None
    try:
        moment = _read_moment(raw, times.format)
    except (OverflowError, OSError, TypeError, InvalidOperation) as error:
        raise ValueError from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def write_time(moment: datetime, times: Times, zone: ZoneInfo) -> str | int:
    """A time as the system writes it; in seconds or milliseconds since 1970 as a whole number."""
    if times.format in _EPOCHS:
        return int(moment.timestamp() * _EPOCHS[times.format])
    local = moment.astimezone(zone)
    return local.isoformat() if times.format == "iso" else local.strftime(times.format)


def read_value(field: Field, name: str, kind: EntityKind, raw: Any, times: Times, zone: ZoneInfo) -> Value:
    """A native value as the attribute `name`. Raises ValueError when it is not of the attribute's type."""
    if raw is None:
        return None
    if field.values and not isinstance(raw, list | Mapping):
        shown = {text_of(canonical_value(code)): text for code, text in field.values.items()}
        return shown.get(text_of(canonical_value(raw)), canonical_value(raw))
    read = _READERS.get(field.type or _TYPES[kind].get(name, AttributeType.TEXT))
    if read is None:
        return canonical_value(raw)
    return read(raw, times, zone)


def native_value(field: Field, value: Value, times: Times, zone: ZoneInfo) -> Any:
    """An attribute's value as the system's own: codes for what people see, times as it writes them."""
    if field.values:
        text = text_of(value).casefold()
        for code, shown in field.values.items():
            if shown.casefold() == text:
                return code
    return plain_value(value, times, zone)


def plain_value(value: Value, times: Times, zone: ZoneInfo) -> Any:
    """A canonical value ready for JSON."""
    if type(value) is str:
        return value
    match value:
        case datetime():
            return write_time(value, times, zone)
        case Decimal():
            return json_number(value)
        case list():
            return [plain_value(item, times, zone) for item in value]
        case dict():
            return {name: plain_value(item, times, zone) for name, item in value.items()}
    return value


def _read_moment(raw: Any, form: str) -> datetime:
    if form in _EPOCHS:
        return datetime.fromtimestamp(float(Decimal(str(raw)) / _EPOCHS[form]), UTC)
    return datetime.fromisoformat(str(raw)) if form == "iso" else datetime.strptime(str(raw), form)  # noqa: DTZ007


def _number(raw: Any, *_: object) -> Value:
    if not isinstance(raw, str):
        return canonical_value(raw)
    try:
        number = Decimal(raw.strip())
    except InvalidOperation as error:
        raise ValueError from error
    if not number.is_finite():
        raise ValueError
    return number


def _boolean(raw: Any, *_: object) -> Value:
    return text_of(canonical_value(raw)).lower() in _YES


def _list(raw: Any, *_: object) -> Value:
    return canonical_value(raw if isinstance(raw, list) else [raw])


_READERS: Mapping[AttributeType, Callable[[Any, Times, ZoneInfo], Value]] = {
    AttributeType.DATETIME: read_time,
    AttributeType.NUMBER: _number,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.LIST: _list,
}
