"""What neighbours cost: an organization's latency alone, beside a flood, and beside a target that hangs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.load import Plan
from benchmarks.measurements import CALM_PER_SECOND, Bench, Percentiles, Sizes
from benchmarks.product import Access, Product, Sink, installed

FLOOD = 50_000
WAITING = 5_000
HANGS_SECONDS = 60.0
MEASURED_SECONDS = 20.0
HEAD_START_SECONDS = 1.0
"""The flood and the pile are under way before anything is measured."""


def run(scale: float, out: Path | None) -> int:
    """Measure, print and keep; always 0, because figures are for people to judge."""
    with installed() as product:
        found = _measured(product, scale)
    _show(found)
    if out:
        out.write_text(json.dumps({name: asdict(one) for name, one in found.items()}, indent=2) + "\n")
    return 0


def _measured(product: Product, scale: float) -> dict[str, Percentiles]:
    bench = Bench(product, product.set_up(), Sizes().scaled(scale))
    product.start_web()
    product.start_workers()
    bench.warm_up()
    alone = _latency(bench, "A", scale)
    with _neighbour(product, "flooding") as (sink, access):
        flooded = _flooded(bench, access, scale)
        _drain(sink, round(FLOOD * scale))
    with _neighbour(product, "hanging") as (sink, access):
        sink.answer_after(HANGS_SECONDS)
        product.post(Plan(product.port, access.authorization, "H", round(WAITING * scale)))
        time.sleep(HEAD_START_SECONDS)
        hanging = _latency(bench, "B", scale)
        product.stop()
    return {"alone": alone, "beside_a_flood": flooded, "beside_a_target_that_hangs": hanging}


def _flooded(bench: Bench, access: Access, scale: float) -> Percentiles:
    flood = Plan(bench.product.port, access.authorization, "F", round(FLOOD * scale))
    with ThreadPoolExecutor(1) as thread:
        flooding = thread.submit(bench.product.post, flood)
        time.sleep(HEAD_START_SECONDS)
        found = _latency(bench, "C", scale)
        flooding.result()
    return found


def _latency(bench: Bench, prefix: str, scale: float) -> Percentiles:
    return bench.latency(prefix, CALM_PER_SECOND, max(2.0, MEASURED_SECONDS * scale))


def _drain(sink: Sink, messages: int) -> None:
    """Wait until all has arrived there, or nothing more does."""
    count = -1
    while count < messages and count != (count := sink.count()):
        time.sleep(HEAD_START_SECONDS)


@contextmanager
def _neighbour(product: Product, name: str) -> Iterator[tuple[Sink, Access]]:
    """Another organization with a target of its own."""
    sink = Sink(product.environment)
    try:
        yield sink, product.organization(sink, name)
    finally:
        sink.stop()


def _show(found: dict[str, Percentiles]) -> None:
    table = Table("One organization at 20/s", "p50 ms", "p95 ms", "p99 ms", "p95 against alone")
    alone = found["alone"].p95
    for name, one in found.items():
        change = f"{one.p95 / alone - 1:+.0%}"
        table.add_row(name.replace("_", " "), f"{one.p50:.1f}", f"{one.p95:.1f}", f"{one.p99:.1f}", change)
    Console().print(table)
