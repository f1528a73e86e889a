"""Each guarantee under the one fault that would break it, with real processes and real signals."""

import os
import signal
import time
from typing import Any

import pytest

from tests.faults.background import Background
from tests.faults.cut import kill_between_send_and_commit
from tests.faults.installation import Installation, wait_until
from tests.faults.line import SETTLE_SECONDS, FaultLine, fault_line
from tests.faults.proxy import STORM, Fault
from tests.faults.run import Plan, carry_out

pytestmark = pytest.mark.slow
KILLS = 20
POSTS = 1000
ROWS = """
    SELECT 'lane', id::text, xmin::text FROM conversations_lane
    UNION ALL SELECT 'delivery', id::text, xmin::text FROM conversations_delivery
    UNION ALL SELECT 'attempt', id::text, xmin::text FROM conversations_attempt
    UNION ALL SELECT 'participant', id::text, xmin::text FROM conversations_participant
    ORDER BY 1, 2
"""


def test_every_202_survives_database_crashes(product: Installation, network: Background) -> None:
    with fault_line(product, network, askable=False) as line:  # whose rule wants another category
        met = 0
        for first in range(0, 10 * POSTS, POSTS):
            met += posts_meet_crash(product, line, first)
            if met == 2:
                break

        assert met == 2
        assert sorted(stored(product, line)) == sorted(line.partner.acknowledged.values())


def posts_meet_crash(product: Installation, line: FaultLine, first: int) -> bool:
    """Whether posts fail because the database crashes when a quarter of them is acknowledged."""
    failures = line.partner.failures
    tickets = [f"{line.prefix}{number:04d}" for number in range(first, first + POSTS)]
    posting = line.network.start(line.partner.send(tickets, 1, connections=12))
    wait_until(lambda: len(line.partner.acknowledged) >= first + POSTS // 4)
    product.restart_database()
    posting.result(SETTLE_SECONDS)
    return line.partner.failures > failures


def stored(product: Installation, line: FaultLine) -> list[str]:
    """The Response IDs of all that is stored of the line's source."""
    rows = product.query(
        "SELECT m.response_id::text FROM conversations_message m"
        " JOIN conversations_messagebody b ON b.id = m.response_id"
        " JOIN oneio_organization o ON o.id = m.organization_id WHERE o.slug = %s",
        line.name,
    )
    return [response_id for (response_id,) in rows]


def test_routing_lost_in_a_database_crash_is_done_again(product: Installation, network: Background) -> None:
    with product.lazy_disk(), fault_line(product, network) as line:
        line.set_status("suspended")
        product.start_workers(ONEIO_PUMPS="1")
        # Any commit that waits for the disk takes the others along: a single crash may come too late.
        assert any(crash_undoes_routing(product, line, first) for first in range(0, 200, 10))
        line.set_status("active")
        findings = line.settle()

        assert findings.sound, findings
        assert findings.delivered == len(line.partner.acknowledged)


def crash_undoes_routing(product: Installation, line: FaultLine, first: int) -> bool:
    """Whether the database, crashing as soon as ten more tickets are routed, forgets some of that."""
    line.post(first, first + 10, messages=2)
    wait_until(lambda: line.count("true") == 2 * (first + 10))
    product.restart_database()
    return line.count("true") < 2 * (first + 10)


def test_kill_between_send_and_commit_makes_no_duplicate(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS="4")
    with fault_line(product, network) as line:
        findings = kill_between_send_and_commit(line, KILLS)

        assert findings.sound, findings
        assert len(line.target.tickets) == findings.delivered == KILLS


def test_worker_stopped_past_its_lease_changes_no_row(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS="2")
    with fault_line(product, network) as line:
        line.proxy.order(Fault.WITHHOLD, times=6)
        line.post(0, 6)
        pump = line.wait_for_senders(6)[0]
        os.kill(pump, signal.SIGSTOP)
        network.do(line.release())
        findings = line.settle()
        before = product.query(ROWS)
        os.kill(pump, signal.SIGCONT)
        time.sleep(product.lease * 2)

        assert product.query(ROWS) == before
        assert findings.sound, findings
        assert len(line.target.tickets) == 6


def test_worker_stopped_past_its_lease_sends_nothing(product: Installation, network: Background) -> None:
    product.start_workers(ONEIO_PUMPS="2", ONEIO_HTTP_THREADS="4")
    with fault_line(product, network) as line:
        # All that both pumps may give to one endpoint waits for its answer.
        line.proxy.order(Fault.WITHHOLD, times=4)
        line.post(0, 8)
        pump = line.wait_for_senders(4)[0]
        os.kill(pump, signal.SIGSTOP)
        network.do(line.release())
        line.settle()
        os.kill(pump, signal.SIGCONT)
        time.sleep(product.lease * 2)

        findings = line.settle()
        assert findings.sound, findings
        assert len(line.target.tickets) == 8


def test_random_faults_lose_and_double_nothing(installed: Installation) -> None:
    said: list[Any] = []
    plan = Plan(tickets=45, messages=20, blows=12, per_second=36, seed=20)

    try:
        report = carry_out(plan, installed, "short-run", lambda *what: said.append(what))
    finally:
        installed.stop()

    assert report.findings.sound, report.as_json()
    assert report.findings.acknowledged == 900
    assert set(report.findings.held) <= {"unknown", "behind unknown"}
    assert report.network_faults.keys() == set(STORM)
