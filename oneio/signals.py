"""How a command answers Ctrl-C, SIGTERM and a closed terminal, so that it never leaves anything behind.

Outside the main thread, where Python handles no signals, these do nothing.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Handler = Callable[[int, FrameType | None], object]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """The first of these signals raises KeyboardInterrupt; later ones never cut the tidying up short.

    They are ignored after this block too: it is the last that a command does.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        _handle(_nothing)
        raise KeyboardInterrupt

    _handle(interrupt)
    try:
        yield
    finally:
        _handle(_nothing)


@contextlib.contextmanager
def delayed() -> Iterator[None]:
    """Signals that come during this block take effect after it."""
    came: list[int] = []
    before = _handle(lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def _nothing(number: int, frame: FrameType | None) -> None:
    return None


def _handle(handler: Handler) -> dict[signal.Signals, Handler | int]:
    """Set it for all; the handlers so far, where they can be set again."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.signal(number, handler) for number in STOPPING}
    return {number: handler for number, handler in before.items() if handler is not None}
