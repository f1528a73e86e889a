"""Gives out the numbers of counters, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from oneio.statements import one

_TAKE = """
    UPDATE routing_counter SET value = value + 1 WHERE environment_id = %s AND name = %s RETURNING value
"""


class Numbers(Mapping[str, int]):
    """What one rule takes for one message, by counter: a number is taken when it is first read.

    `taken` holds what the message has taken already, by rule and counter, and remembers what is taken now;
    kept with the message, it makes sure that the same message never counts twice. Read it only in the
    transaction that keeps it: the counter stays locked until then.
    """

    def __init__(
        self, environment_id: int, rule_id: int, names: Collection[str], taken: dict[str, int]
    ) -> None:
        self._environment_id = environment_id
        self._rule_id = rule_id
        self._names = names
        self._taken = taken

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(name)
        key = f"{self._rule_id}:{name}"
        if key not in self._taken:
            self._taken[key] = self._take(name)
        return self._taken[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _take(self, name: str) -> int:
        found = one(_TAKE, [self._environment_id, name])
        if found is None:
            raise KeyError(name)
        number: int = found[0]
        return number
