"""Answers dropped when the target has made the ticket: nobody on our side knows whether it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults.history import Findings
from tests.faults.installation import wait_until
from tests.faults.line import SETTLE_SECONDS, FaultLine
from tests.faults.proxy import Fault
from tests.faults.systems import ACCESS

BATCH = 8
"""Fewer lost answers in a row than open an endpoint's circuit."""
UNDISTURBED = 5000
"""From this number on, tickets whose answers come through."""
_SENDS = """
    SELECT a.result FROM conversations_attempt a JOIN oneio_organization o ON o.id = a.organization_id
    WHERE o.slug = %s AND a.purpose = 'send' AND a.ended_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of target. `index_lag`: seconds by which its search is behind; `policy`: the endpoint's."""

    name: str
    system: str
    index_lag: float = 0.0
    policy: str = "hold"


CASES = (
    Case("a REST system", "rest"),
    Case("ServiceNow", "servicenow"),
    Case("Jira, its index 60 s behind", "jira", index_lag=60.0),
    Case("a system that cannot be asked", "mute"),
    Case("the same, policy resend", "mute", policy="resend"),
)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What came of dropping `times` answers: how often requests were sent, and how deliveries ended."""

    case: Case
    times: int
    undisturbed: int
    tickets: int
    sends: int
    held: int
    flagged: int
    findings: Findings

    @property
    def sound(self) -> bool:
        """Whether the target has each ticket once and the rest is as the endpoint's policy wants it."""
        again = self.times if self.case.policy == "resend" else 0
        held = self.times if self.case.system == "mute" and not again else 0
        broken = [self.findings.lost, self.findings.unfinished, self.findings.stuck]
        return (
            not any(broken)
            and self.tickets == self.sends == self.times + self.undisturbed + again
            and (len(self.findings.duplicated), self.flagged, self.held) == (again, again, held)
        )

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for a file."""
        return asdict(self) | {"findings": self.findings.as_json(), "sound": self.sound}


def drop_answers(
    line: FaultLine, case: Case, times: int, watch: Callable[[int], None] = lambda _: None
) -> Dropped:
    """Post `times` tickets and drop the target's answer to each create, the first time it is sent.

    After each batch one ticket is undisturbed, so that the circuit stays closed.
    """
    creates = f"POST {ACCESS[case.system].creates}".encode()
    batches = [(first, min(first + BATCH, times)) for first in range(0, times, BATCH)]
    for number, (first, last) in enumerate(batches, UNDISTURBED):
        line.proxy.order(Fault.APPLY_THEN_DROP, times=last - first, to=lambda head: head.startswith(creates))
        line.post(first, last)
        wait_until(lambda last=last: _sends(line).count("unknown") >= last)  # type: ignore[misc]
        if not case.index_lag:
            line.settle()
        line.post(number, number + 1)
        wait_until(lambda number=number: line.is_delivered(number))  # type: ignore[misc]
        watch(last)
    findings = line.settle(SETTLE_SECONDS + 2 * case.index_lag)
    return Dropped(
        case,
        times,
        undisturbed=len(batches),
        tickets=len(line.target.titles()),
        sends=len(_sends(line)),
        held=line.count("d.state = 'held' AND d.hold_reason = 'unknown'"),
        flagged=line.count("d.possible_duplicate"),
        findings=findings,
    )


def _sends(line: FaultLine) -> list[str]:
    """The results of all requests that were sent to do something, not to look it up."""
    return [result for (result,) in line.installed.query(_SENDS, line.name)]
