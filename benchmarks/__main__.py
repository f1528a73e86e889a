"""Runs the benchmarks: `python -m benchmarks [--out FILE] [--scale N] [--growth|--neighbours|--pages]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import growth, neighbours, pages, report
from benchmarks.measurements import BUSY_SHARE, CALM_PER_SECOND, DELAY_SECONDS, Bench, Sizes
from benchmarks.product import BenchmarkError, installed

RULES = 1000


def main(arguments: list[str]) -> int:
    """Measure, print, keep; 1 when messages were lost, doubled or out of order."""
    options = _options(arguments)
    if options.growth:
        return growth.run(options.scale, options.out)
    if options.pages:
        return pages.run(options.scale, options.out)
    if options.neighbours:
        return neighbours.run(options.scale, options.out)
    figures = measure(Sizes().scaled(options.scale))
    report.show(figures)
    if options.out:
        report.keep(report.as_json(figures), options.out)
    return 0 if figures.correctness.sound else 1


def measure(sizes: Sizes) -> report.Figures:
    """One run over a fresh installation."""
    with installed() as product:
        _say("Setting up a database and an example organization.")
        bench = Bench(product, product.set_up(), sizes)
        with bench.meter.watching_memory():
            return _measured(bench)


def _measured(bench: Bench) -> report.Figures:
    product, sizes = bench.product, bench.sizes
    _say("The floor.")
    floor = bench.floor()
    product.start_web()
    _say("Accepting, then delivering the pile.")
    accepting = bench.accept()
    bench.warm_up()
    _say("End to end, target answers at once.")
    fast = bench.saturate(0.0)
    _say("End to end, target takes 50 ms.")
    slow = bench.saturate(DELAY_SECONDS)
    _say("Latency.")
    calm = bench.latency("C", CALM_PER_SECOND, sizes.calm)
    busy_per_second = BUSY_SHARE * fast.per_second
    busy = bench.latency("B", busy_per_second, sizes.busy)
    _say("Order.")
    bench.order()
    return report.Figures(
        floor_per_second=floor,
        accepting=accepting,
        fast_target=fast,
        slow_target=slow,
        calm=calm,
        busy=busy,
        busy_per_second=busy_per_second,
        memory=bench.meter.peak_memory,
        decision_ms=float(product.python("benchmarks.decisions", str(RULES))),
        correctness=bench.correctness(),
    )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the figures as JSON")
    parser.add_argument("--scale", type=float, default=1.0, help="send so many times the usual number")
    parser.add_argument("--growth", action="store_true", help="compare a full database with an empty one")
    parser.add_argument("--pages", action="store_true", help="time the pages over a million messages")
    parser.add_argument(
        "--neighbours", action="store_true", help="measure what one organization's trouble costs another"
    )
    return parser.parse_args(arguments)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BenchmarkError as error:
        sys.exit(str(error))
