"""How tests wait: so long that a test which fails means "never", whatever else the machine does.

Nothing here measures speed; that is what benchmarks are for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 60.0
"""Seconds; what a test has to tell from "in time" must take at least twice as long."""


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Wait until it holds; the seconds that took. Raises AssertionError when it does not come true."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"It did not come true within {seconds:.0f} s."
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def comes_to_an_end(seconds: float = PATIENCE) -> Iterator[None]:
    """What is done within must neither hang nor grow out of all proportion."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds, f"It took longer than {seconds:.0f} s."
