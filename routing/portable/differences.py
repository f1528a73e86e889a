"""Says how two configuration documents differ, place by place, for people to read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routing.delays import DELAY_KINDS
from routing.wording import delay_in_words

IDENTITIES = ("target", "name")
"""Keys by which an entry of a list is the same entry in the other document."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One change: where, what it was (None: not there) and what it is (None: no longer there)."""

    place: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.place}: added {self.after}"
        if self.after is None:
            return f"{self.place}: removed {self.before}"
        return f"{self.place}: {self.before} → {self.after}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What changed from one document to the other, in the order of the new one."""
    old, new = list(_entries(before, "")), list(_entries(after, ""))
    old_at, new_at = dict(old), dict(new)
    found = [
        Difference(place, old_at.get(place), value) for place, value in new if old_at.get(place) != value
    ]
    found += [Difference(place, value, None) for place, value in old if place not in new_at]
    return [_unkeyed(one) for one in found] + list(_moves(before, after))


def _entries(document: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every single value with its place; entries of lists are placed by what they are, not by number."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _entries(value, f"{place} › {key}" if place else str(key))
    elif isinstance(document, list) and document:
        yield from _of_list(document, place)
    else:
        yield place, _words(document)


def _of_list(items: Sequence[Any], place: str) -> Iterator[tuple[str, str]]:
    seen: Counter[str] = Counter()
    for item in items:
        key = _key(item)
        seen[key] += 1
        named = key if seen[key] == 1 else f"{key} ({seen[key]})"
        if isinstance(item, Mapping) and _identity(item):
            yield from _entries(
                {k: v for k, v in item.items() if k not in IDENTITIES} or "there", f"{place} › {named}"
            )
        elif _is_pair(item):
            yield f"{place} › {named}", _words(item[1])
        else:
            yield f"{place} › \0{named}", _words(item)


def _moves(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Lists of the same entries in another order; the order decides which entry comes first."""
    for key, value in after.items():
        old = before.get(key)
        if not (isinstance(value, list) and isinstance(old, list)):
            continue
        was, is_now = [_key(item) for item in old], [_key(item) for item in value]
        if was != is_now and Counter(was) == Counter(is_now):
            yield Difference(f"{key} › order", ", ".join(was), ", ".join(is_now))


def _key(item: Any) -> str:
    if isinstance(item, Mapping) and (name := _identity(item)):
        return name
    return str(item[0]) if _is_pair(item) else _words(item)


def _identity(item: Mapping[str, Any]) -> str:
    return next((str(item[key]) for key in IDENTITIES if item.get(key)), "")


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2


def _words(value: Any) -> str:
    """A value in one line: conditions as words, the rest as people write it."""
    if isinstance(value, Mapping):
        if value.get("kind") in DELAY_KINDS:
            return f"waits until {delay_in_words(value)}"
        if "attribute" in value:
            said = value.get("value", value.get("values", ""))
            return " ".join(filter(None, [value["attribute"], value.get("operator", ""), _words(said)]))
        return "; ".join(f"{key}: {_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value) or "nothing"
    if isinstance(value, str):
        return value or "empty"
    return json.dumps(value)


def _unkeyed(one: Difference) -> Difference:
    """Entries that are their own key are told by what was added or removed, without the key."""
    place, found, _ = one.place.partition(" › \0")
    return Difference(place, one.before, one.after) if found else one
