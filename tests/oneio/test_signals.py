"""Ctrl-C and SIGTERM: they end a command, but never in the middle of what must be whole."""

import os
import signal
from collections.abc import Iterator

import pytest

from oneio.signals import STOPPING, delayed, interruptible


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_signal_becomes_keyboard_interrupt(number: int) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)


def test_second_signal_does_not_cut_tidying_up_short() -> None:
    done: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        interrupt_twice(done)

    assert done == ["tidied up"]


def test_delayed_signal_comes_after_the_block() -> None:
    done: list[str] = []

    with pytest.raises(KeyboardInterrupt):
        interrupt_while_busy(done)

    assert done == ["block"]


def interrupt_twice(done: list[str]) -> None:
    """A second signal while the first is being answered."""
    with interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("tidied up")


def interrupt_while_busy(done: list[str]) -> None:
    """A signal in a block that must be whole, and work after it that must not begin."""
    with interruptible():
        with delayed():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("block")
        done.append("work after it")
