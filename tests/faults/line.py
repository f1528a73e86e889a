"""One partner, one proxy, one target: what the tests of single faults stand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import psutil

from tests.faults.background import Background
from tests.faults.history import Findings, History, examine
from tests.faults.installation import Installation, TargetPlan, wait_until
from tests.faults.messages import mark_of
from tests.faults.partner import Partner
from tests.faults.proxy import FaultProxy
from tests.faults.run import settle, standings
from tests.faults.systems import System
from tests.faults.target import TicketSystem

SETTLE_SECONDS = 300.0
_numbers = count(1)


class FaultLine:
    """A partner whose tickets go through the proxy to the target, in an organization of their own."""

    def __init__(
        self, installed: Installation, network: Background, target: System, plan: TargetPlan
    ) -> None:
        self.installed, self.network, self.target = installed, network, target
        self.proxy = FaultProxy(network.do(target.start()))
        network.do(self.proxy.start())
        self.plan = replace(plan, url=f"http://127.0.0.1:{self.proxy.port}")
        number = next(_numbers)
        self.name, self.prefix = f"line-{number}", f"L{number}X"
        self.partner = Partner(installed.port, installed.organization(self.name, self.plan))

    def post(self, first: int, last: int, messages: int = 1) -> None:
        """Post the tickets with these numbers and return when they are acknowledged."""
        tickets = [f"{self.prefix}{number:04d}" for number in range(first, last)]
        self.network.do(self.partner.send(tickets, messages, mute=False), seconds=SETTLE_SECONDS)

    def settle(self, seconds: float = SETTLE_SECONDS) -> Findings:
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

    def count(self, condition: str) -> int:
        """How many of its deliveries, `d`, meet this SQL condition."""
        [(number,)] = self.installed.query(
            "SELECT count(*) FROM conversations_delivery d"
            f" JOIN oneio_organization o ON o.id = d.organization_id WHERE o.slug = %s AND {condition}",
            self.name,
        )
        return int(number)

    def sent_at(self) -> list[float]:
        """When the requests of the last day were sent, in seconds, oldest first."""
        rows = self.installed.query(
            "SELECT extract(epoch FROM a.started_at)::float FROM conversations_attempt a"
            " JOIN oneio_organization o ON o.id = a.organization_id"
            " WHERE o.slug = %s AND a.started_at > now() - interval '1 day' ORDER BY 1",
            self.name,
        )
        return [seconds for (seconds,) in rows]

    def gate(self, column: str) -> Any:
        """What the target's gate says."""
        [(value,)] = self.installed.query(
            f"SELECT g.{column} FROM endpoints_endpointgate g"
            " JOIN endpoints_endpoint e ON e.id = g.endpoint_id WHERE e.base_url = %s",
            self.plan.url,
        )
        return value

    def change_gate(self, change: str) -> None:
        """Change the target's gate by SQL."""
        self.installed.execute(
            f"UPDATE endpoints_endpointgate g SET {change} FROM endpoints_endpoint e"
            " WHERE e.id = g.endpoint_id AND e.base_url = %s",
            self.plan.url,
        )

    def set_status(self, status: str) -> None:
        """Suspend the target, or let it go on."""
        sql = "UPDATE endpoints_endpoint SET status = %s WHERE base_url = %s"
        self.installed.execute(sql, status, self.plan.url)

    def is_delivered(self, number: int) -> bool:
        """Whether the first message of that ticket is."""
        mark = mark_of(f"{self.prefix}{number:04d}", 0)
        return [one.state for one in standings(self.installed, [mark])] == ["delivered"]

    async def release(self) -> None:
        """Let all answers go that the proxy keeps back."""
        self.proxy.release()

    async def let_go(self) -> None:
        """From now on keep no answer back."""
        self.proxy.forget_orders()
        self.proxy.release()

    def senders(self) -> list[int]:
        """The pumps that wait for an answer the proxy keeps back, one process id per answer."""
        owners = {port: pump for pump in self.installed.pumps() for port in _ports(pump)}
        return [owners[port] for port in list(self.proxy.withheld) if port in owners]

    def wait_for_senders(self, number: int) -> list[int]:
        """The same, once there are as many as that."""
        found: list[int] = []

        def enough() -> bool:
            found[:] = self.senders()
            return len(found) == number

        wait_until(enough)
        return found


def _ports(process: int) -> list[int]:
    """The ports on this side of its connections; none of a process that has just ended."""
    with suppress(psutil.Error):
        return [connection.laddr.port for connection in psutil.Process(process).net_connections("tcp")]
    return []


@contextmanager
def fault_line(
    installed: Installation, network: Background, target: System | None = None, **plan: Any
) -> Iterator[FaultLine]:
    """A line for the block; `plan`: fields of the target's plan."""
    line = FaultLine(installed, network, target or TicketSystem(), TargetPlan("", **plan))
    try:
        yield line
    finally:
        network.do(line.proxy.stop())
        network.do(line.target.stop())
