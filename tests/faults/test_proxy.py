"""The fault proxy does to an exchange what its faults are named after."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults.background import CALL_SECONDS, Background, background
from tests.faults.framing import Framed, read_message, request
from tests.faults.proxy import STORM, Fault, FaultProxy
from tests.faults.target import TicketSystem

CREATE = request(
    "POST", "/tickets", {}, json.dumps({"ticket": {"title": "A1-000"}, "effect_key": "key"}).encode()
)


@dataclass
class Wire:
    """A target behind a proxy, and the network they live on."""

    network: Background
    target: TicketSystem
    proxy: FaultProxy

    def ask(self, times: int = 1) -> list[Framed | None]:
        """The answers to that many requests over one connection; None where it broke."""
        return self.network.do(_ask(self.proxy.port, times))


async def _ask(port: int, times: int) -> list[Framed | None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers: list[Framed | None] = []
    for _ in range(times):
        try:
            writer.write(CREATE)
            answers.append(await read_message(reader))
        except (OSError, EOFError):
            answers.append(None)
    writer.close()
    return answers


async def _sent(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(CREATE)
    return reader, writer


@pytest.fixture
def wire() -> Iterator[Wire]:
    with background() as network:
        target = TicketSystem()
        proxy = FaultProxy(network.do(target.start()), seed=1)
        network.do(proxy.start())
        yield Wire(network, target, proxy)
        network.do(proxy.stop())
        network.do(target.stop())


def test_calm_proxy_passes_everything_on(wire: Wire) -> None:
    answers = wire.ask(times=3)

    assert [answer.status for answer in answers if answer] == [201, 201, 201]
    assert len(wire.target.journal) == 3


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE_REQUEST, Fault.RESET_AFTER_REQUEST])
def test_reset_request_is_never_applied(wire: Wire, fault: Fault) -> None:
    wire.proxy.order(fault)

    assert wire.ask() == [None]
    assert wire.target.journal == []


@pytest.mark.parametrize("fault", [Fault.APPLY_THEN_DROP, Fault.CUT_BODY])
def test_dropped_answer_was_applied(wire: Wire, fault: Fault) -> None:
    wire.proxy.order(fault)

    assert wire.ask() == [None]
    assert len(wire.target.journal) == 1


@pytest.mark.parametrize("fault", [Fault.LATENCY, Fault.SLOW_BODY])
def test_late_answer_is_whole(wire: Wire, fault: Fault) -> None:
    wire.proxy.order(fault)

    [answer] = wire.ask()

    assert answer is not None
    assert json.loads(answer.body)["id"] == "T1"


def test_reply_twice_answers_one_request_twice(wire: Wire) -> None:
    wire.proxy.order(Fault.REPLY_TWICE)

    reader, writer = wire.network.do(_sent(wire.proxy.port))
    replies = [wire.network.do(read_message(reader)) for _ in range(2)]
    wire.network.loop.call_soon_threadsafe(writer.close)

    assert replies[0] == replies[1]
    assert len(wire.target.journal) == 1


def test_withheld_answer_comes_with_release(wire: Wire) -> None:
    wire.proxy.order(Fault.WITHHOLD)
    asking = wire.network.start(_ask(wire.proxy.port, 1))

    while not wire.proxy.withheld:
        assert not asking.done()
    wire.network.loop.call_soon_threadsafe(wire.proxy.release)

    assert asking.result(CALL_SECONDS)[0] is not None


def test_stopped_proxy_refuses_until_started_again(wire: Wire) -> None:
    wire.network.do(wire.proxy.stop())
    with pytest.raises(ConnectionRefusedError):
        wire.ask()

    wire.network.do(wire.proxy.start())

    assert wire.ask() != [None]


def test_same_seed_brings_same_faults() -> None:
    draws = []
    for _ in range(2):
        proxy = FaultProxy(0, seed=7)
        proxy.chances = STORM
        draws.append([proxy._choose(b"") for _ in range(2000)])

    assert draws[0] == draws[1]
    assert set(draws[0]) == {None, *STORM}
