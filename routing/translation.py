"""Translation tables: what one system says and what another calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from routing.errors import choice

Unmapped: TypeAlias = Literal["pass", "default", "hold"]

UNMAPPED = frozenset({"pass", "default", "hold"})


@dataclass(frozen=True, slots=True)
class TranslationTable:
    """Pairs of values; the first one that fits counts, ignoring case."""

    name: str
    rows: tuple[tuple[str, str], ...]
    unmapped: Unmapped = "hold"
    default: str = ""
    _by_folded: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        choice("unmapped", self.unmapped, UNMAPPED)
        # Built from the end, so that the first of two equal rows wins.
        table = {_key(source): target for source, target in reversed(self.rows)}
        object.__setattr__(self, "_by_folded", table)

    def find(self, value: str) -> str | None:
        """What the value is translated to; None if no row fits."""
        return self._by_folded.get(_key(value))


def _key(value: str) -> str:
    return value.strip().casefold()
