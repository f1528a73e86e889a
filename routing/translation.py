"""Translation tables: what one system says and what another calls it, for one value or for several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from routing.errors import RuleError, choice

Unmapped: TypeAlias = Literal["pass", "default", "hold"]

UNMAPPED = frozenset({"pass", "default", "hold"})
WILDCARD = "*"
"""In a table of several inputs: fits any value, a missing one too."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table of several columns."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TranslationTable:
    """Values and what they become; the first row that fits counts, ignoring case.

    `rows` are the pairs of a table from one value to one. A table with `inputs` takes several values and
    gives several: those are the names of its columns, and `wide` are its rows. Raises RuleError.
    """

    name: str
    rows: tuple[tuple[str, str], ...] = ()
    unmapped: Unmapped = "hold"
    default: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    wide: tuple[TableRow, ...] = ()
    _by_folded: dict[str, str] = field(init=False, repr=False, compare=False)
    _folded_rows: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        choice("unmapped", self.unmapped, UNMAPPED)
        if bool(self.inputs) != bool(self.outputs):
            raise RuleError("inputs", "A table of several columns needs columns for both sides. Name them.")
        for row in self.wide:
            self._check_width(row)
        # Built from the end, so that the first of two equal rows wins.
        table = {_key(source): target for source, target in reversed(self.rows)}
        object.__setattr__(self, "_by_folded", table)
        folded = tuple((tuple(map(_key, row.sources)), row.targets) for row in self.wide)
        object.__setattr__(self, "_folded_rows", folded)

    def find(self, value: str) -> str | None:
        """What the value is translated to; None if no row fits."""
        return self._by_folded.get(_key(value))

    def find_row(self, values: Sequence[Collection[str]]) -> tuple[str, ...] | None:
        """What several values become, each given in all its spellings; None if no row fits."""
        folded = [frozenset(map(_key, ways)) for ways in values]
        for sources, targets in self._folded_rows:
            if all(cell == WILDCARD or cell in ways for cell, ways in zip(sources, folded, strict=True)):
                return targets
        return None

    def _check_width(self, row: TableRow) -> None:
        if (len(row.sources), len(row.targets)) != (len(self.inputs), len(self.outputs)):
            raise RuleError(
                "rows",
                f"A row of {self.name} has {len(row.sources)} values to fit and {len(row.targets)} to give;"
                f" the table has {len(self.inputs)} and {len(self.outputs)} columns. Fill every cell.",
            )


def _key(value: str) -> str:
    return value.strip().casefold()
