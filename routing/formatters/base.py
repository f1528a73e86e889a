"""What a formatter is: its declaration, its arguments as people fill them in, and how it may fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from oneio.template_values import MAX_VALUE
from routing.errors import RuleError

ArgumentType: TypeAlias = Literal["text", "number", "choice", "flag"]
ArgumentValue: TypeAlias = "str | int | bool"
Takes: TypeAlias = Literal["text", "value", "list", "whole"]

MAX_ARGUMENT = 2000
"""Characters of a text argument."""
MAX_NUMBER = 1_000_000


class FormatterError(ValueError):
    """A value that a formatter cannot work on; its sentence says what to do, and never holds the value."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One thing to fill in. An argument without default that is not required may be left empty."""

    name: str
    label: str
    type: ArgumentType = "text"
    default: ArgumentValue = ""
    required: bool = False
    choices: tuple[str, ...] = ()

    def value_of(self, given: Any) -> ArgumentValue:
        """What was filled in, checked and with its type. Raises RuleError on the field `formatters`."""
        value = _READERS[self.type](self, given)
        if self.required and value == "":
            raise self.wrong("is empty. Fill it in.")
        return value

    def wrong(self, what: str) -> RuleError:
        """What is wrong with this argument, to be raised."""
        return RuleError("formatters", f"“{self.label}” {what}")


@dataclass(frozen=True, slots=True)
class Formatter:
    """One way to change a value.

    `takes` says what `run` is given: a value as `text`, a `value` with its type (both: of a list, one element
    after the other), always a `list`, or the `whole` as it is. `run` gets the arguments by name and gives
    the new value, or MISSING where there is none; it raises FormatterError. `check` sees the arguments when
    the rule is saved and raises RuleError. `empty` says whether it also gets what is missing or None.
    `weight` is what a character costs, of the work that a chain may do.
    """

    name: str
    label: str
    help: str
    run: Callable[..., Any]
    arguments: tuple[Argument, ...] = ()
    takes: Takes = "text"
    check: Callable[[Mapping[str, ArgumentValue]], None] | None = None
    empty: bool = False
    weight: int = 1


def bounded(size: int) -> None:
    """Raises FormatterError if a text of this many characters would be too long to build."""
    if size > MAX_VALUE:
        raise FormatterError(
            f"The result would have {size} characters and {MAX_VALUE} are allowed."
            " Shorten the value first, with truncate."
        )


def _text(argument: Argument, given: Any) -> str:
    if not isinstance(given, str | int) or isinstance(given, bool):
        raise argument.wrong("is a text. Write it in quotes.")
    if len(str(given)) > MAX_ARGUMENT:
        raise argument.wrong(f"is too long. Shorten it to {MAX_ARGUMENT} characters.")
    return str(given)


def _number(argument: Argument, given: Any) -> ArgumentValue:
    if given == "" and not argument.required:
        return argument.default
    try:
        number = int(str(given)[:20])
    except ValueError:
        raise argument.wrong("is a whole number, such as 80.") from None
    if abs(number) > MAX_NUMBER:
        raise argument.wrong(f"is too large. The largest number is {MAX_NUMBER}.")
    return number


def _choice(argument: Argument, given: Any) -> str:
    if given not in argument.choices:
        raise argument.wrong(f"is one of {', '.join(argument.choices)}. Choose one.")
    return str(given)


def _flag(argument: Argument, given: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "": False}
    found = given if isinstance(given, bool) else words.get(str(given).lower())
    if found is None:
        raise argument.wrong("is yes or no.")
    return found


_READERS: Mapping[ArgumentType, Callable[[Argument, Any], ArgumentValue]] = {
    "text": _text,
    "number": _number,
    "choice": _choice,
    "flag": _flag,
}
