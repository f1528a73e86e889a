"""Clocks that are an hour wrong change nothing: only the database's time counts."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.faults.background import Background
from tests.faults.installation import Installation, shifted, wait_until
from tests.faults.line import FaultLine, fault_line
from tests.faults.proxy import Fault

pytestmark = pytest.mark.slow
PLANNED = """
    SELECT count(*), max(abs(extract(epoch FROM due_at - now()))) FROM conversations_lane
    WHERE due_at IS NOT NULL
"""


@pytest.fixture
def pumps(installed: Installation) -> Iterator[dict[int, int]]:
    """Hours by which a worker is ahead → the process id of its pump; the web server is ahead too."""
    installed.start_web(**shifted(1))
    installed.start_workers(ONEIO_PUMPS="1", **shifted(1))
    [ahead] = installed.pumps()
    installed.start_workers(ONEIO_PUMPS="1", **shifted(-1))
    [behind] = set(installed.pumps()) - {ahead}
    yield {1: ahead, -1: behind}
    installed.stop()


def planned(line: FaultLine) -> tuple[int, float]:
    """How many lanes have a due time, and how many seconds the farthest is away by the database's clock."""
    [(lanes, seconds)] = line.installed.query(PLANNED)
    return lanes, float(seconds or 0)


@pytest.mark.parametrize("hours", [1, -1])
def test_shifted_process_sees_another_time(installed: Installation, hours: float) -> None:
    says = "from django.utils import timezone; import time; print(timezone.now().timestamp(), time.time())"

    told = installed.run("-c", says, **shifted(hours))

    now = datetime.now(UTC).timestamp()
    assert [float(one) - now for one in told.split()] == pytest.approx([hours * 3600] * 2, abs=60)


@pytest.mark.parametrize("killed", [1, -1])
def test_wrong_clocks_change_nothing(
    installed: Installation, network: Background, pumps: dict[int, int], killed: int
) -> None:
    with fault_line(installed, network) as line:
        line.proxy.order(Fault.WITHHOLD, times=4)
        line.post(0, 4)
        wait_until(lambda: len(line.senders()) == 4)
        time.sleep(installed.lease * 1.5)  # leases are renewed, so that nobody takes the lanes over
        assert line.count("d.state = 'sending'") == 4
        os.kill(pumps[killed], signal.SIGKILL)  # the other takes over, and not in an hour
        network.do(line.release())
        network.do(line.proxy.stop())
        line.post(10, 16, messages=4)
        wait_until(lambda: line.count("d.tries > 0 AND d.state = 'queued'") > 3)
        lanes, farthest = planned(line)
        network.do(line.proxy.start())
        findings = line.settle()

        assert lanes >= 4
        assert farthest < 1800  # retries are not due an hour off
        assert findings.sound, findings
        assert (findings.delivered, findings.held) == (4 + 6 * 4, {})
        assert len(line.target.titles()) == 10
