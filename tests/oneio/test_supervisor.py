"""The supervised workers, as real processes that are really killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from conversations.models import Attempt, Delivery, Message
from oneio import runtime, supervisor
from oneio.models import PumpHeartbeat
from oneio.supervisor import STALLED_AFTER_SECONDS, Supervisor
from oneio.wakeup import connect
from tests.conversations import conftest as engine
from tests.conversations.world import Line
from tests.patience import PATIENCE, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
PUMPS = 2
STOP_SECONDS = 8
"""Shorter than in real life, so that tests of a stop that hangs are, too."""
HANGS_SECONDS = 40
"""Longer than workers wait for a request when they stop."""
line = engine.line
LAUNCH = """
import os
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
import django
django.setup()
from oneio import supervisor
supervisor.STOP_SECONDS = float(os.environ["TEST_STOP_SECONDS"])
from django.core.management import call_command
call_command("worker")
"""


def beating() -> set[int]:
    """The processes of the pumps that have beaten."""
    return set(PumpHeartbeat.objects.filter(pid__gt=0).values_list("pid", flat=True))


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


class Workers:
    """`manage.py worker` with the test database."""

    def __init__(self, log: Path, stop_seconds: float = STOP_SECONDS) -> None:
        self.log = log
        environment = os.environ | {
            "TEST_DATABASE": connection.settings_dict["NAME"],
            "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "oneio.settings"),
            "TEST_STOP_SECONDS": str(stop_seconds),
            "ONEIO_PUMPS": str(PUMPS),
            "ONEIO_HTTP_THREADS": "4",
            "ONEIO_LEASE_SECONDS": "6",
            "ONEIO_ALLOW_LOOPBACK": "1",
        }
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH], env=environment, stdout=output, stderr=output
            )
        self.supervisor = psutil.Process(self.process.pid)

    @property
    def cluster(self) -> list[psutil.Process]:
        """All processes below the supervisor."""
        return self.supervisor.children(recursive=True)

    @property
    def sentinel(self) -> psutil.Process:
        [sentinel] = self.supervisor.children()
        return sentinel

    def wait_until_all_pump(self, without: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        wait_for(lambda: len(beating() - without) == PUMPS)

    def terminate(self) -> float:
        """SIGTERM; the seconds until it has ended."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(2 * PATIENCE)
        return time.monotonic() - started

    def kill_all(self) -> None:
        for one in [*self.cluster, self.supervisor] if self.process.poll() is None else []:
            one.kill()
        self.process.wait(PATIENCE)


@contextmanager
def at_work(log: Path, stop_seconds: float = STOP_SECONDS) -> Iterator[Workers]:
    """Workers whose pumps beat; killed in the end."""
    started = Workers(log, stop_seconds)
    try:
        started.wait_until_all_pump()
        yield started
    finally:
        started.kill_all()


@pytest.fixture
def workers(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    with at_work(tmp_path / "workers.log") as started:
        yield started


def delivered() -> bool:
    return Delivery.objects.filter(endpoint__kind="jira", state="delivered").exists()


def asked(line: Line) -> bool:
    """Whether a create has reached Jira."""
    return any(one["method"] == "POST" for one in line.jira.call("GET", "/_sandbox/requests"))


@pytest.mark.slow
def test_killed_pump_is_replaced_alone(workers: Workers) -> None:
    sentinel, before = workers.sentinel, beating()

    os.kill(min(before), signal.SIGKILL)

    workers.wait_until_all_pump(without={min(before)})
    assert workers.sentinel == sentinel  # nobody else was disturbed


@pytest.mark.slow
def test_pump_that_died_is_replaced_before_its_beat_is_missed(workers: Workers) -> None:
    victim = min(beating())

    os.kill(victim, signal.SIGKILL)
    # As if it had just beaten, for as long as the test may last.
    PumpHeartbeat.objects.filter(pid=victim).update(beat_at=timezone.now() + timedelta(hours=1))

    wait_for(lambda: victim not in beating())


def test_pump_whose_process_lives_is_left_alone() -> None:
    supervisor = Supervisor()
    supervisor._cluster = os.getpgrp()
    living, stranger = [
        PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id, pid=pid)
        for pid in (os.getpid(), 1)
    ]
    supervisor._pumps = {living.pk: os.getpid(), stranger.pk: 1}

    supervisor._bury_the_dead()

    assert list(PumpHeartbeat.objects.values_list("pk", flat=True)) == [living.pk]


def test_killed_sentinel_takes_its_group_along(workers: Workers) -> None:
    group, before = workers.cluster, beating()

    workers.sentinel.kill()

    wait_for(lambda: not alive(group))
    workers.wait_until_all_pump(without=before)
    assert workers.process.poll() is None


@pytest.mark.slow
def test_killed_supervisor_leaves_no_process_behind(workers: Workers) -> None:
    group = workers.cluster

    workers.process.kill()
    workers.process.wait(PATIENCE)

    wait_for(lambda: not alive(group))


@pytest.mark.slow
def test_idle_workers_stop_long_before_they_must(transactional_db: None, tmp_path: Path) -> None:
    with at_work(tmp_path / "workers.log", stop_seconds=2 * PATIENCE) as workers:
        group = workers.cluster

        assert workers.terminate() < PATIENCE

        assert workers.process.returncode == 0
        assert alive(group) == []
        assert not PumpHeartbeat.objects.exists()


@pytest.mark.slow
def test_stop_waits_for_requests_under_way(workers: Workers, line: Line) -> None:
    line.join()
    line.jira.fault(method="POST", path="/issue$", delay=3)
    line.incident()
    wait_for(lambda: asked(line))

    workers.terminate()

    assert delivered()
    assert Attempt.objects.filter(delivery__endpoint__kind="jira").count() == 1


@pytest.mark.slow
def test_stop_with_a_request_that_hangs_loses_nothing(tmp_path: Path, line: Line) -> None:
    line.join()
    line.jira.fault(method="POST", path="/issue$", delay=HANGS_SECONDS, times=1)
    line.incident()

    with at_work(tmp_path / "first.log", supervisor.STOP_SECONDS) as stopped:
        wait_for(lambda: asked(line))
        stopped.terminate()
    assert not line.jira.records("issue")

    with at_work(tmp_path / "second.log"):
        wait_for(delivered, 2 * PATIENCE)
    assert line.issue["fields"]["summary"] == "Core switch drops uplink"


@pytest.mark.slow
def test_work_of_a_killed_pump_is_done_once(workers: Workers, line: Line) -> None:
    line.join()
    line.jira.fault(method="POST", path="/issue$", delay=5, times=1)
    line.incident()
    wait_for(lambda: asked(line))

    for pid in beating():
        os.kill(pid, signal.SIGKILL)

    wait_for(delivered)
    assert line.issue["fields"]["summary"] == "Core switch drops uplink"
    sent = Attempt.objects.filter(delivery__endpoint__kind="jira", purpose="send")
    assert [attempt.code for attempt in sent] == ["worker_died"]


@pytest.mark.slow
def test_emptied_task_queue_loses_no_work(workers: Workers, line: Line) -> None:
    line.join()
    with connect(connection.get_connection_params()) as database:
        database.execute(f"TRUNCATE {OrmQ._meta.db_table}")

    message = line.incident()

    wait_for(delivered)
    assert Message.objects.get(pk=message.pk).state == "routed"


@pytest.mark.slow
def test_killed_idle_workers_only_delay(workers: Workers, line: Line) -> None:
    line.join()
    for worker in workers.sentinel.children():
        worker.kill()

    line.incident()

    wait_for(delivered, STALLED_AFTER_SECONDS + PATIENCE)


@pytest.mark.slow
def test_killed_idle_worker_cannot_hang_the_stop(workers: Workers) -> None:
    helpers = workers.sentinel.children()
    idle = min((one for one in helpers if one.pid not in beating()), key=lambda one: one.pid)

    idle.kill()  # django-q2's task queue stays locked for ever
    time.sleep(1)
    group = workers.cluster

    assert workers.terminate() < STOP_SECONDS + PATIENCE
    assert alive(group) == []


@pytest.mark.slow
def test_stop_that_hangs_ends_without_a_supervisor_too(workers: Workers) -> None:
    group = workers.cluster
    idle = min(
        (one for one in workers.sentinel.children() if one.pid not in beating()), key=lambda one: one.pid
    )
    idle.kill()  # django-q2's task queue stays locked for ever
    time.sleep(1)

    workers.process.kill()
    workers.process.wait(PATIENCE)

    wait_for(lambda: not alive(group), STOP_SECONDS + PATIENCE)


def test_too_few_pumps_for_too_long_is_a_stall(settings: Any) -> None:
    settings.PUMPS = PUMPS
    one = Supervisor()
    assert not one._stands_still()

    one._checked_at = 0
    one._healthy_at = time.monotonic() - STALLED_AFTER_SECONDS - 1
    assert one._stands_still()

    for _ in range(PUMPS):
        PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id)
    one._checked_at = 0
    assert one._stands_still()  # handed out is not arrived

    PumpHeartbeat.objects.update(pid=1)
    one._checked_at = 0
    assert not one._stands_still()


def test_stuck_scheduled_work_is_a_stall(settings: Any) -> None:
    settings.PUMPS = 0
    one = Supervisor()
    one._started_at = timezone.now() - timedelta(minutes=20)
    handed_out = timezone.now() - timedelta(seconds=settings.Q_CLUSTER["timeout"] + 60)
    OrmQ.objects.create(key="oneio", lock=handed_out + timedelta(seconds=settings.Q_CLUSTER["retry"]))
    one._healthy_at = time.monotonic() - STALLED_AFTER_SECONDS - 1

    assert one._stands_still()


def test_database_that_is_away_is_no_stall(settings: Any) -> None:
    one = Supervisor()
    one._healthy_at = time.monotonic() - STALLED_AFTER_SECONDS - 1
    rename = "ALTER TABLE oneio_pumpheartbeat{} RENAME TO oneio_pumpheartbeat{}"
    with connect(connection.get_connection_params()) as database:
        database.execute(rename.format("", "_away"))

        stalled = one._stands_still()

        database.execute(rename.format("_away", ""))
    assert not stalled


def test_signal_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    one = Supervisor()

    with one._signals():
        signal.raise_signal(signal.SIGTERM)

    assert one._stop
    assert signal.getsignal(signal.SIGTERM) is before
