"""Workers that are killed or stopped: work goes on by itself, and every message arrives once."""

import pytest

from tests.faults.background import Background
from tests.faults.installation import Installation
from tests.faults.line import fault_line
from tests.faults.recovery import QUICK, REQUESTS, measure_recovery

pytestmark = pytest.mark.slow


def test_work_goes_on_after_kills_and_stops(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS="2")
    with fault_line(product, network) as line:
        recovery = measure_recovery(line, QUICK, times=1)

        assert recovery.sound, recovery.as_json()
        assert recovery.findings.delivered == 3 + 2 * REQUESTS
        assert len(recovery.measured) == len(QUICK) + 1
