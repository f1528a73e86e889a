"""A plan says what would be sent, what is there already and what would overwrite newer values; it sends
nothing."""

from collections.abc import Iterator

import pytest

from conversations import deliveries
from conversations.models import (
    Delivery,
    DeliveryState,
    HoldReason,
    Participant,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayRules,
    ReplayState,
)
from conversations.replay import lifecycle
from routing.models import Counter
from tests.conversations.desk import BAD_DATA, TITLE, Office, office
from tests.conversations.replay.rehearsals import EVERYTHING, change_rule, findings, make_plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as made:
        yield made


def test_plan_sends_nothing(place: Office) -> None:
    place.rule()
    message = place.say()
    place.route()
    Delivery.objects.all().delete()

    replay = make_plan(place, message)

    assert replay.state == ReplayState.PLANNED
    assert (Delivery.objects.count(), place.desk.requests) == (0, [])
    [item] = replay.items.all()
    assert (item.state, item.finding) == (ReplayItemState.PLANNED, ReplayFinding.SEND)
    assert item.contents["changes"] == [{"name": "title", "there": None, "ours": "Down", "newer": False}]


def test_unmatched_message_is_taken_by_new_rule(place: Office) -> None:
    message = place.say()
    place.route()
    place.rule()

    assert findings(make_plan(place, message)) == [("record", ReplayFinding.SEND)]
    assert findings(make_plan(place, message, rules=ReplayRules.RAN)) == [("", ReplayFinding.NO_RULE)]


def test_what_arrived_is_a_duplicate(place: Office) -> None:
    place.rule()
    message = place.say()
    place.route()
    place.deliver()

    assert findings(make_plan(place, message)) == [("record", ReplayFinding.DUPLICATE)]
    assert findings(make_plan(place, message, rules=ReplayRules.RAN)) == [("record", ReplayFinding.DUPLICATE)]


def test_what_waits_is_on_its_way(place: Office) -> None:
    place.rule()
    message = place.say()
    place.route()

    assert findings(make_plan(place, message)) == [("record", ReplayFinding.UNDER_WAY)]


def test_held_delivery_would_be_sent(place: Office) -> None:
    place.rule()
    message = place.say()
    place.route()
    place.desk.answers.append(BAD_DATA)
    place.deliver()

    assert findings(make_plan(place, message)) == [("record", ReplayFinding.SEND)]


def test_nobody_knows_is_a_duplicate(place: Office) -> None:
    place.rule()
    delivery = place.first()
    Delivery.objects.update(state=DeliveryState.HELD, hold_reason=HoldReason.UNKNOWN)

    assert findings(make_plan(place, delivery.message)) == [("record", ReplayFinding.DUPLICATE)]


def test_newer_value_of_the_target_shows(place: Office) -> None:
    place.rule(**EVERYTHING)
    place.say()
    place.route()
    place.deliver()
    late = place.say(title="Old news", operation="update")
    place.route()
    deliveries.cancel(Delivery.objects.filter(message=late))
    place.say("1", place.target, title="Corrected there", operation="update")
    place.route()

    [item] = make_plan(place, late).items.all()

    assert (item.finding, item.overwrites) == (ReplayFinding.SEND, True)
    assert item.contents["changes"] == [
        {"name": "title", "there": "Corrected there", "ours": "Old news", "newer": True}
    ]


def test_value_written_since_shows_as_newer(place: Office) -> None:
    place.rule(**EVERYTHING)
    place.say()
    place.route()
    place.deliver()
    early = place.say(title="Early", operation="update")
    place.route()
    deliveries.cancel(Delivery.objects.filter(message=early))
    place.say(title="Late", operation="update")
    place.route()
    place.deliver()

    [item] = make_plan(place, early).items.all()

    assert item.overwrites
    assert item.contents["changes"][0]["there"] == "Late"


def test_target_that_has_it_all_gets_nothing(place: Office) -> None:
    place.rule(**EVERYTHING)
    place.say()
    place.route()
    place.deliver()
    again = place.say(title="Other", operation="update")
    place.route()
    deliveries.cancel(Delivery.objects.filter(message=again))
    participant = Participant.objects.get(endpoint=place.target)
    participant.shadow = {**participant.shadow, "known": {"title": "Other"}}
    participant.save()

    assert findings(make_plan(place, again)) == [("record", ReplayFinding.NOTHING)]


def test_rule_of_then_or_of_now_is_used(place: Office) -> None:
    rule = place.rule()
    message = place.say()
    place.route()
    deliveries.cancel(Delivery.objects.all())
    then = rule.current_version_id
    change_rule(rule, operations=["create", "update"])

    [now] = make_plan(place, message).items.all()
    [ran] = make_plan(place, message, rules=ReplayRules.RAN).items.all()

    assert (now.rule_version.number, ran.rule_version_id) == (2, then)


def test_comment_after_its_create_would_be_sent(place: Office) -> None:
    message = place.say(comments=["Look here"])
    place.route()
    place.rule(**EVERYTHING)

    replay = make_plan(place, message)

    assert findings(replay) == [("record", ReplayFinding.SEND), ("comment:0", ReplayFinding.SEND)]
    assert replay.items.get(part="comment:0").contents == {"comment": "Look here"}


def test_failing_mapping_names_its_problem(place: Office) -> None:
    message = place.say()
    place.route()
    place.rule({"kind": "copy", "source": "gone", "target": "title", "missing": "hold"})

    [item] = make_plan(place, message).items.all()

    assert item.finding == ReplayFinding.MAPPING
    assert "title" in item.contents["problem"]


def test_plan_takes_no_numbers(place: Office) -> None:
    counter = Counter.objects.create(environment=place.environment, name="tickets", value=6)
    message = place.say()
    place.route()
    place.rule(
        {"kind": "counter", "counter": counter, "target": "number", "category": "variable"},
        {"source": "variables.number", "target": "title"},
    )

    [item] = make_plan(place, message).items.all()

    counter.refresh_from_db()
    assert (item.contents["changes"][0]["ours"], counter.value) == (7, 6)


def test_deleted_message_cannot_be_replayed(place: Office) -> None:
    place.rule()
    message = place.say()
    place.route()
    body = message.body
    body.refresh_from_db()
    body.raw = body.canonical = body.trace = None
    body.emptied_at = message.received_at
    body.save()

    [item] = make_plan(place, message).items.all()

    assert (item.state, item.finding) == (ReplayItemState.LEFT_OUT, ReplayFinding.EXPIRED)


def test_unrouted_message_is_left_out(place: Office) -> None:
    place.rule()
    message = place.say()

    assert findings(make_plan(place, message)) == [("", ReplayFinding.NOT_ROUTED)]


def test_one_bad_message_does_not_stop_the_plan(place: Office) -> None:
    bad, good = place.say("a", priority="unrenderable"), place.say("b")
    place.route()
    place.rule(TITLE, {"source": "priority", "target": "priority"})

    replay = make_plan(place, bad, good)

    assert [item.finding for item in replay.items.all()] == [ReplayFinding.MAPPING, ReplayFinding.SEND]


def test_only_messages_of_the_environment_are_taken(place: Office) -> None:
    with pytest.raises(lifecycle.CannotReplay):
        lifecycle.create(place.environment, [0], lifecycle.Choice(), None)

    assert not ReplayItem.objects.exists()
