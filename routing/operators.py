"""The operators of conditions: each declared once, with its words, what it takes and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from weakref import proxy

from endpoints.canonical import Value
from oneio.paths import MISSING, Missing, Path
from oneio.template_values import to_text
from routing.comparison import Key, Written, as_day, as_moment, equal, fold, key_of, moment_of, order
from routing.context import View, attribute_of, code_behind
from routing.errors import RuleError
from routing.regex import compile_regex

Takes: TypeAlias = Literal["value", "values", "pair", "none"]
Kind: TypeAlias = Literal["any", "text", "number", "date", "list", "change"]

CLOCKS_DIFFER = timedelta(minutes=1)
"""How far a sender's clock may run ahead of ours without making its 'now' a time to come."""
_SPAN = re.compile(r"(\d{1,5})\s*(minute|hour|day|week)s?", re.IGNORECASE)
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class Found:
    """What a path leads to in one message, and what is known around it. A view keeps what was found in it, so
    that refers back weakly: use it while there is the view."""

    __slots__ = ("_path", "_texts", "_view", "elements")

    def __init__(self, path: Path, view: View) -> None:
        self._path, self._view = path, proxy(view)
        self._texts: list[str] | None = None
        self.elements = flat(path.all(view))

    @property
    def texts(self) -> list[str]:
        """The values as texts that ignore case."""
        if self._texts is None:
            self._texts = [fold(value) for value in self.elements]
        return self._texts

    @property
    def keys(self) -> list[Key | None]:
        """What makes the values, and the code behind them, the same as others."""
        return [key_of(value) for value in self.coded]

    @property
    def coded(self) -> list[Any]:
        """The values, and the code that the system keeps behind them."""
        code = code_behind(self._path, self._view)
        return self.elements if code is None else [*self.elements, code]

    @property
    def previous(self) -> Value | Missing:
        """The value before this message; MISSING if the message does not change it."""
        name = attribute_of(self._path)
        changed = self._view.part("changed")
        return changed[name] if name is not None and name in changed else MISSING

    @property
    def now(self) -> datetime | None:
        """When the message was received."""
        received = self._view.part("message").get("received_at")
        return received if isinstance(received, datetime) else None


Read: TypeAlias = Callable[[Sequence[str]], Any]
Holds: TypeAlias = Callable[[Found, Any], bool]


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to compare, as people choose it.

    `takes` says what stands to its right: one value, several, a pair (either may be empty) or none.
    `read` turns those texts into the operand, once, and raises RuleError; `holds` decides by it.
    """

    name: str
    label: str
    help: str
    kind: Kind
    takes: Takes
    read: Read
    holds: Holds
    opposite_of: str = ""


def found_at(path: Path, view: View) -> Found:
    """What the path leads to, looked up once per message however many conditions ask."""
    known = view.found.get(path)
    if known is None:
        known = view.found[path] = Found(path, view)
    return known


def flat(values: Sequence[Any]) -> list[Any]:
    """The values with every list in them replaced by what stands in it."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, list):
            found.extend(flat(value))
        else:
            found.append(value)
    return found


def _nothing(_: Sequence[str]) -> None:
    return None


def _written(texts: Sequence[str]) -> Written:
    return Written(texts[0])


def _all_written(texts: Sequence[str]) -> tuple[Written, ...]:
    return tuple(Written(text) for text in texts if text.strip())


def _keys(texts: Sequence[str]) -> frozenset[Any]:
    return frozenset().union(*(one.keys for one in _all_written(texts)))


def _folded(texts: Sequence[str]) -> str:
    return fold(texts[0])


def _all_folded(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(fold(text) for text in texts if text.strip())


def _regex(texts: Sequence[str]) -> Any:
    return compile_regex(texts[0])


def _ordered(texts: Sequence[str]) -> Written:
    written = Written(texts[0])
    if written.number is None and written.moment is None:
        raise RuleError("value", "This needs a number or a time such as 2024-05-01T12:00Z.")
    return written


def _range(texts: Sequence[str]) -> tuple[Written, Written]:
    low, high = (Written(text) for text in texts)
    if low.number is not None and high.number is not None and low.number <= high.number:
        return low, high
    if low.moment is not None and high.moment is not None and low.moment <= high.moment:
        return low, high
    raise RuleError("values", "This needs two numbers or two times, the smaller or earlier one first.")


def _count(texts: Sequence[str]) -> int:
    text = texts[0].strip()
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise RuleError("value", f"'{text[:20]}' is no count. Write a whole number such as 3.")
    return int(text)


def _span(texts: Sequence[str]) -> timedelta:
    found = _SPAN.fullmatch(texts[0].strip())
    if found is None:
        raise RuleError("value", "This needs a length of time, such as 30 minutes, 2 hours or 7 days.")
    return timedelta(**{f"{found[2].lower()}s": int(found[1])})


def _day(texts: Sequence[str]) -> tuple[datetime, datetime]:
    day = as_day(texts[0])
    if day is None:
        raise RuleError("value", "This needs a day such as 2024-05-01 or 2024-05-01 Europe/Berlin.")
    return day


def _day_or_moment(texts: Sequence[str]) -> tuple[datetime, datetime]:
    """The first instant meant, and the first that is no longer meant."""
    if (day := as_day(texts[0])) is not None:
        return day
    moment = as_moment(texts[0])
    if moment is None:
        raise RuleError("value", "This needs a day or a time, such as 2024-05-01T12:00 Europe/Berlin.")
    return moment, moment + timedelta(microseconds=1)


def _either(texts: Sequence[str]) -> tuple[Written | None, Written | None]:
    before, after = (Written(text) if text.strip() else None for text in texts)
    if before is None and after is None:
        raise RuleError("values", "Say from what or to what it changes, or choose 'changed'.")
    return before, after


def _some(test: Callable[[Any, Any], bool]) -> Holds:
    """Holds if one of the values fits."""
    return lambda found, operand: any(test(value, operand) for value in found.elements)


def _some_text(test: Callable[[str, Any], bool]) -> Holds:
    """Holds if one of the values, as a text that ignores case, fits."""
    return lambda found, operand: any(test(text, operand) for text in found.texts)


def _some_order(*fitting: int) -> Holds:
    return _some(lambda actual, expected: order(actual, expected) in fitting)


def _is(found: Found, keys: frozenset[Any]) -> bool:
    return not keys.isdisjoint(found.keys)


def _has_all(found: Found, wanted: tuple[Written, ...]) -> bool:
    return all(_is(found, one.keys) for one in wanted)


def _contains_all(found: Found, wanted: tuple[str, ...]) -> bool:
    return all(any(one in text for text in found.texts) for one in wanted)


def _between(actual: Value, limits: tuple[Written, Written]) -> bool:
    low, high = (order(actual, limit) for limit in limits)
    return low in (0, 1) and high in (0, -1)


def _matches(actual: Value, pattern: Any) -> bool:
    return actual is not None and pattern.search(to_text(actual)) is not None


def _is_shorter(actual: Value, length: int) -> bool:
    return actual is not None and len(to_text(actual)) < length


def _in_span(actual: Value, ends: tuple[datetime, datetime]) -> bool:
    moment = moment_of(actual)
    return moment is not None and ends[0] <= moment < ends[1]


def _before(actual: Value, ends: tuple[datetime, datetime]) -> bool:
    moment = moment_of(actual)
    return moment is not None and moment < ends[0]


def _after(actual: Value, ends: tuple[datetime, datetime]) -> bool:
    moment = moment_of(actual)
    return moment is not None and moment >= ends[1]


def _within(begin: int, end: int) -> Holds:
    """Holds if a moment lies between so many spans before and after the message's receipt."""

    def holds(found: Found, span: timedelta) -> bool:
        now = found.now
        if now is None:
            return False
        moments = (moment_of(value) for value in found.elements)
        first, last = now + begin * span, now + end * span + CLOCKS_DIFFER
        return any(moment is not None and first <= moment <= last for moment in moments)

    return holds


def _filled(found: Found) -> int:
    return sum(value not in (None, "", {}) for value in found.elements)


def _changed_between(found: Found, ends: tuple[Written | None, Written | None]) -> bool:
    before, after = ends
    if isinstance(found.previous, Missing):
        return False
    left = before is None or any(equal(value, before) for value in flat([found.previous]))
    return left and (after is None or _is(found, after.keys))


def _truth(words: frozenset[str]) -> Holds:
    return _some(lambda actual, _: actual is not None and fold(actual) in words)


_PAIRS: tuple[tuple[Operator, str, str], ...] = (
    (Operator("equals", "is", "The same text, whatever its case, the same number or the same moment."
              " For a choice, what people see or the code behind it.", "any", "value", _keys, _is),
     "is not", "The opposite of 'is'; true also of what is not there."),
    (Operator("in", "is one of", "As 'is', for one of several values.", "any", "values", _keys, _is),
     "is none of", "The opposite of 'is one of'."),
    (Operator("exists", "has a value", "It is there and not empty.", "any", "none", _nothing,
              lambda found, _: _filled(found) > 0),
     "has no value", "It is not there, or empty."),
    (Operator("contains", "contains", "The text stands somewhere in it, whatever its case.", "text", "value",
              _folded, _some_text(lambda actual, text: text in actual)),
     "does not contain", "The opposite of 'contains'."),
    (Operator("starts_with", "starts with", "It begins with the text, whatever its case.", "text", "value",
              _folded, _some_text(str.startswith)),
     "does not start with", "The opposite of 'starts with'."),
    (Operator("ends_with", "ends with", "It ends with the text, whatever its case.", "text", "value",
              _folded, _some_text(str.endswith)),
     "does not end with", "The opposite of 'ends with'."),
    (Operator("regex", "matches", "A regular expression (RE2) fits somewhere in it, whatever the case."
              " ^ and $ stand for begin and end.", "text", "value", _regex, _some(_matches)),
     "does not match", "The opposite of 'matches'."),
    (Operator("between", "is between", "Not smaller or earlier than the first, not greater or later than the"
              " second.", "number", "pair", _range, _some(_between)),
     "is not between", "The opposite of 'is between'; true also of what is no number and no time."),
    (Operator("on_day", "is on the day", "It lies in the day, which begins and ends in the zone written"
              " behind it, such as 2024-05-01 Europe/Berlin.", "date", "value", _day, _some(_in_span)),
     "is not on the day", "The opposite of 'is on the day'."),
    (Operator("within_last", "is within the last", "So long or less before the message was received, such as"
              " 30 minutes, 2 hours or 7 days.", "date", "value", _span, _within(-1, 0)),
     "is not within the last", "The opposite of 'is within the last'."),
    (Operator("has_any", "includes one of", "One of the values is among its elements.", "list", "values",
              _keys, _is),
     "includes none of", "The opposite of 'includes one of'."),
    (Operator("has_all", "includes all of", "Every one of the values is among its elements.", "list",
              "values", _all_written, _has_all),
     "does not include all of", "The opposite of 'includes all of'."),
    (Operator("changed", "changed", "This message changes the attribute.", "change", "none", _nothing,
              lambda found, _: not isinstance(found.previous, Missing)),
     "did not change", "The opposite of 'changed'."),
)  # fmt: skip
_SINGLE = (
    Operator("contains_any", "contains one of", "One of the texts stands somewhere in it.", "text", "values",
             _all_folded, _some_text(lambda actual, texts: any(text in actual for text in texts))),
    Operator("contains_all", "contains all of", "Every one of the texts stands somewhere in it.", "text",
             "values", _all_folded, _contains_all),
    Operator("longer", "is longer than", "It has more characters.", "text", "value", _count,
             _some(lambda actual, length: len(to_text(actual)) > length)),
    Operator("shorter", "is shorter than", "It has fewer characters; false of what is not there.", "text",
             "value", _count, _some(_is_shorter)),
    Operator("greater", "is greater than", "A larger number or a later moment.", "number", "value", _ordered,
             _some_order(1)),
    Operator("at_least", "is at least", "This number or a larger one.", "number", "value", _ordered,
             _some_order(0, 1)),
    Operator("less", "is less than", "A smaller number or an earlier moment.", "number", "value", _ordered,
             _some_order(-1)),
    Operator("at_most", "is at most", "This number or a smaller one.", "number", "value", _ordered,
             _some_order(0, -1)),
    Operator("before", "is before", "It is earlier; before a day means before it begins.", "date", "value",
             _day_or_moment, _some(_before)),
    Operator("after", "is after", "It is later; after a day means after it has ended.", "date", "value",
             _day_or_moment, _some(_after)),
    Operator("within_next", "is within the next", "So long or less after the message was received.", "date",
             "value", _span, _within(0, 1)),
    Operator("count_is", "has exactly", "So many elements that have a value; one that is no list has one.",
             "list", "value", _count, lambda found, count: _filled(found) == count),
    Operator("count_at_least", "has at least", "So many elements that have a value, or more.", "list",
             "value", _count, lambda found, count: _filled(found) >= count),
    Operator("count_at_most", "has at most", "So many elements that have a value, or fewer.", "list",
             "value", _count, lambda found, count: _filled(found) <= count),
    Operator("changed_from_to", "changes from … to", "This message changes it from the first value to the"
             " second. Either may be empty: then any.", "change", "pair", _either, _changed_between),
    Operator("is_true", "is true", "It is true, yes, on or 1.", "any", "none", _nothing, _truth(_TRUE)),
    Operator("is_false", "is false", "It is false, no, off or 0; what is not there is neither.", "any",
             "none", _nothing, _truth(_FALSE)),
)  # fmt: skip


def _opposite(operator: Operator, label: str, words: str) -> Operator:
    return Operator(
        f"not_{operator.name}",
        label,
        words,
        operator.kind,
        operator.takes,
        operator.read,
        lambda found, operand: not operator.holds(found, operand),
        opposite_of=operator.name,
    )


def _listed() -> list[Operator]:
    found = [one for operator, *words in _PAIRS for one in (operator, _opposite(operator, *words))]
    kinds = ("any", "text", "number", "date", "list", "change")
    return sorted([*found, *_SINGLE], key=lambda operator: kinds.index(operator.kind))


OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _listed()}
"""Every operator by its name, those of one kind together. Of a list, one element that fits is enough."""
