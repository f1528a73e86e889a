"""One event loop in a thread of its own: what the network side of a fault run lives on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
CALL_SECONDS = 60.0


class Background:
    """A running loop that other threads hand work to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work` there; its future, to be waited for or cancelled."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, work: Coroutine[Any, Any, T], seconds: float = CALL_SECONDS) -> T:
        """Carry `work` out there and wait for it. Raises TimeoutError."""
        return self.start(work).result(seconds)


@contextmanager
def background() -> Iterator[Background]:
    """A loop for the block; all that still runs on it at the end is cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="network", daemon=True)
    thread.start()
    try:
        yield Background(loop)
    finally:
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(CALL_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_tasks() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
