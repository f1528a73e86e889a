"""A pump's sign of life, and the signs that it must end."""

import os
import signal
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from oneio import heartbeat as module
from oneio import runtime
from oneio.heartbeat import Heartbeat
from oneio.models import PumpHeartbeat
from tests.conversations.workers import PAST
from tests.patience import PATIENCE


@pytest.fixture
def word() -> Iterator[int]:
    """The end of the pipe whose closing says stop."""
    runtime.stop_descriptor, end = os.pipe()
    yield end
    os.close(runtime.stop_descriptor)
    runtime.stop_descriptor = None


def row() -> PumpHeartbeat:
    return PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id, beat_at=PAST)


@pytest.mark.django_db
def test_beat_says_who_and_when() -> None:
    own, other = row(), row()

    Heartbeat(str(own.pk)).beat()

    own.refresh_from_db()
    other.refresh_from_db()
    assert own.pid == os.getpid()
    assert own.host
    assert own.beat_at > PAST
    assert other.beat_at == PAST


@pytest.mark.django_db
def test_beats_are_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    own = row()
    beating = Heartbeat(str(own.pk))
    beating.beat()
    PumpHeartbeat.objects.update(beat_at=PAST)

    beating.beat()
    assert PumpHeartbeat.objects.get().beat_at == PAST
    monkeypatch.setattr(module, "BEAT_SECONDS", 0)
    beating._next = time.monotonic()
    beating.beat()

    assert PumpHeartbeat.objects.get().beat_at > PAST


@pytest.mark.django_db
def test_end_removes_only_the_own_row() -> None:
    own, other = row(), row()

    Heartbeat(str(own.pk)).end()

    assert PumpHeartbeat.objects.get() == other


def test_pump_goes_on_while_nobody_says_stop(word: int) -> None:
    assert not Heartbeat(str(uuid4())).must_end()

    os.close(word)


def test_pump_ends_when_the_supervisor_says_stop(word: int) -> None:
    beating = Heartbeat(str(uuid4()))

    os.close(word)

    assert beating.must_end()
    assert runtime.stopping()


def test_pump_without_a_supervisor_goes_on() -> None:
    assert not runtime.stopping()
    assert not Heartbeat(str(uuid4())).must_end()


def test_pump_ends_when_its_parent_is_gone() -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            beating = Heartbeat(str(uuid4()))
            os.write(writer, b"0" if not beating.must_end() else b"1")
            deadline = time.monotonic() + PATIENCE
            while not beating.must_end() and time.monotonic() < deadline:
                time.sleep(0.01)
            os.write(writer, b"1" if beating.must_end() else b"0")
            os._exit(0)
        time.sleep(2 * PATIENCE)
    assert os.read(reader, 1) == b"0"

    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)

    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)
