"""Wake-ups after a commit: they arrive soon, are bundled, and come back after a lost connection."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection

from oneio import wakeup
from oneio.wakeup import CHANNEL, DEBOUNCE_SECONDS, QUIET_SECONDS, Waker, connect
from tests.patience import PATIENCE, comes_to_an_end, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def listener() -> Iterator[psycopg.Connection[Any]]:
    """A connection that hears wake-ups."""
    connection.ensure_connection()
    with connect(connection.get_connection_params()) as database:
        database.execute(f"LISTEN {CHANNEL}")
        yield database


def heard(listener: psycopg.Connection[Any], seconds: float = PATIENCE, at_most: int = 1) -> int:
    """How many wake-ups arrive within `seconds`, `at_most` of them waited for."""
    return len(list(listener.notifies(timeout=seconds, stop_after=at_most)))


def test_wake_up_arrives(listener: psycopg.Connection[Any]) -> None:
    Waker().wake()

    assert heard(listener) == 1


def test_asking_for_a_wake_up_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    reachable = threading.Event()

    def hang(_: object) -> None:
        reachable.wait(3 * PATIENCE)
        raise psycopg.OperationalError

    monkeypatch.setattr(wakeup, "connect", hang)
    waker = Waker()

    with comes_to_an_end():
        for _ in range(1000):
            waker.wake()
    reachable.set()


def test_only_the_first_of_several_finds_it_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(wakeup, "time", SimpleNamespace(monotonic=lambda: now[0]))
    waker = Waker()

    def after(seconds: float) -> bool:
        now[0] += seconds
        return waker.quiet()

    assert after(0) is True
    assert after(QUIET_SECONDS / 2) is False
    assert after(QUIET_SECONDS / 2) is False  # each begins the wait anew
    assert after(QUIET_SECONDS * 1.1) is True


def test_many_wishes_become_few_wake_ups(listener: psycopg.Connection[Any]) -> None:
    waker = Waker()
    waker.wake()
    heard(listener)

    started = time.perf_counter()
    while time.perf_counter() - started < 0.2:
        waker.wake()
        time.sleep(0.0002)

    assert 1 <= heard(listener, 2.0, at_most=1000) <= 0.2 / DEBOUNCE_SECONDS + 2


def test_lost_connection_is_opened_again(listener: psycopg.Connection[Any]) -> None:
    waker = Waker()
    waker.wake()
    heard(listener)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'NOTIFY%%' AND datname = current_database()"
        )

    def called() -> int:
        waker.wake()  # the first meets the dead connection and is lost
        return heard(listener, 0.2)

    wait_for(called)


def test_forked_process_gets_its_own_thread(listener: psycopg.Connection[Any]) -> None:
    waker = Waker()
    waker._pid = -1  # as a child finds it after a fork: the thread stayed behind in the parent

    waker.wake()

    assert heard(listener) == 1
