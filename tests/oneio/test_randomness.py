"""Random bytes: fetched in advance, and still never given out twice."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from oneio.randomness import SUPPLY_BYTES, random_bytes


def test_no_bytes_are_given_out_twice() -> None:
    given = [random_bytes(12) for _ in range(2 * SUPPLY_BYTES)]

    assert {len(one) for one in given} == {12}
    assert len(set(given)) == len(given)


def test_forked_process_draws_other_bytes() -> None:
    random_bytes(1)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, random_bytes(12))
        os._exit(0)

    os.wait()

    assert os.read(reader, 12) != random_bytes(12)
    os.close(reader)
    os.close(writer)


def test_threads_draw_other_bytes() -> None:
    together = Barrier(4)

    def draw(_: int) -> bytes:
        together.wait()
        return random_bytes(12)

    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(draw, range(4)))

    assert len(set(given)) == 4
