"""What a run found, as a table for people and as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.correctness import Correctness
from benchmarks.measurements import CALM_PER_SECOND, Accepting, Flow, Percentiles


@dataclass(frozen=True, slots=True)
class Figures:
    """All that one run measured."""

    floor_per_second: float
    accepting: Accepting
    fast_target: Flow
    slow_target: Flow
    calm: Percentiles
    busy: Percentiles
    busy_per_second: float
    memory: dict[str, float]
    decision_ms: float
    correctness: Correctness


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures under the names that scripts read."""
    cpu = figures.fast_target.cpu_ms
    return {
        "accept_per_s": round(figures.accepting.per_second),
        "accept_ms": asdict(figures.accepting.latency),
        "accept_per_s_while_delivering": round(figures.fast_target.accepted_per_second),
        "drain_per_s": round(figures.accepting.drained_per_second),
        "end_to_end_per_s": {
            "0ms": round(figures.fast_target.per_second),
            "50ms": round(figures.slow_target.per_second),
        },
        "latency_ms": asdict(figures.calm),
        "latency_ms_at_80_percent": asdict(figures.busy) | {"per_s": round(figures.busy_per_second)},
        "cpu_ms_per_message": round(sum(cpu.values()), 2),
        "cpu_ms_per_message_by_part": {name: round(value, 2) for name, value in cpu.items()},
        "cpu_ms_per_message_by_process": figures.fast_target.cpu_ms_by_process,
        "memory_pss_mb": round(sum(figures.memory.values())),
        "memory_pss_mb_by_part": {name: round(value) for name, value in figures.memory.items()},
        "floor_per_s": round(figures.floor_per_second),
        "share_of_floor": round(figures.fast_target.per_second / figures.floor_per_second, 2),
        "decision_ms_with_1000_rules": round(figures.decision_ms, 2),
        "correctness": asdict(figures.correctness),
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load_average": os.getloadavg()[0]}


def show(figures: Figures) -> None:
    """Print the table."""
    table = Table(title="oneio, everything on this machine", show_header=False, title_justify="left")
    for name, value in _lines(figures):
        table.add_row(name, value)
    Console().print(table)


def keep(found: dict[str, Any], path: Path) -> None:
    """Write the JSON file."""
    path.write_text(json.dumps(found, indent=2) + "\n")


def _lines(figures: Figures) -> list[tuple[str, str]]:
    fast, accepting = figures.fast_target, figures.accepting
    correctness = figures.correctness
    return [
        ("Accepted (workers not running)", f"{accepting.per_second:,.0f}/s, {_words(accepting.latency)}"),
        ("Accepted while delivering", f"{fast.accepted_per_second:,.0f}/s"),
        ("Delivered from a pile, nothing coming in", f"{accepting.drained_per_second:,.0f}/s"),
        ("End to end, target answers at once", f"{fast.per_second:,.0f}/s"),
        ("End to end, target takes 50 ms", f"{figures.slow_target.per_second:,.0f}/s"),
        (f"Latency at {CALM_PER_SECOND:.0f}/s", _words(figures.calm)),
        (f"Latency at {figures.busy_per_second:,.0f}/s (80 %)", _words(figures.busy)),
        ("CPU per message", _parts(fast.cpu_ms, "ms", 2)),
        ("Peak memory (PSS)", _parts(figures.memory, "MB", 0)),
        ("Floor: the least durable work by hand", f"{figures.floor_per_second:,.0f}/s"),
        ("Share of the floor", f"{fast.per_second / figures.floor_per_second:.0%}"),
        ("A decision among 1,000 rules", f"{figures.decision_ms:.2f} ms"),
        (
            "Lost, duplicated, out of order",
            f"{correctness.lost}, {correctness.duplicates}, {correctness.out_of_order}"
            f" of {correctness.accepted:,}",
        ),
    ]


def _words(found: Percentiles) -> str:
    return f"p50 {found.p50:.1f} ms, p95 {found.p95:.1f} ms, p99 {found.p99:.1f} ms"


def _parts(parts: dict[str, float], unit: str, digits: int) -> str:
    each = ", ".join(f"{name} {value:.{digits}f}" for name, value in parts.items())
    return f"{sum(parts.values()):.{digits}f} {unit} ({each})"
