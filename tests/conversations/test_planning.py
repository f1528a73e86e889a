"""Deliveries made from routes: one per part, in order, and a brake for tickets that go in circles."""

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now

from conversations.effects import effect_key
from conversations.models import Delivery, Lane, Participant
from conversations.planning import LOOP_DELIVERIES, LOOP_WITHIN
from endpoints.models import Alert
from oneio.admin.page import url_of
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.world import publish
from tests.factories import make_endpoint
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))


def test_every_matching_rule_gets_its_delivery(place: Office) -> None:
    other = make_endpoint("desk", place.environment)
    rules = [place.rule(), place.rule(target=other)]

    place.first()

    assert list(Delivery.objects.order_by("id").values_list("rule_id", flat=True)) == [r.pk for r in rules]
    assert Lane.objects.filter(due_at__isnull=False).count() == 2


def test_two_rules_to_one_target_share_a_lane(place: Office) -> None:
    place.rule()
    place.rule({"source": "title", "target": "priority"})

    place.first()

    assert Delivery.objects.count() == 2
    assert Lane.objects.count() == 1


def test_target_takes_part_before_it_has_a_ticket(place: Office) -> None:
    place.rule()

    place.first()

    assert Participant.objects.get(endpoint=place.target).external_id is None


def test_update_behind_an_unfinished_create_goes_along(place: Office) -> None:
    place.rule(operations=["create", "update"])
    place.first(ticket="a")

    place.say("a", title="later", operation="update")
    place.route()

    assert states() == ["queued", "queued"]
    assert len(set(Delivery.objects.values_list("lane_id", flat=True))) == 1


def test_each_comment_is_a_delivery_of_its_own(place: Office) -> None:
    place.rule(operations=["create", "update", "comment"])

    place.first(comments=["one", "two"])

    parts = list(Delivery.objects.order_by("id").values_list("part", flat=True))
    assert parts == ["record", "comment:0", "comment:1"]


def test_effect_key_names_message_rule_target_and_part(place: Office) -> None:
    rule = place.rule()

    delivery = place.first()

    key = effect_key(delivery.message.response_id, rule.pk, place.target.pk, "record")
    assert delivery.effect_key == key
    assert key != effect_key(delivery.message.response_id, rule.pk, place.target.pk, "record", anew=1)


def test_snapshot_keeps_what_may_not_be_worked_out_twice(place: Office) -> None:
    place.rule(
        TITLE,
        {"category": "variable", "kind": "constant", "constant": "7", "target": "count"},
        {"category": "conversation", "source": "title", "target": "seen"},
    )

    snapshot = place.first(title="Down").content.snapshot

    assert snapshot["variables"] == {"count": "7"}
    assert snapshot["conversation"] == {}  # as it was when the rule was evaluated
    assert snapshot["changed"] == {"title": None}


def test_ticket_in_circles_is_held_with_an_alert(place: Office) -> None:
    place.rule(operations=["create", "update"])

    for number in range(LOOP_DELIVERIES + 2):
        place.say("a", title=f"{number}")
        place.route()

    assert states() == ["queued"] * LOOP_DELIVERIES + ["held"] * 2
    assert set(Delivery.objects.filter(state="held").values_list("hold_reason", flat=True)) == {"loop"}
    assert place.target.name in Alert.objects.get(kind="loop").what_to_do


def test_one_batch_does_not_run_past_the_brake(place: Office) -> None:
    place.rule(operations=["create", "update"])
    for number in range(LOOP_DELIVERIES + 2):
        place.say("a", title=f"{number}")

    place.route()

    assert states() == ["queued"] * LOOP_DELIVERIES + ["held"] * 2
    assert Alert.objects.filter(kind="loop").count() == 1


def test_page_of_a_braked_ticket_shows_what_alternates(place: Office) -> None:
    place.rule(operations=["create", "update"])
    for number in range(LOOP_DELIVERIES + 1):
        place.say("a", title="Up again" if number % 2 else "Down again", description=f"same {number}")
    place.route()
    held = Delivery.objects.get(state="held")

    pages = [
        signed_in(role, place.environment).get(url_of(held)).content.decode()
        for role in ("operator", "viewer")
    ]

    assert ["Values that go back and forth" in page for page in pages] == [True, False]
    assert pages[0].count("Up again") >= 3


def test_twenty_over_a_longer_time_are_no_circle(place: Office) -> None:
    place.rule(operations=["create", "update"])
    for number in range(LOOP_DELIVERIES):
        place.say("a", title=f"{number}")
    place.route()
    Delivery.objects.update(created_at=Now() - LOOP_WITHIN)

    place.say("a", title="one more")
    place.route()

    assert "held" not in states()


def test_other_tickets_are_not_braked(place: Office) -> None:
    place.rule(operations=["create", "update"])
    for number in range(LOOP_DELIVERIES + 1):
        place.say("a", title=f"{number}")
        place.route()

    other = place.first(ticket="b")

    assert other.state == "queued"


def test_rule_without_matching_part_makes_nothing(place: Office) -> None:
    publish(place.source, place.target, [TITLE], operations=["update"])

    place.say("a")
    place.route()

    assert not Delivery.objects.exists()
    assert not Lane.objects.exists()
