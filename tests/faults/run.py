"""One whole fault run: real processes, a partner that posts, targets behind proxies, a nemesis, a verdict."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from tests.faults.background import Background, background
from tests.faults.history import Findings, History, Standing, examine
from tests.faults.installation import Installation, TargetPlan
from tests.faults.nemesis import Blow, Nemesis
from tests.faults.partner import Partner
from tests.faults.proxy import STORM, Fault, FaultProxy
from tests.faults.target import TicketSystem

HEALED = "lanes had open work and no due time"
DRAIN_SECONDS = 900.0
LOOK_SECONDS = 0.5
_STANDINGS = """
    SELECT m.event_id, d.state, d.hold_reason, d.lane_id
    FROM conversations_delivery d JOIN conversations_message m ON m.id = d.message_id
    WHERE m.event_id = ANY(%s) ORDER BY d.id
"""
_UNROUTED = "SELECT event_id FROM conversations_message WHERE state = 'received'"
_UNFINISHED = ("queued", "sending", "verifying", "held")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much happens: `blows` are spread over the time that posting takes at `per_second`."""

    tickets: int
    messages: int
    blows: int
    per_second: float
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What happened and what became of it; times in seconds."""

    plan: Plan
    findings: Findings
    blows: Sequence[Blow]
    network_faults: dict[str, int]
    posts: int
    failed_posts: int
    posting_seconds: float
    draining_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Everything, ready for a file."""
        return asdict(self) | {"findings": self.findings.as_json(), "sound": self.findings.sound}


class Targets:
    """The target that can be asked and the one that cannot, each behind its proxy."""

    def __init__(self, network: Background, seed: int) -> None:
        self.systems = [TicketSystem("A"), TicketSystem("M")]
        ports = [network.do(system.start()) for system in self.systems]
        self.proxies = [FaultProxy(port, seed + place) for place, port in enumerate(ports)]
        for proxy in self.proxies:
            network.do(proxy.start())

    def plans(self) -> list[TargetPlan]:
        """As the installation's endpoints."""
        return [
            TargetPlan(f"http://127.0.0.1:{proxy.port}", askable=askable)
            for proxy, askable in zip(self.proxies, (True, False), strict=True)
        ]

    def storm(self, blowing: bool) -> None:
        """Let faults happen by chance, and each once in any case; or let it be calm."""
        for proxy in self.proxies:
            proxy.chances = STORM if blowing else {}
        for fault in STORM if blowing else ():
            self.proxies[0].order(fault)

    def fault_counts(self) -> dict[str, int]:
        """Fault → how often, both targets together."""
        counts: Counter[Fault] = sum((proxy.counts for proxy in self.proxies), Counter())
        return {fault.value: count for fault, count in sorted(counts.items())}

    async def stop(self) -> None:
        """End everything."""
        for proxy in self.proxies:
            await proxy.stop()
        for system in self.systems:
            await system.stop()


@contextlib.contextmanager
def targets(network: Background, seed: int) -> Iterator[Targets]:
    """Both targets, for the block."""
    both = Targets(network, seed)
    try:
        yield both
    finally:
        network.do(both.stop())


def carry_out(
    plan: Plan, installed: Installation, name: str, watch: Callable[[str, int, int], None]
) -> Report:
    """The whole run over an installation in which nothing is started yet. `watch` is told what is going on:
    a sentence, messages acknowledged and messages in all."""
    with background() as network, targets(network, plan.seed) as both:
        authorization = installed.organization(name, *both.plans())
        installed.start_web()
        installed.start_workers()
        partner = Partner(installed.port, authorization, plan.per_second)
        nemesis = Nemesis(installed, network, both.proxies, plan.seed)
        began = time.monotonic()
        both.storm(True)
        _post_under_fire(plan, network, partner, nemesis, watch)
        both.storm(False)
        posted = time.monotonic()
        total = plan.tickets * plan.messages
        standings = settle(installed, partner, lambda left: watch(f"{left} on their way", total, total))
        drained = time.monotonic()
        history = History(
            attempted=partner.attempted,
            acknowledged=list(partner.acknowledged),
            journals=[system.journal for system in both.systems],
            standings=standings,
            titles={ticket: title for one in both.systems for ticket, title in one.titles().items()},
            stuck=installed.sweep() + installed.workers.log.read_text(errors="replace").count(HEALED),
        )
        return Report(
            plan=plan,
            findings=examine(history),
            blows=nemesis.blows,
            network_faults=both.fault_counts(),
            posts=partner.posts,
            failed_posts=partner.failures,
            posting_seconds=round(posted - began, 1),
            draining_seconds=round(drained - posted, 1),
        )


def settle(
    installed: Installation,
    partner: Partner,
    watch: Callable[[int], None] = lambda _: None,
    seconds: float = DRAIN_SECONDS,
) -> list[Standing]:
    """Wait until nothing is on its way any more, `seconds` at most; where every delivery stands then."""
    deadline = time.monotonic() + seconds
    while True:
        found = standings(installed, list(partner.acknowledged))
        left = [one for one in found if one.state in _UNFINISHED and not one.held_for]
        if not left or time.monotonic() > deadline:
            return found
        watch(len(left))
        time.sleep(LOOK_SECONDS)


def standings(installed: Installation, marks: list[str]) -> list[Standing]:
    """Where the product says that each message stands; one not routed yet counts as queued."""
    heads: dict[int, str] = {}
    found = []
    for mark, delivery_state, reason, lane in installed.query(_STANDINGS, marks):
        if delivery_state in _UNFINISHED:
            heads.setdefault(lane, reason)
        behind = heads.get(lane, "") if delivery_state in _UNFINISHED else ""
        found.append(Standing(mark, delivery_state, reason, behind))
    routed = {one.mark for one in found}
    unrouted = {mark for (mark,) in installed.query(_UNROUTED)}
    return found + [Standing(mark, "queued") for mark in sorted(unrouted - routed)]


def _post_under_fire(
    plan: Plan,
    network: Background,
    partner: Partner,
    nemesis: Nemesis,
    watch: Callable[[str, int, int], None],
) -> None:
    tickets = [f"N{number:06d}" for number in range(plan.tickets)]
    total = plan.tickets * plan.messages
    posting = network.start(partner.send(tickets, plan.messages, mute=True))
    for number in range(plan.blows):
        due = total * (number + 1) // (plan.blows + 1)
        _wait(partial(_has_posted, posting, partner, due))
        blow = nemesis.strike()
        watch(f"{blow.what.replace('_', ' ')}: {blow.whom}", len(partner.acknowledged), total)
    posting.result()


def _has_posted(posting: Future[None], partner: Partner, messages: int) -> bool:
    return posting.done() or len(partner.acknowledged) >= messages


def _wait(ready: Callable[[], bool]) -> None:
    while not ready():
        time.sleep(LOOK_SECONDS / 5)
