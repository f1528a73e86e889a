"""Times one claim and one routed batch inside the product, and takes both back.

Usage: python -m benchmarks.probe prepare | measure   (`measure` prints milliseconds as JSON)
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import django

django.setup()

from django.db import transaction  # noqa: E402

from conversations import jobs, queue, router  # noqa: E402
from conversations.pump import CLAIM_AT_MOST, plan_for_full_tables  # noqa: E402
from endpoints.configs import EndpointConfigs  # noqa: E402
from routing.rules import RuleBook  # noqa: E402

REPETITIONS = 30
PREPARED_BATCHES = 2


class Probe:
    """The pump's database work, one step at a time."""

    def __init__(self) -> None:
        self.book, self.configs = RuleBook(), EndpointConfigs()

    def prepare(self) -> None:
        """Route some of what waits, so that there is something to claim."""
        for _ in range(PREPARED_BATCHES):
            assert router.route_next(self.book, self.configs)

    def measure(self) -> dict[str, float]:
        """Median milliseconds of a claim of 32 lanes, alone and with attempts; of a routed batch."""
        return {
            "claim_alone_p50_ms": _median(self._take),
            "claim_p50_ms": _median(self._claim),
            "route_p50_ms": _median(self._route),
        }

    def _take(self) -> queue.Turn:
        turn = queue.claim_lanes(CLAIM_AT_MOST, suspects=True)
        assert turn is not None
        assert len(turn.lanes) == CLAIM_AT_MOST
        return turn

    def _claim(self) -> None:
        turn = self._take()
        endpoint = self.configs.get(turn.endpoint_id)
        assert jobs.prepare(turn.lanes, endpoint, self.book.of(endpoint.environment_id))

    def _route(self) -> None:
        assert router.route_next(self.book, self.configs)


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        with transaction.atomic():
            work()
            transaction.set_rollback(True)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    plan_for_full_tables()
    if sys.argv[1] == "prepare":
        Probe().prepare()
    else:
        json.dump(Probe().measure(), sys.stdout)
