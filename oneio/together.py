"""Lets threads that want the same done at the same time have it done once for all of them.

Nobody waits for company: the first one begins at once, and those that come meanwhile are the next batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
KeyT = TypeVar("KeyT", bound=Hashable)


class _Entry(Generic[ItemT, ResultT]):
    """One item on its way, and what its thread waits on."""

    __slots__ = ("batch", "error", "item", "result", "turn")
    result: ResultT

    def __init__(self, item: ItemT) -> None:
        self.item = item
        self.batch: list[_Entry[ItemT, ResultT]] = []
        self.error: BaseException | None = None
        self.turn = threading.Lock()
        self.turn.acquire()


class Together(Generic[ItemT, ResultT]):
    """Has items worked on in batches by the threads that bring them. Batches of one key follow each other;
    those of different keys know nothing of each other.

    `work` takes a batch and gives a result for each item. What it raises is raised for each item of that
    batch, and for no other. After one of `refusals` each item is tried by itself, so that it fails alone.
    """

    def __init__(
        self,
        work: Callable[[list[ItemT]], Sequence[ResultT]],
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        self._work, self._refusals = work, refusals
        self._lock = threading.Lock()
        # A key is here while somebody works for it; its entries are the next batch.
        self._waiting: dict[Hashable, list[_Entry[ItemT, ResultT]]] = {}

    def add(self, key: Hashable, item: ItemT) -> ResultT:
        """What `work` gave for the item, once it has done with the whole batch."""
        entry: _Entry[ItemT, ResultT] = _Entry(item)
        if self._begins(key, entry):
            entry.batch = [entry]
        else:
            entry.turn.acquire()  # released when the item is done, or with the batch that is now to be done
        if entry.batch:
            self._lead(key, entry.batch)
        if entry.error is not None:
            raise entry.error
        return entry.result

    def _begins(self, key: Hashable, entry: _Entry[ItemT, ResultT]) -> bool:
        with self._lock:
            if key in self._waiting:
                self._waiting[key].append(entry)
                return False
            self._waiting[key] = []
            return True

    def _lead(self, key: Hashable, batch: list[_Entry[ItemT, ResultT]]) -> None:
        self._do(batch)
        self._pass_on(key)
        for entry in batch[1:]:
            entry.turn.release()

    def _do(self, batch: list[_Entry[ItemT, ResultT]]) -> None:
        try:
            results = self._work([entry.item for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                entry.result = result
        except BaseException as error:  # noqa: BLE001 (raised again, for each of them)
            if len(batch) > 1 and isinstance(error, self._refusals):
                for entry in batch:
                    self._do([entry])
                return
            for entry in batch:
                entry.error = error

    def _pass_on(self, key: Hashable) -> None:
        """Let the first of those that came meanwhile work for all of them."""
        with self._lock:
            following = self._waiting.pop(key)
            if not following:
                return
            self._waiting[key] = []
        following[0].batch = following
        following[0].turn.release()


def shared(question: Callable[[KeyT], ResultT]) -> Callable[[KeyT], ResultT]:
    """The same question; threads that ask it about the same key at the same time share one answer."""

    def answer(keys: list[KeyT]) -> list[ResultT]:
        return [question(keys[0])] * len(keys)

    together = Together(answer)
    return lambda key: together.add(key, key)
