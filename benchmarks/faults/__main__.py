"""Runs it: `python -m benchmarks.faults [--out FILE]`, and how much of each part: [--messages N] [--faults N]
[--kills N] [--drops N] [--recoveries N]."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.faults.report import Whole, keep, text_of
from tests.faults.background import background
from tests.faults.cut import kill_between_send_and_commit
from tests.faults.dropped import CASES, Case, Dropped, drop_answers
from tests.faults.history import Findings
from tests.faults.installation import Installation, installation
from tests.faults.line import fault_line
from tests.faults.recovery import DEFAULTS, DISTURBANCES, Recovery, measure_recovery
from tests.faults.run import Plan, Report, carry_out
from tests.faults.systems import system_of

MESSAGES_PER_TICKET = 20
LEASE_SECONDS = 3
COLUMNS = (
    TextColumn("[bold]{task.description:<28}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TextColumn("{task.fields[said]}"),
)


def main(arguments: list[str]) -> int:
    """Run all parts, print and keep the report; 1 when a guarantee was broken."""
    options = _options(arguments)
    began = time.monotonic()
    lease = {"ONEIO_LEASE_SECONDS": str(LEASE_SECONDS)}
    console = Console(stderr=True)
    with Progress(*COLUMNS, console=console) as progress, installation(**lease) as installed:
        storm = _storm(options, installed, progress)
        installed.stop()
        killed = _killed(options, installed, progress)
        installed.stop()
        dropped = _dropped(options, installed, progress)
        installed.stop()
        recovery = _recovery(options, installed, progress)
    seconds = round(time.monotonic() - began, 1)
    whole = Whole(storm, options.kills, killed, options.drops, dropped, recovery, seconds)
    print(text_of(whole))
    if options.out:
        keep(whole, options.out)
    return 0 if whole.sound else 1


def _storm(options: argparse.Namespace, installed: Installation, progress: Progress) -> Report:
    """Everything fails at random while the partner posts."""
    plan = Plan(
        tickets=max(1, options.messages // MESSAGES_PER_TICKET),
        messages=MESSAGES_PER_TICKET,
        blows=options.faults,
        per_second=options.rate,
        seed=options.seed,
    )
    task = progress.add_task("Posting under fire", total=options.messages, said="")

    def watch(said: str, done: int, total: int) -> None:
        progress.update(task, completed=done, total=total, said=said)

    return carry_out(plan, installed, "storm", watch)


def _killed(options: argparse.Namespace, installed: Installation, progress: Progress) -> Findings:
    """A worker is killed each time the target has made a ticket and the answer is on its way."""
    task = progress.add_task("Killed between send and commit", total=options.kills, said="")
    installed.start_web()
    installed.start_workers(ONEIO_PUMPS="4")
    with background() as network, fault_line(installed, network) as line:
        return kill_between_send_and_commit(
            line, options.kills, lambda done: progress.update(task, completed=done)
        )


def _dropped(options: argparse.Namespace, installed: Installation, progress: Progress) -> list[Dropped]:
    """Each kind of target in turn makes tickets and drops its answers."""
    installed.start_web()
    installed.start_workers(ONEIO_PUMPS="4")
    return [_dropped_by(case, options, installed, progress) for case in CASES]


def _dropped_by(
    case: Case, options: argparse.Namespace, installed: Installation, progress: Progress
) -> Dropped:
    task = progress.add_task(f"Dropped by {case.name}", total=options.drops, said="")
    system = system_of(case.system, case.index_lag)
    plan = {"system": case.system, "policy": case.policy}
    with background() as network, fault_line(installed, network, system, **plan) as line:
        return drop_answers(line, case, options.drops, lambda done: progress.update(task, completed=done))


def _recovery(options: argparse.Namespace, installed: Installation, progress: Progress) -> Recovery:
    """Workers with the product's own lease are killed and stopped, and the clock says when work goes on."""
    total = options.recoveries * len(DISTURBANCES)
    task = progress.add_task("Until work goes on", total=total, said="")
    installed.start_web()
    installed.start_workers(**DEFAULTS)
    with background() as network, fault_line(installed, network) as line:
        return measure_recovery(
            line, DISTURBANCES, options.recoveries, lambda done: progress.update(task, completed=done)
        )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the report: JSON, and text beside it")
    parser.add_argument("--messages", type=int, default=20_000, help="how many are posted (20,000)")
    parser.add_argument("--faults", type=int, default=56, help="how many blows the nemesis deals (56)")
    parser.add_argument("--kills", type=int, default=200, help="kills between send and commit (200)")
    parser.add_argument("--drops", type=int, default=100, help="answers dropped by each kind of target (100)")
    parser.add_argument("--recoveries", type=int, default=3, help="how often each recovery is timed (3)")
    parser.add_argument("--rate", type=float, default=80.0, help="messages posted per second (80)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (1)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
