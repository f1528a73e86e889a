"""Threads that want the same at the same time have it done once for all of them."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from oneio.together import Together, shared
from tests.patience import wait_for


class Work:
    """Doubles numbers, but not before it may go on; notes the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go_on = threading.Event()

    def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        assert self.may_go_on.wait(20)
        if any(number < 0 for number in numbers):
            raise ValueError("negative")
        return [number * 2 for number in numbers]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as executor:
        yield executor


def add_while_first_works(
    together: Together[int, int], work: Work, threads: ThreadPoolExecutor, numbers: list[int]
) -> list[Future[int]]:
    """Add 1, and `numbers` one after the other while that is worked on; then let everything go on."""
    futures = [threads.submit(together.add, "key", 1)]
    wait_for(lambda: work.batches)
    for count, number in enumerate(numbers, start=1):
        futures.append(threads.submit(together.add, "key", number))
        wait_for(lambda count=count: len(together._waiting["key"]) == count)  # type: ignore[misc]
    work.may_go_on.set()
    return futures


def test_who_comes_meanwhile_shares_a_batch(threads: ThreadPoolExecutor) -> None:
    work = Work()

    futures = add_while_first_works(Together(work), work, threads, [2, 3, 4])

    assert [future.result(20) for future in futures] == [2, 4, 6, 8]
    assert work.batches == [[1], [2, 3, 4]]


def test_keys_do_not_wait_for_each_other(threads: ThreadPoolExecutor) -> None:
    work = Work()
    together = Together(work)

    futures = [threads.submit(together.add, key, key) for key in (1, 2)]
    wait_for(lambda: len(work.batches) == 2)
    work.may_go_on.set()

    assert [future.result(20) for future in futures] == [2, 4]


def test_failure_concerns_its_batch_alone(threads: ThreadPoolExecutor) -> None:
    work = Work()

    first, *others = add_while_first_works(Together(work), work, threads, [-2, 3])

    assert first.result(20) == 2
    assert [type(future.exception(20)) for future in others] == [ValueError, ValueError]


def test_refused_item_fails_alone(threads: ThreadPoolExecutor) -> None:
    work = Work()

    futures = add_while_first_works(Together(work, refusals=(ValueError,)), work, threads, [-2, 3])

    assert isinstance(futures[1].exception(20), ValueError)
    assert (futures[0].result(20), futures[2].result(20)) == (2, 6)
    assert work.batches == [[1], [-2, 3], [-2], [3]]


def test_everyone_gets_own_result_in_a_crowd(threads: ThreadPoolExecutor) -> None:
    together = Together(lambda numbers: [number * 2 for number in numbers])

    results = list(threads.map(lambda number: together.add(number % 2, number), range(2000)))

    assert results == [number * 2 for number in range(2000)]
    assert not together._waiting


def test_same_question_is_asked_for_all(threads: ThreadPoolExecutor) -> None:
    asked, barrier = [], threading.Barrier(10)

    @shared
    def question(key: str) -> str:
        asked.append(key)
        time.sleep(0.2)
        return key.upper()

    def ask(_: int) -> str:
        barrier.wait()
        return question("a")

    answers = list(threads.map(ask, range(10)))

    assert set(answers) == {"A"}
    assert len(asked) < 10
