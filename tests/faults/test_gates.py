"""One probe, one token request, one rate: what several processes share through an endpoint's gate."""

import time
from itertools import combinations

import pytest

from tests.faults.background import Background
from tests.faults.installation import UNHURRIED, Installation, wait_until
from tests.faults.line import FaultLine, fault_line
from tests.faults.proxy import Fault
from tests.faults.systems import Simulated

pytestmark = pytest.mark.slow
PUMPS = "4"
PER_SECOND = 20
THREE_DAYS_AGO = (
    "UPDATE conversations_message SET received_at = received_at - interval '3 days',"
    " routed_at = routed_at - interval '3 days'",
    "UPDATE conversations_delivery SET due_at = due_at - interval '3 days',"
    " state_since = state_since - interval '3 days', first_tried_at = first_tried_at - interval '3 days',"
    " in_doubt_since = in_doubt_since - interval '3 days'",
    "UPDATE conversations_lane SET due_at = due_at - interval '3 days'",
    "UPDATE conversations_attempt SET started_at = started_at - interval '3 days',"
    " ended_at = ended_at - interval '3 days'",
    "UPDATE endpoints_endpointgate SET tokens_at = tokens_at - interval '3 days'",
)


def test_half_open_circuit_sends_one_probe(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS=PUMPS, **UNHURRIED)
    with fault_line(product, network) as line:
        network.do(line.proxy.stop())
        line.post(0, 20)
        wait_until(lambda: line.gate("circuit") == "open")
        line.proxy.order(Fault.WITHHOLD)
        network.do(line.proxy.start())
        line.change_gate("closed_until = now()")
        # Without what has been taken for the probe by now.
        product.execute(
            "UPDATE conversations_lane SET due_at = now() WHERE due_at > now() AND lease_until IS NULL"
        )
        wait_until(lambda: len(line.proxy.withheld) == 1)
        time.sleep(4)  # long enough for the others to send theirs

        assert len(line.target.titles()) == 1
        network.do(line.release())
        findings = line.settle()
        assert (findings.sound, findings.delivered) == (True, 20), findings


def test_expired_token_is_fetched_once_by_all_workers(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS=PUMPS, **UNHURRIED)
    servicenow = Simulated("servicenow-oauth")
    with fault_line(product, network, servicenow, system="servicenow-oauth", max_in_flight=50) as line:
        line.post(0, 1)
        line.settle()
        product.execute("UPDATE endpoints_credentials SET token_expires_at = now() - interval '1 second'")
        line.post(1, 51)
        findings = line.settle()

        assert (findings.sound, findings.delivered) == (True, 51), findings
        assert servicenow.requests("/oauth_token.do") == [200, 200]
        assert 401 not in servicenow.requests("/api/now")


def test_three_days_suspended_delivers_all_in_order_throttled(
    product: Installation, network: Background
) -> None:
    product.start_workers(ONEIO_PUMPS=PUMPS)
    with fault_line(product, network, max_per_second=PER_SECOND) as line:
        network.do(line.proxy.stop())
        line.post(0, 5, messages=4)
        wait_until(lambda: line.count("d.tries > 0") == 5)
        line.set_status("suspended")
        wait_until(lambda: line.count("d.state = 'sending'") == 0)
        network.do(line.proxy.start())
        line.post(5, 15, messages=4)
        wait_until(lambda: line.count("true") == 60)
        for statement in THREE_DAYS_AGO:
            product.execute(statement)
        time.sleep(product.lease)  # long enough to send it all
        assert line.target.titles() == {}
        line.set_status("active")
        findings = line.settle()

        assert (findings.sound, findings.delivered, findings.held) == (True, 60, {}), findings
        assert_throttled(line)


def assert_throttled(line: FaultLine) -> None:
    """No stretch of time has more requests than the rate allows, a full bucket given."""
    times = line.sent_at()
    assert len(times) >= 60
    for (first, begin), (last, end) in combinations(enumerate(times), 2):
        # Two more than the bucket: transactions that wait for the gate have begun a moment earlier.
        assert last - first + 1 <= PER_SECOND + 2 + (end - begin) * PER_SECOND, (first, last)
