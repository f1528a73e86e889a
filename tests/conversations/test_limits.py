"""When a sender is asked to come back later, and when not."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from conversations import limits
from conversations.models import Message
from endpoints.models import Endpoint, EndpointStatus
from tests.conversations.inbound import Sender
from tests.factories import make_endpoint, make_message


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    still = Clock()
    monkeypatch.setattr(limits, "time", still)
    return still


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "state_directory", lambda: tmp_path)
    limits.forget()


def old_message(endpoint: Endpoint, age: timedelta) -> None:
    message = make_message(endpoint)
    Message.objects.filter(pk=message.pk).update(received_at=timezone.now() - age)


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_endpoint_that_is_too_fast_waits() -> None:
    sender = Sender(make_endpoint(inbound_per_second=2))

    answers = [sender.post() for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["error"]["code"] == "too_fast"
    assert answers[2]["Retry-After"] == "1"


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_one_fast_endpoint_slows_no_other() -> None:
    fast, other = (Sender(make_endpoint(inbound_per_second=1)) for _ in range(2))
    fast.post()

    assert fast.post().status_code == 429
    assert other.post().status_code == 202


def test_bucket_refills_with_time(clock: Clock) -> None:
    taken = [limits.seconds_to_wait(1, 20) for _ in range(21)]

    clock.now += 0.051

    assert taken == [0] * 20 + [pytest.approx(0.05)]
    assert limits.seconds_to_wait(1, 20) == 0
    assert limits.seconds_to_wait(1, 20) == pytest.approx(0.049)


@pytest.mark.usefixtures("clock")
def test_slow_rates_let_one_pass() -> None:
    assert limits.seconds_to_wait(1, 0.01) == 0
    assert limits.seconds_to_wait(1, 0.01) == pytest.approx(100)


@pytest.mark.usefixtures("clock")
def test_threads_share_the_bucket() -> None:
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: limits.seconds_to_wait(1, 50), range(300)))

    assert waits.count(0) == 50


@pytest.mark.usefixtures("clock")
def test_processes_share_the_bucket() -> None:
    with get_context("fork").Pool(2) as processes:
        waits = processes.starmap(limits.seconds_to_wait, [(1, 50)] * 300)

    assert waits.count(0) == 50


def test_bucket_from_before_a_restart_is_full(tmp_path: Path) -> None:
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "1").write_bytes(limits._BUCKET.pack(-5, time.monotonic() + 1e6))

    assert limits.seconds_to_wait(1, 1) == 0


@pytest.mark.django_db
def test_old_queue_asks_to_come_back(settings: Settings) -> None:
    sender = Sender()
    old_message(sender.endpoint, timedelta(hours=2))
    settings.QUEUE_MAX_AGE_SECONDS = 3600

    answer = sender.post()

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_too_old")
    assert int(answer["Retry-After"]) > 0


@pytest.mark.django_db
def test_old_messages_on_purpose_do_not_count(settings: Settings) -> None:
    settings.QUEUE_MAX_AGE_SECONDS = 3600
    suspended, routed, young = (
        make_endpoint(status=EndpointStatus.SUSPENDED),
        make_endpoint(),
        make_endpoint(),
    )
    old_message(suspended, timedelta(hours=2))
    old_message(routed, timedelta(hours=2))
    Message.objects.filter(endpoint=routed).update(state="dropped")
    old_message(young, timedelta(minutes=50))

    assert not any(map(limits.queue_is_old, (suspended, routed, young)))


@pytest.mark.django_db
def test_queue_is_looked_at_now_and_then(
    django_assert_num_queries: DjangoAssertNumQueries, clock: Clock
) -> None:
    endpoint = make_endpoint()
    with django_assert_num_queries(1):
        limits.queue_is_old(endpoint)
        limits.queue_is_old(endpoint)

    clock.now += limits.QUEUE_LOOK_SECONDS

    with django_assert_num_queries(1):
        limits.queue_is_old(endpoint)


def test_free_room_is_measured() -> None:
    assert limits.free_bytes() > 0


def test_disk_is_looked_at_once_a_second(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = iter([5, 4, 3])
    monkeypatch.setattr(limits, "_free", lambda _: next(rooms))
    first = (limits.free_bytes(), limits.free_bytes())

    clock.now += limits.DISK_LOOK_SECONDS

    assert (first, limits.free_bytes()) == ((5, 5), 4)
