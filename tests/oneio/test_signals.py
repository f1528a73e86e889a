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


def test_second_signal_is_ignored() -> None:
    tidied = False

    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            tidied = True

    assert tidied


def test_delayed_signal_comes_after_the_block() -> None:
    whole = False

    with pytest.raises(KeyboardInterrupt), interruptible(), delayed():
        os.kill(os.getpid(), signal.SIGTERM)
        whole = True

    assert whole
