"""Compares what was sent and acknowledged, what the targets did, and what the product says of the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.messages import split
from tests.faults.target import Applied

EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the product says a delivery stands; `behind`: why the head of its lane is held, if it is."""

    mark: str
    state: str
    hold_reason: str = ""
    behind: str = ""

    @property
    def held_for(self) -> str:
        """The reason that a person is shown, empty where nothing holds it."""
        return self.hold_reason if self.state == "held" else self.behind and f"behind {self.behind}"


@dataclass(frozen=True, slots=True)
class History:
    """All that is known when a run has come to rest.

    `attempted` and `acknowledged` are marks; `journals` are the targets' own, in the order of their doing;
    `fields` is the last title of each target ticket; `stuck` counts lanes with open work and no due time.
    """

    attempted: Sequence[str]
    acknowledged: Sequence[str]
    journals: Sequence[Sequence[Applied]]
    standings: Sequence[Standing] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    stuck: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """What the comparison found; lists hold marks or tickets and should be empty but for `held`."""

    attempted: int
    acknowledged: int
    delivered: int
    reapplied: int
    held: dict[str, int]
    lost: list[str]
    duplicated: list[str]
    out_of_order: list[str]
    overwritten: list[str]
    unfinished: list[str]
    stuck: int

    @property
    def sound(self) -> bool:
        """Whether every guarantee held."""
        broken = (self.lost, self.duplicated, self.out_of_order, self.overwritten, self.unfinished)
        return not any(broken) and not self.stuck

    def as_json(self) -> dict[str, Any]:
        """Counts, and the first few names of each thing that should not be."""
        document = asdict(self)
        names = {name: value for name, value in document.items() if isinstance(value, list)}
        examples = {name: value[:EXAMPLES] for name, value in names.items() if value}
        return document | {name: len(value) for name, value in names.items()} | {"examples": examples}


def examine(history: History) -> Findings:
    """Count; a message is lost if it was acknowledged and is neither applied nor visibly held."""
    applied = [entry for journal in history.journals for entry in journal]
    done = {entry.mark for entry in applied}
    held = {one.mark: one.held_for for one in history.standings if one.held_for}
    open_ones = {one.mark for one in history.standings if one.state in _OPEN and not one.held_for}
    accounted = done | held.keys() | open_ones
    return Findings(
        attempted=len(set(history.attempted)),
        acknowledged=len(set(history.acknowledged)),
        delivered=len(done),
        reapplied=_reapplied(applied),
        held=dict(Counter(reason for mark, reason in held.items() if mark not in done)),
        lost=sorted(set(history.acknowledged) - accounted),
        duplicated=_duplicated(applied),
        out_of_order=_inversions(history.journals),
        overwritten=_overwritten(applied, history.titles),
        unfinished=sorted(open_ones - held.keys()),
        stuck=history.stuck,
    )


_OPEN = ("queued", "sending", "verifying")


def _duplicated(applied: Iterable[Applied]) -> list[str]:
    """Second tickets and second comments; an update done twice in a row does no more than once."""
    times = Counter(entry.mark for entry in applied if entry.what == "comment")
    tickets: dict[str, int] = Counter(split(entry.mark)[0] for entry in applied if entry.what == "create")
    again = [name for counted in (tickets, times) for name, count in counted.items() if count > 1]
    return sorted(again)


def _reapplied(applied: Iterable[Applied]) -> int:
    times = Counter(entry.mark for entry in applied if entry.what == "update")
    return sum(count - 1 for count in times.values())


def _inversions(journals: Iterable[Iterable[Applied]]) -> list[str]:
    """Marks that were applied after a later one of their ticket."""
    found = []
    for journal in journals:
        latest: dict[str, int] = defaultdict(lambda: -1)
        for entry in journal:
            ticket, number = split(entry.mark)
            if number < latest[ticket]:
                found.append(entry.mark)
            latest[ticket] = max(number, latest[ticket])
    return sorted(found)


def _overwritten(applied: Iterable[Applied], titles: Mapping[str, str]) -> list[str]:
    """Target tickets that do not hold what the latest message wrote."""
    newest: dict[str, str] = {}
    for entry in applied:
        if entry.what != "comment":
            newest[entry.ticket_id] = max(newest.get(entry.ticket_id, ""), entry.mark)
    return sorted(ticket for ticket, mark in newest.items() if titles.get(ticket, mark) != mark)
