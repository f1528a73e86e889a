"""Pumps killed between send and commit: the target has done it, and no answer ever comes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.faults.history import Findings
from tests.faults.installation import wait_until
from tests.faults.line import FaultLine
from tests.faults.proxy import Fault


def creates(head: bytes) -> bool:
    """Whether a request with that head makes a ticket."""
    return head.startswith(b"POST /tickets ")


def kill_between_send_and_commit(
    line: FaultLine, times: int, watch: Callable[[int], None] = lambda _: None
) -> Findings:
    """Post `times` tickets one by one; the pump that sends each is killed when the target has made it."""
    for number in range(times):
        wait_until(lambda: bool(line.installed.pumps()))
        line.proxy.order(Fault.WITHHOLD, to=creates)
        line.post(number, number + 1)
        os.kill(line.wait_for_senders(1)[0], signal.SIGKILL)
        line.network.do(line.release())
        watch(number + 1)
        time.sleep(0.05)
    return line.settle()
