from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from conversations.models import Attempt, Delivery, DeliveryState, HourlyCount, Message, MessageState
from conversations.statistics import count_hours, first_key, hour_of
from conversations.tasks import count
from endpoints.outcomes import Result
from oneio.identifiers import uuid7
from tests.factories import make_delivery, make_endpoint, make_message


def make_try(delivery: Delivery, result: str, seconds: float = 1) -> Attempt:
    return Attempt.objects.create(
        delivery=delivery,
        organization_id=delivery.organization_id,
        token=1,
        result=result,
        started_at=timezone.now(),
        ended_at=delivery.message.received_at + timedelta(seconds=seconds),
    )


def counted() -> dict[str, int]:
    """The counts of all endpoints together."""
    rows = HourlyCount.objects.values("received", "troubled", "sent", "in_time", "failed")
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def make_traffic() -> None:
    """Two messages, one of them faulty; three deliveries: in time, late after a failed try, refused."""
    source = make_endpoint()
    target = make_endpoint(environment=source.environment)
    message = make_message(source, state=MessageState.ROUTED)
    make_message(source, state=MessageState.FAULTY)
    message.refresh_from_db()
    soon, late, refused = (make_delivery(message, target, DeliveryState.DELIVERED) for _ in range(3))
    make_try(soon, Result.CONFIRMED)
    make_try(late, Result.NOT_SENT)
    make_try(late, Result.CONFIRMED, seconds=40)
    make_try(refused, Result.REJECTED)


@pytest.mark.django_db
def test_hours_are_counted_by_endpoint() -> None:
    make_traffic()

    rows = count()

    assert rows == HourlyCount.objects.count()
    assert counted() == {"received": 2, "troubled": 1, "sent": 2, "in_time": 1, "failed": 2}


@pytest.mark.django_db
def test_counting_again_changes_nothing() -> None:
    make_traffic()
    count()
    before = counted()

    count()

    assert counted() == before


@pytest.mark.django_db
def test_what_comes_later_is_added() -> None:
    message = make_message()
    count()

    make_message(message.endpoint)
    count()

    assert counted()["received"] == 2


@pytest.mark.django_db
def test_hours_without_a_worker_are_made_up_for() -> None:
    endpoint = make_endpoint()
    now = timezone.now()
    for hours in (1, 5, 60):
        message = make_message(endpoint)
        Message.objects.filter(pk=message.pk).update(received_at=now - timedelta(hours=hours))

    count_hours(now)

    assert counted()["received"] == 2


@pytest.mark.django_db
def test_settled_hours_are_left_alone() -> None:
    endpoint, now = make_endpoint(), timezone.now()
    old = HourlyCount.objects.create(
        endpoint=endpoint,
        environment=endpoint.environment,
        hour=hour_of(now) - timedelta(hours=3),
        received=7,
    )
    HourlyCount.objects.create(endpoint=endpoint, environment=endpoint.environment, hour=hour_of(now))

    count_hours(now)

    old.refresh_from_db()
    assert old.received == 7


@pytest.mark.django_db
def test_old_counts_are_removed() -> None:
    endpoint, now = make_endpoint(), timezone.now()
    HourlyCount.objects.create(
        endpoint=endpoint, environment=endpoint.environment, hour=now - timedelta(days=40)
    )

    count_hours(now)

    assert not HourlyCount.objects.exists()


def test_keys_of_a_moment_are_not_below_its_first() -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)

    assert first_key(before) < uuid7() < first_key(before + timedelta(seconds=10))
