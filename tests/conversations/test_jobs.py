"""Jobs from claimed lanes: the attempt is written first; what died is looked up, not repeated."""

from collections.abc import Iterator

import pytest

from conversations import deliveries, jobs
from conversations.models import Attempt, Delivery, Lane
from conversations.queue import LaneClaim
from endpoints.adapters.base import Action
from routing.models import RuleVersion
from tests.conversations.desk import Office, office
from tests.conversations.workers import expire_leases, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        found.rule(operations=["create", "update", "comment"])
        yield found


def attempts() -> list[tuple[str, str, str]]:
    return list(Attempt.objects.order_by("id").values_list("purpose", "result", "code"))


def die_sending(place: Office, times: int = 1) -> None:
    """Workers that claim the head and are never heard of again."""
    for _ in range(times):
        take(place.target.pk)
        expire_leases()


def test_attempt_is_written_before_anything_is_sent(place: Office) -> None:
    delivery = place.first()

    [job] = take(place.target.pk)

    delivery.refresh_from_db()
    attempt = Attempt.objects.get()
    assert (delivery.state, attempt.pk, attempt.ended_at) == ("sending", job.attempt_id, None)
    assert delivery.first_tried_at is not None
    assert attempt.rule_version == RuleVersion.objects.get()
    assert place.desk.requests == []


def test_only_the_head_of_a_lane_is_taken(place: Office) -> None:
    head = place.first(ticket="a")
    place.first(ticket="a", title="later")

    assert [job.delivery_id for job in take(place.target.pk)] == [head.pk]


def test_job_knows_the_partner_ticket(place: Office) -> None:
    place.first(ticket="a")

    [job] = take(place.target.pk)

    assert job.target is None
    assert job.partner is not None
    assert (job.partner.external_id, job.partner.number) == ("a", "D-a")


def test_died_create_is_looked_up_not_repeated(place: Office) -> None:
    place.first()
    place.perform()  # done at the target, and the worker dies before it can record it
    expire_leases()

    place.deliver()

    assert place.desk.requests == [Action.CREATE]
    assert attempts() == [("send", "unknown", "worker_died"), ("verify", "confirmed", "")]
    assert Delivery.objects.get(endpoint=place.target).state == "delivered"


def test_died_create_that_never_arrived_is_sent(place: Office) -> None:
    place.first()
    die_sending(place)

    place.deliver()
    place.deliver()

    assert place.desk.requests == [Action.CREATE]
    assert [purpose for purpose, _, _ in attempts()] == ["send", "verify", "send"]


def test_died_update_is_simply_sent_again(place: Office) -> None:
    place.first(ticket="a")
    place.deliver()
    update = place.first(ticket="a", title="later", operation="update")
    place.perform()
    expire_leases()

    place.deliver()

    update.refresh_from_db()
    assert place.desk.requests == [Action.CREATE, Action.UPDATE, Action.UPDATE]
    assert (update.state, update.possible_duplicate) == ("delivered", False)


def test_died_look_up_is_asked_again(place: Office) -> None:
    place.first()
    die_sending(place, times=2)

    place.deliver()

    assert [code for _, _, code in attempts()][:2] == ["worker_died", "worker_died"]
    assert Attempt.objects.filter(ended_at=None).count() == 0


def test_delivery_that_kills_three_workers_is_held(place: Office) -> None:
    delivery = place.first()
    die_sending(place, times=3)

    assert take(place.target.pk) == []

    delivery.refresh_from_db()
    assert (delivery.state, delivery.hold_reason) == ("held", "crashed")
    assert Attempt.objects.filter(ended_at=None).count() == 0
    assert Lane.objects.get(endpoint=place.target).due_at is None


def test_crashed_delivery_is_looked_up_when_retried(place: Office) -> None:
    delivery = place.first()
    place.perform()
    expire_leases()
    die_sending(place, times=2)
    take(place.target.pk)

    assert deliveries.retry([delivery]) == 1
    place.deliver()

    assert place.desk.requests == [Action.CREATE]  # it had arrived: no second ticket
    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_lane_behind_a_crashed_delivery_waits(place: Office) -> None:
    place.first(ticket="a")
    behind = place.first(ticket="a", title="later")
    die_sending(place, times=3)
    take(place.target.pk)

    behind.refresh_from_db()
    assert behind.state == "queued"
    assert Lane.objects.get(endpoint=place.target).due_at is None


def test_lane_without_work_is_given_back(place: Office) -> None:
    delivery = place.first()
    Delivery.objects.update(state="skipped")

    assert take(place.target.pk) == []

    lane = Lane.objects.get(pk=delivery.lane_id)
    assert (lane.due_at, lane.lease_until) == (None, None)


def test_lane_whose_head_was_held_meanwhile_is_given_back(place: Office) -> None:
    delivery = place.first()
    Delivery.objects.update(state="held", hold_reason="person")

    assert take(place.target.pk) == []

    assert Lane.objects.get(pk=delivery.lane_id).due_at is None


def test_rule_that_cannot_run_any_more_holds_its_deliveries(place: Office) -> None:
    delivery = place.first()
    delivery.rule.current_version = None
    delivery.rule.save()

    assert take(place.target.pk) == []

    delivery.refresh_from_db()
    assert (delivery.state, delivery.hold_reason) == ("held", "mapping")


def test_disabled_rule_still_delivers_what_it_routed(place: Office) -> None:
    delivery = place.first()
    delivery.rule.enabled = False
    delivery.rule.save()

    place.deliver()

    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_nothing_claimed_makes_no_jobs(place: Office) -> None:
    endpoint = place.configs.get(place.target.pk)

    assert jobs.prepare([], endpoint, place.book.of(place.environment.pk)) == []


def test_claim_of_an_unknown_lane_is_given_back(place: Office) -> None:
    endpoint = place.configs.get(place.target.pk)
    claim = LaneClaim(lane_id=10**9, token=1, endpoint_id=place.target.pk, deaths=0)

    assert jobs.prepare([claim], endpoint, place.book.of(place.environment.pk)) == []
