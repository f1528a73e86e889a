"""Each system, and each organization, makes only its own tickets wait."""

import pytest

from tests.faults.background import Background
from tests.faults.installation import UNHURRIED, Installation, wait_until
from tests.faults.line import fault_line
from tests.faults.proxy import Fault

pytestmark = pytest.mark.slow
HANGING = 200
FLOOD = 1000
GREEDY = 1000


def test_endpoints_that_hang_delay_no_other(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS="2", ONEIO_HTTP_THREADS="8", **UNHURRIED)
    with (
        fault_line(product, network, max_in_flight=GREEDY) as hanging,
        fault_line(product, network, max_in_flight=GREEDY) as too,
        fault_line(product, network) as well,
    ):
        for line in (hanging, too):
            line.proxy.order(Fault.WITHHOLD, times=GREEDY)
            line.post(0, HANGING)
        wait_until(lambda: len(hanging.proxy.withheld) >= 4 and len(too.proxy.withheld) >= 2)
        well.post(0, 50, messages=3)
        findings = well.settle()

        assert (findings.sound, findings.delivered) == (True, 150), findings
        assert [line.count("d.state = 'delivered'") for line in (hanging, too)] == [0, 0]
        for line in (hanging, too):
            network.do(line.let_go())
            assert line.settle().delivered == HANGING


def test_flood_of_one_organization_delays_no_other(product: Installation, network: Background) -> None:
    with fault_line(product, network, max_in_flight=64) as flooding, fault_line(product, network) as other:
        flooding.post(0, FLOOD)
        other.post(0, 20)
        product.start_workers(ONEIO_PUMPS="1", ONEIO_HTTP_THREADS="64", **UNHURRIED)
        wait_until(lambda: len(other.target.titles()) == 20)
        last = max(other.sent_at())
        ahead = [at for at in flooding.sent_at() if at <= last]

        assert len(ahead) < FLOOD / 5
        assert flooding.settle().delivered == FLOOD
