"""One partner, one proxy, one target: what the tests of single faults stand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psutil

from tests.faults.background import Background
from tests.faults.history import Findings, History, examine
from tests.faults.installation import Installation, TargetPlan
from tests.faults.partner import Partner
from tests.faults.proxy import FaultProxy
from tests.faults.run import settle
from tests.faults.target import TicketSystem

_numbers = count(1)


class FaultLine:
    """A partner whose tickets go through the proxy to the target, in an organization of their own."""

    def __init__(
        self, installed: Installation, network: Background, *, max_in_flight: int, askable: bool
    ) -> None:
        self.installed, self.network = installed, network
        self.target = TicketSystem()
        self.proxy = FaultProxy(network.do(self.target.start()))
        network.do(self.proxy.start())
        plan = TargetPlan(f"http://127.0.0.1:{self.proxy.port}", askable, max_in_flight)
        number = next(_numbers)
        self.name, self.prefix = f"line-{number}", f"L{number}X"
        self.partner = Partner(installed.port, installed.organization(self.name, plan))

    def post(self, first: int, last: int, messages: int = 1) -> None:
        """Post the tickets with these numbers and return when they are acknowledged."""
        tickets = [f"{self.prefix}{number:04d}" for number in range(first, last)]
        self.network.do(self.partner.send(tickets, messages, mute=False), seconds=120)

    def settle(self, seconds: float = 60.0) -> Findings:
        """Wait until nothing is on its way, and say what became of everything."""
        standings = settle(self.installed, self.partner, seconds=seconds)
        history = History(
            self.partner.attempted,
            list(self.partner.acknowledged),
            [self.target.journal],
            standings,
            self.target.titles(),
            self.installed.sweep(),
        )
        return examine(history)

    async def release(self) -> None:
        """Let all answers go that the proxy keeps back."""
        self.proxy.release()

    def senders(self) -> list[int]:
        """The pumps that wait for an answer the proxy keeps back, one process id per answer."""
        owners = {
            connection.laddr.port: pump
            for pump in self.installed.pumps()
            for connection in psutil.Process(pump).net_connections("tcp")
        }
        return [owners[port] for port in list(self.proxy.withheld) if port in owners]


@contextmanager
def fault_line(
    installed: Installation, network: Background, *, max_in_flight: int = 16, askable: bool = True
) -> Iterator[FaultLine]:
    """A line for the block."""
    line = FaultLine(installed, network, max_in_flight=max_in_flight, askable=askable)
    try:
        yield line
    finally:
        network.do(line.proxy.stop())
        network.do(line.target.stop())
