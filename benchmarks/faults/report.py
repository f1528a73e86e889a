"""What a long fault run found, as a short text for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.dropped import Dropped
from tests.faults.history import Findings
from tests.faults.recovery import DEFAULTS, Measured, Recovery
from tests.faults.run import Report


@dataclass(frozen=True, slots=True)
class Whole:
    """All parts of a run: the storm, the kills between send and commit, dropped answers, the recoveries."""

    storm: Report
    kills: int
    killed: Findings
    drops: int
    dropped: Sequence[Dropped]
    recovery: Recovery
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether every guarantee held in all; how fast work went on is another matter."""
        parts = (self.storm.findings, self.killed, *self.dropped, self.recovery)
        return all(part.sound for part in parts)

    def as_json(self) -> dict[str, Any]:
        """Everything, with the timeline of blows."""
        return {
            "sound": self.sound,
            "seconds": self.seconds,
            "storm": self.storm.as_json(),
            "killed_between_send_and_commit": {"kills": self.kills, **self.killed.as_json()},
            "answers_dropped": [one.as_json() for one in self.dropped],
            "recovery": self.recovery.as_json(),
        }


def text_of(whole: Whole) -> str:
    """A page for people."""
    storm, found = whole.storm, whole.storm.findings
    blows = Counter(blow.what.replace("_", " ") for blow in storm.blows)
    lines = [
        _verdict(whole),
        "",
        f"Under fire ({storm.posting_seconds:.0f} s of posting, {storm.draining_seconds:.0f} s until all was "
        f"at rest, seed {storm.plan.seed}):",
        _line("attempted", found.attempted),
        _line("acknowledged", found.acknowledged),
        _line("delivered", found.delivered),
        _line("held for a person", sum(found.held.values()), _counted(found.held)),
        *_verdicts(found),
        _line("updates repeated in a row", found.reapplied, "no harm: the same value twice"),
        _line("blows", len(storm.blows), _counted(blows)),
        _line("exchanges spoilt", sum(storm.network_faults.values()), _counted(storm.network_faults)),
        "",
        "Workers killed when the target had made the ticket and the answer was on its way:",
        _line("kills", whole.kills),
        _line("tickets delivered", whole.killed.delivered),
        *_verdicts(whole.killed),
        "",
        f"Answers to creates dropped when the target had made the ticket, {whole.drops} by each:",
        *(_dropped(one) for one in whole.dropped),
        "",
        f"Seconds until work went on, with a lease of {DEFAULTS['ONEIO_LEASE_SECONDS']} s:",
        *(_measured(one) for one in whole.recovery.measured),
        _line("tickets delivered", whole.recovery.findings.delivered),
        *_verdicts(whole.recovery.findings),
    ]
    return "\n".join(lines)


def keep(whole: Whole, path: Path) -> None:
    """Write the JSON to `path` and the text beside it."""
    path.write_text(json.dumps(whole.as_json(), indent=1) + "\n")
    path.with_suffix(".txt").write_text(text_of(whole) + "\n")


def _verdict(whole: Whole) -> str:
    if not whole.sound:
        return "A GUARANTEE WAS BROKEN; the JSON report names examples."
    late = "" if whole.recovery.in_time else ", but work went on later than asked"
    return f"Every guarantee held{late}."


def _verdicts(found: Findings) -> list[str]:
    return [
        _line("lost", len(found.lost)),
        _line("duplicated", len(found.duplicated)),
        _line("out of order", len(found.out_of_order)),
        _line("last value wrong", len(found.overwritten)),
        _line("never came to rest", len(found.unfinished)),
        _line("stuck lanes", found.stuck),
    ]


def _dropped(found: Dropped) -> str:
    return (
        f"  {found.case.name:<32}{found.tickets:>4} tickets of {found.times + found.undisturbed} ordered, "
        f"{found.held} held, {found.flagged} sent again and flagged"
    )


def _measured(found: Measured) -> str:
    asked = f"asked {found.asked:.0f}" if found.asked else ""
    late = "" if found.in_time else ", LONGER THAN ASKED"
    return f"  {found.what:<68}{found.worst:>5.1f} worst {found.median:>5.1f} median  {asked}{late}".rstrip()


def _line(name: str, count: int, detail: str = "") -> str:
    return f"  {name:<26}{count:>7,}" + (f"  ({detail})" if detail else "")


def _counted(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(counts.items()))
