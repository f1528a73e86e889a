"""A tiny run of the benchmarks: does every figure come out, and are wrong runs noticed?"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.correctness import examine
from oneio.state import CHECKOUT

KEYS = {
    "accept_per_s",
    "end_to_end_per_s",
    "latency_ms",
    "cpu_ms_per_message",
    "memory_pss_mb",
    "floor_per_s",
}
LOOKS = {"claim_alone_p50_ms", "claim_p50_ms", "route_p50_ms", "accept_p50_ms"}


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.slow
def test_small_run_gives_table_and_figures(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"

    done = benchmark("--scale", "0.01", "--out", str(out))

    assert done.returncode == 0, done.stderr
    assert "Share of the floor" in done.stdout
    figures = json.loads(out.read_text())
    assert figures.keys() >= KEYS
    assert figures["end_to_end_per_s"].keys() == {"0ms", "50ms"}
    assert all(figures["latency_ms"][name] > 0 for name in ("p50", "p95", "p99"))
    assert figures["correctness"]["accepted"] == figures["correctness"]["arrived"] > 0


@pytest.mark.slow
def test_growth_compares_full_with_empty(tmp_path: Path) -> None:
    out = tmp_path / "growth.json"

    done = benchmark("--growth", "--scale", "0.001", "--out", str(out))

    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["rows"] == {"finished": 1000, "queued": 50, "received": 50, "dead": 1000}
    assert found["empty"].keys() == found["full"].keys() == found["dead"].keys() == LOOKS


@pytest.mark.slow
def test_neighbours_are_measured_in_one_run(tmp_path: Path) -> None:
    out = tmp_path / "neighbours.json"

    done = benchmark("--neighbours", "--scale", "0.004", "--out", str(out))

    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found.keys() == {"alone", "beside_a_flood", "beside_a_target_that_hangs"}
    assert all(one["p95"] > 0 for one in found.values())


@pytest.mark.slow
def test_every_page_is_timed(tmp_path: Path) -> None:
    out = tmp_path / "pages.json"

    done = benchmark("--pages", "--scale", "0.003", "--out", str(out))

    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["messages"] == 3000
    assert {"queue", "queue, needs you", "queue, last hour", "needs you"} <= found["pages"].keys()
    assert all(0 < p50 <= p95 for p50, p95 in found["pages"].values())


def test_lost_message_is_counted() -> None:
    found = examine(["a-000", "b-000"], ["a-000"])

    assert (found.lost, found.sound) == (1, False)


def test_second_arrival_is_a_duplicate() -> None:
    found = examine(["a-000"], ["a-000", "a-000"])

    assert (found.duplicates, found.sound) == (1, False)


def test_overtaken_message_is_out_of_order() -> None:
    found = examine(["a-000", "a-001", "b-000"], ["a-001", "b-000", "a-000"])

    assert (found.out_of_order, found.sound) == (1, False)
