"""Formatters of numbers: read as one country writes them, rounded, written as another does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from endpoints.canonical import Value
from oneio.template_values import is_short, to_text
from routing.errors import RuleError
from routing.formatters.base import Argument, ArgumentValue, Formatter, FormatterError

MAX_DECIMALS = 20
_NUMBER = re.compile(r"[+-]?(?:\d{1,100}(?:\.\d{0,100})?|\.\d{1,100})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_EXACT = Context(prec=400)
_DECIMAL = Argument("decimal", "Decimal mark", "choice", ".", choices=(".", ","))
_DECIMALS = Argument("decimals", "Decimals", "number")


def number(value: Value, *, decimal: str, decimals: int | str) -> int | Decimal:
    """The number written in a text, rounded half up to `decimals` if given; a whole one with 0."""
    found = _number(value, decimal)
    return found if isinstance(decimals, str) else _rounded(found, decimals)


def number_text(value: Value, *, decimal: str, thousands: str, decimals: int | str) -> str:
    """A number as text with these marks, every digit kept unless `decimals` are given."""
    found = _number(value, ".")
    if not isinstance(decimals, str):
        found = _rounded(found, decimals)
    text = f"{found:,f}" if isinstance(found, Decimal) else f"{found:,d}"
    marks = {",": thousands, ".": decimal}
    return "".join(marks.get(sign, sign) for sign in text)


def _number(value: Value, decimal: str) -> int | Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and is_short(value):
        return value
    text = "".join(to_text(value).split())
    text = text.replace("," if decimal == "." else ".", "").replace("'", "").replace(decimal, ".")
    if not _NUMBER.fullmatch(text):
        raise FormatterError("The value is no number. Take out with extract what is one, or check its marks.")
    found = Decimal(text)
    return found if "." in text or not is_short(found) else int(found)


def _rounded(value: int | Decimal, decimals: int) -> int | Decimal:
    step = Decimal(1).scaleb(-decimals)
    rounded = Decimal(value).quantize(step, rounding=ROUND_HALF_UP, context=_EXACT)
    return rounded if decimals > 0 else int(rounded)


def _check(arguments: Mapping[str, Any]) -> None:
    decimals: ArgumentValue = arguments["decimals"]
    if decimals != "" and not 0 <= int(decimals) <= MAX_DECIMALS:
        raise RuleError("formatters", f"“Decimals” is between 0 and {MAX_DECIMALS}.")


NUMBERS = (
    Formatter(
        "number",
        "Number",
        "The number written in a text, whatever groups its thousands; rounded if decimals are given.",
        number,
        (_DECIMAL, _DECIMALS),
        takes="value",
        check=_check,
    ),
    Formatter(
        "number_text",
        "Number as text",
        "A number with these marks, such as 1.234,50.",
        number_text,
        (
            _DECIMAL,
            Argument("thousands", "Between thousands", "choice", "", choices=("", ".", ",", " ", "'")),
            _DECIMALS,
        ),
        takes="value",
        check=_check,
    ),
)
