"""Single values between JSON and the canonical format; shared by the adapters of JSON systems."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from endpoints.canonical import Value


def canonical_value(raw: Any) -> Value:
    """Any JSON value as a canonical one; fractions become exact decimals."""
    if type(raw) is str:
        return raw
    if isinstance(raw, float):
        return Decimal(str(raw))
    if isinstance(raw, list | tuple):
        return [canonical_value(item) for item in raw]
    if isinstance(raw, Mapping):
        return {str(name): canonical_value(item) for name, item in raw.items()}
    return raw  # type: ignore[no-any-return]


def json_number(value: Decimal) -> int | float:
    """An exact decimal as JSON has it: whole numbers without a fraction."""
    return int(value) if value == value.to_integral_value() else float(value)


def json_value(value: Value) -> Any:
    """A canonical value as plain JSON; times in ISO 8601."""
    if isinstance(value, Decimal):
        return json_number(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {name: json_value(item) for name, item in value.items()}
    return value


def text_of(value: Value) -> str:
    """A value as people write it in one line: empty for nothing, lists with commas, times in ISO 8601."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return ", ".join(text_of(item) for item in value)
    return str(value)
