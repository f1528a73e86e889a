"""Waiting for the database ends after its time, whatever the server does."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from oneio import deadline
from oneio.deadline import PooledConnection, database_deadline
from oneio.wakeup import connect
from tests.conversations.inbound import Sender
from tests.patience import comes_to_an_end

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DATABASE_SECONDS", 0.3)
    monkeypatch.setattr(deadline, "CHECK_SECONDS", 0.3)


@pytest.fixture
def other() -> Iterator[psycopg.Connection[Any]]:
    """A connection outside Django's."""
    with connect(connection.get_connection_params()) as database:
        yield database


@pytest.mark.usefixtures("_short")
def test_slow_statement_is_cut_off() -> None:
    with (
        comes_to_an_end(),
        pytest.raises(OperationalError),
        database_deadline(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(120)")

    assert connection.connection is None


def test_quick_work_is_left_alone() -> None:
    with database_deadline(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    deadline._watchdog._cut_overdue(time.monotonic() + 3600)  # as if an hour had passed

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("table", ["endpoints_receiverlogin", "conversations_message"])
def test_locked_table_means_503(
    other: psycopg.Connection[Any], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender()
    with other.transaction(), monkeypatch.context() as patch:
        patch.setattr(deadline, "DATABASE_SECONDS", 0.3)
        other.execute(f"LOCK TABLE {table}")

        with comes_to_an_end():
            answer = sender.post()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
    assert sender.post().status_code == 202


@pytest.mark.usefixtures("_short")
def test_health_check_of_the_pool_gives_up() -> None:
    parameters = connection.get_connection_params()

    with PooledConnection.connect(
        **{name: parameters[name] for name in ("dbname", "user", "host", "port")}
    ) as database:
        with comes_to_an_end(), pytest.raises(psycopg.OperationalError):
            database.execute("SELECT pg_sleep(120)")

        assert database.closed


def test_health_check_is_good_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = connection.get_connection_params()
    with PooledConnection.connect(
        **{name: parameters[name] for name in ("dbname", "user", "host", "port")}
    ) as database:
        database.execute("SELECT 1")

        monkeypatch.setattr(deadline, "CHECKED_SECONDS", 3600)
        database.execute("SELECT 1 / 0")

        monkeypatch.setattr(deadline, "CHECKED_SECONDS", 0)
        with pytest.raises(psycopg.errors.DivisionByZero):
            database.execute("SELECT 1 / 0")


@pytest.mark.usefixtures("_short")
def test_forked_child_has_a_watchdog_of_its_own() -> None:
    with database_deadline():
        before = {thread.name for thread in threading.enumerate()}
    assert "database deadline" in before

    connection.close()
    child = os.fork()
    if child == 0:
        _exit_0_if_cut_off()
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def _exit_0_if_cut_off() -> None:
    try:
        with database_deadline(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")
    except OperationalError:
        os._exit(0)
    os._exit(1)
