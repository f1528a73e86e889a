"""Compares what was accepted with what arrived: everything, once, each ticket's messages in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.incident import split


@dataclass(frozen=True, slots=True)
class Correctness:
    """Counts of messages; all but the first two should be 0."""

    accepted: int
    arrived: int
    lost: int
    duplicates: int
    out_of_order: int

    @property
    def sound(self) -> bool:
        """Whether the guarantees held."""
        return not (self.lost or self.duplicates or self.out_of_order)


def examine(accepted: Sequence[str], arrivals: Sequence[str]) -> Correctness:
    """Count by the references of what was accepted and of what arrived, in the order of arrival."""
    arrived = Counter(arrivals)
    return Correctness(
        accepted=len(accepted),
        arrived=len(arrived),
        lost=len(set(accepted) - set(arrived)),
        duplicates=sum(count - 1 for count in arrived.values()),
        out_of_order=_inversions(arrivals),
    )


def _inversions(arrivals: Sequence[str]) -> int:
    """How many messages arrived after a later one of their ticket."""
    latest: dict[str, int] = {}
    inversions = 0
    for reference in arrivals:
        ticket, sequence = split(reference)
        inversions += sequence < latest.get(ticket, -1)
        latest[ticket] = max(sequence, latest.get(ticket, -1))
    return inversions
