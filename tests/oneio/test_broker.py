"""The broker: as many pumps as wanted, never fewer for long, and it never raises."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from oneio import broker, runtime
from oneio.broker import PumpBroker, alive_pumps, missing_pump, scheduled_work_is_stuck
from oneio.models import PumpHeartbeat
from oneio.wakeup import connect
from tests.conversations.workers import PAST

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _two_pumps(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PUMPS = 2
    monkeypatch.setattr(runtime, "cluster_id", uuid4())


@pytest.fixture
def stopping() -> Iterator[None]:
    runtime.stop_descriptor, word = os.pipe()
    os.close(word)
    yield
    os.close(runtime.stop_descriptor)
    runtime.stop_descriptor = None


def handed_out(times: int) -> list[dict[str, Any]]:
    """The pump tasks among what the broker gives when asked so often."""
    answers = [PumpBroker().dequeue() for _ in range(times)]
    tasks = [SignedPackage.loads(task) for answer in answers for _, task in answer or []]
    return [task for task in tasks if task["name"] == "pump"]


def test_as_many_pumps_as_wanted_are_handed_out() -> None:
    tasks = handed_out(3)

    assert len(tasks) == 2
    assert {UUID(task["args"][0]) for task in tasks} == set(
        PumpHeartbeat.objects.values_list("pk", flat=True)
    )


def test_pump_task_has_no_time_limit_and_no_result() -> None:
    [task] = handed_out(1)

    assert (task["timeout"], task["save"]) == (-1, False)
    assert callable(import_string(task["func"]))


def test_pump_without_a_beat_is_replaced() -> None:
    first, _ = handed_out(2)
    PumpHeartbeat.objects.filter(pk=first["args"][0]).update(beat_at=PAST)

    [another] = handed_out(2)

    assert another["args"] != first["args"]
    assert alive_pumps() == 2
    assert not PumpHeartbeat.objects.filter(pk=first["args"][0]).exists()


def test_pump_that_has_ended_is_replaced_at_once() -> None:
    first, _ = handed_out(2)
    PumpHeartbeat.objects.filter(pk=first["args"][0]).delete()

    assert len(handed_out(2)) == 1


def test_other_clusters_pumps_do_not_count() -> None:
    for _ in range(2):
        PumpHeartbeat.objects.create(id=uuid4(), cluster=uuid4())

    assert missing_pump() is not None
    assert PumpHeartbeat.objects.count() == 3


def test_no_pump_is_handed_out_while_stopping(stopping: None) -> None:
    assert handed_out(2) == []

    assert not PumpHeartbeat.objects.exists()


def test_scheduled_tasks_come_through() -> None:
    handed_out(2)
    one = PumpBroker()
    key = one.enqueue("signed task")
    time.sleep(0.001)

    assert one.dequeue() == [(key, "signed task")]

    assert one.dequeue() is None  # it is locked now


def test_pump_goes_before_scheduled_tasks() -> None:
    one = PumpBroker()
    one.enqueue("signed task")

    [(key, _)] = one.dequeue() or []

    assert key is None
    assert OrmQ.objects.count() == 1


def test_broken_database_is_no_exception(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(broker, "FAILED_PAUSE_SECONDS", 0.2)
    rename = "ALTER TABLE oneio_pumpheartbeat{} RENAME TO oneio_pumpheartbeat{}"
    with connect(connection.get_connection_params()) as database:
        database.execute(rename.format("", "_away"))
        started = time.monotonic()

        answer = PumpBroker().dequeue()

        waited = time.monotonic() - started
        database.execute(rename.format("_away", ""))
    assert answer is None
    assert waited >= 0.2
    assert "trying again" in caplog.text
    assert len(handed_out(1)) == 1


def test_finished_pump_task_is_acknowledged_quietly() -> None:
    one = PumpBroker()
    one.enqueue("signed task")

    one.acknowledge(None)  # pump tasks have no row

    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize(
    ("handed_out_ago", "stuck"), [(0, False), (300, False), (340, True), (590, True), (601, False)]
)
def test_scheduled_task_that_never_ends_is_noticed(settings: Any, handed_out_ago: int, stuck: bool) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"timeout": 300, "retry": 600}
    now = timezone.now()
    lock = now + timedelta(seconds=600 - handed_out_ago)
    OrmQ.objects.create(key="oneio", payload="signed task", lock=lock)

    assert scheduled_work_is_stuck(since=now - timedelta(seconds=600)) is stuck

    assert not scheduled_work_is_stuck(since=now)  # an earlier cluster's task says nothing about this one
