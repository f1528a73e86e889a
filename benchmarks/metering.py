"""Counts what the product's processes cost: CPU time from /proc, memory as proportional set size."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

import psutil

SAMPLE_SECONDS = 1.5
MEGABYTE = 1024 * 1024


def family(root: int) -> list[psutil.Process]:
    """A process and all below it; empty when it has ended."""
    try:
        parent = psutil.Process(root)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(root: int) -> float:
    """CPU time of a process and all below it so far, ended and collected ones counted in."""
    return sum(_own_cpu(process) for process in family(root))


def pss_megabytes(root: int) -> float:
    """Proportional set size of a process and all below it: shared pages are divided among their users."""
    return sum(_own_pss(process) for process in family(root)) / MEGABYTE


class Meter:
    """Watches named groups of processes, each given by its root's process id."""

    def __init__(self, roots: Callable[[], Mapping[str, int]]) -> None:
        self._roots = roots
        self.peak_memory: dict[str, float] = {}
        self._stop = threading.Event()

    def cpu(self) -> dict[str, float]:
        """CPU seconds of each group so far."""
        return {name: cpu_seconds(root) for name, root in self._roots().items()}

    def per_process(self) -> dict[str, float]:
        """CPU seconds so far of each process, as `group/process id`."""
        return {
            f"{name}/{process.pid}": _own_cpu(process)
            for name, root in self._roots().items()
            for process in family(root)
        }

    @contextlib.contextmanager
    def watching_memory(self) -> Iterator[None]:
        """Note the peak of the groups' memory, looked at every 1.5 s, until the block ends."""
        self._stop.clear()
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        try:
            yield
        finally:
            self._stop.set()
            watcher.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            now = {name: pss_megabytes(root) for name, root in self._roots().items()}
            if sum(now.values()) > sum(self.peak_memory.values()):
                self.peak_memory = now


def _own_cpu(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.NoSuchProcess:
        return 0.0


def _own_pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
