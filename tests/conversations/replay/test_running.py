"""A replay sends each thing once, in order, a few at a time, whatever dies meanwhile."""

import os
import signal
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction

from conversations import deliveries
from conversations.models import (
    Delivery,
    DeliveryState,
    HoldReason,
    Message,
    Participant,
    Replay,
    ReplayFinding,
    ReplayItem,
    ReplayState,
)
from conversations.replay import lifecycle, running
from conversations.replay.assessment import Wishes
from conversations.replay.lifecycle import Choice
from conversations.replay.running import run_one
from conversations.replay.subject import Tools
from routing.models import Counter, RoutingRule
from tests.conversations.desk import BAD_DATA, Office, office
from tests.conversations.replay.rehearsals import EVERYTHING, change_rule, go_on, item_states, make_plan, run
from tests.conversations.workers import at_once
from tests.conversations.world import states
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as made:
        yield made


def unmatched(place: Office, *tickets: str) -> list[Message]:
    """Messages that came before there was a rule."""
    said = [place.say(ticket) for ticket in tickets or ("a",)]
    place.route()
    return said


def delivered(place: Office, **fields: Any) -> Message:
    """A message that has arrived at the desk."""
    place.rule(**(EVERYTHING | fields))
    message = place.say()
    place.route()
    place.deliver()
    return message


def test_unmatched_messages_are_delivered(place: Office) -> None:
    messages = unmatched(place, "a", "b")
    place.rule()

    replay = run(make_plan(place, *messages))
    place.deliver()

    assert replay.state == ReplayState.DONE
    assert item_states(replay) == ["queued", "queued"]
    assert [item.delivery.state for item in replay.items.all()] == ["delivered"] * 2
    assert len(place.desk.tickets) == 2


def test_duplicate_is_left_out(place: Office) -> None:
    message = delivered(place)

    replay = run(make_plan(place, message))

    assert item_states(replay) == ["left_out"]
    assert Delivery.objects.filter(part="record").count() == 1


def test_same_replay_twice_sends_once(place: Office) -> None:
    [message] = unmatched(place)
    place.rule()
    one, other = make_plan(place, message), make_plan(place, message)

    run(one)
    run(other)

    assert item_states(other) == ["left_out"]
    assert other.items.get().finding == ReplayFinding.UNDER_WAY
    assert Delivery.objects.count() == 1


def test_anew_makes_another_effect(place: Office) -> None:
    message = delivered(place)
    place.desk.tickets["1"]["title"] = "Lost"
    participant = Participant.objects.get(endpoint=place.target)
    participant.shadow = {}
    participant.save()

    replay = run(make_plan(place, message), create_anew=True)
    place.deliver()

    first, second = Delivery.objects.filter(part="record").order_by("id")
    assert (replay.items.get().delivery_id, second.anew) == (second.pk, 1)
    assert first.effect_key != second.effect_key
    assert place.desk.tickets == {"1": {"title": "Down"}}


def test_newer_value_is_kept_unless_chosen(place: Office) -> None:
    delivered(place)
    late = place.say(title="Old news", operation="update")
    place.route()
    deliveries.cancel(Delivery.objects.filter(message=late))
    place.say("1", place.target, title="Corrected there", operation="update")
    place.route()

    kept = run(make_plan(place, late))
    overwritten = run(make_plan(place, late), overwrite_newer=True)
    place.deliver()

    assert (item_states(kept), item_states(overwritten)) == (["left_out"], ["queued"])
    assert place.desk.tickets["1"]["title"] == "Old news"


def test_value_that_became_newer_since_the_plan_is_kept(place: Office) -> None:
    delivered(place)
    late = place.say(title="Old news", operation="update")
    place.route()
    deliveries.cancel(Delivery.objects.filter(message=late))
    replay = make_plan(place, late)
    place.say("1", place.target, title="Corrected there", operation="update")
    place.route()

    run(replay)

    item = replay.items.get()
    assert (item.state, item.overwrites) == ("left_out", True)


def test_held_delivery_itself_is_sent_again(place: Office) -> None:
    rule = place.rule()
    message = place.say()
    place.route()
    place.desk.answers.append(BAD_DATA)
    place.deliver()

    replay = run(make_plan(place, message))
    place.deliver()

    assert states(part="record") == ["delivered"]
    delivery = Delivery.objects.get(part="record")
    assert delivery.rule_version_id == rule.current_version_id
    assert replay.items.get().delivery == delivery


def test_cancelled_delivery_is_sent_again(place: Office) -> None:
    place.rule()
    message = place.say()
    place.route()
    deliveries.cancel(Delivery.objects.all())

    run(make_plan(place, message))
    place.deliver()

    assert states(part="record") == ["delivered"]


def test_doubtful_delivery_is_marked_when_sent_anew(place: Office) -> None:
    place.rule()
    delivery = place.first()
    Delivery.objects.update(state=DeliveryState.HELD, hold_reason=HoldReason.UNKNOWN)

    run(make_plan(place, delivery.message), create_anew=True)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.possible_duplicate) == ("queued", True)
    assert Delivery.objects.count() == 1


def test_changed_rule_needs_another_plan(place: Office) -> None:
    [message] = unmatched(place)
    rule = place.rule()
    replay = make_plan(place, message)
    change_rule(rule)

    run(replay)

    assert replay.items.get().finding == ReplayFinding.RULE_CHANGED
    assert not Delivery.objects.exists()


def test_rule_switched_off_takes_nothing(place: Office) -> None:
    [message] = unmatched(place)
    rule = place.rule()
    replay = make_plan(place, message)
    RoutingRule.objects.filter(pk=rule.pk).update(enabled=False)

    run(replay)

    assert replay.items.get().finding == ReplayFinding.NO_RULE
    assert not Delivery.objects.exists()


def test_numbers_are_taken_once(place: Office) -> None:
    counter = Counter.objects.create(environment=place.environment, name="tickets", value=6)
    [message] = unmatched(place)
    place.rule(
        {"kind": "counter", "counter": counter, "target": "number", "category": "variable"},
        {"source": "variables.number", "target": "title"},
    )

    run(make_plan(place, message))
    place.deliver()
    participant = Participant.objects.get(endpoint=place.target)
    participant.shadow = {}
    participant.save()
    run(make_plan(place, message), create_anew=True)
    place.deliver()

    counter.refresh_from_db()
    assert (counter.value, place.desk.tickets["1"]["title"]) == (7, 7)


def test_few_wait_in_the_queue_at_once(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "IN_QUEUE", 2)
    messages = unmatched(place, "a", "b", "c")
    place.rule()

    replay = run(make_plan(place, *messages))

    assert item_states(replay) == ["queued", "queued", "planned"]
    place.deliver()
    assert go_on(replay).state == ReplayState.DONE


def test_ticket_is_sent_in_order_received(place: Office) -> None:
    messages = [place.say(title="One"), place.say(title="Two", operation="update"), place.say("b")]
    place.route()
    place.rule(**EVERYTHING)

    run(make_plan(place, *reversed(messages)))

    sent = list(Delivery.objects.order_by("id").values_list("message_id", flat=True))
    assert sent == [message.pk for message in messages]


def test_replay_is_no_loop(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "OF_A_TICKET", 2)
    messages = [place.say(title=f"{n}", operation="update" if n else "create") for n in range(4)]
    messages.append(place.say("b"))
    place.route()
    place.rule(**EVERYTHING)

    replay = run(make_plan(place, *messages))

    assert item_states(replay) == ["queued", "queued", "planned", "planned", "queued"]


def test_cancel_stops_what_is_not_queued(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "IN_QUEUE", 1)
    messages = unmatched(place, "a", "b", "c")
    place.rule()
    replay = run(make_plan(place, *messages))

    stopped = lifecycle.cancel(replay, None)
    place.deliver()

    assert (stopped, item_states(replay)) == (2, ["queued", "cancelled", "cancelled"])
    assert go_on(replay).state == ReplayState.CANCELLED
    assert states(part="record") == ["delivered"]


@pytest.mark.parametrize("what", ["start", "cancel", "plan again"])
def test_ended_replay_stays_ended(place: Office, what: str) -> None:
    [message] = unmatched(place)
    replay = make_plan(place, message)
    lifecycle.cancel(replay, None)
    actions = {
        "start": lambda: lifecycle.start(replay, Wishes(), None),
        "cancel": lambda: lifecycle.cancel(replay, None),
        "plan again": lambda: lifecycle.plan_again(replay, Choice(), None),
    }

    with pytest.raises(lifecycle.CannotReplay):
        actions[what]()


def test_plan_is_made_again(place: Office) -> None:
    messages = unmatched(place, "a", "b")
    replay = make_plan(place, *messages)

    lifecycle.plan_again(replay, Choice(rules="ran"), None)

    replay.refresh_from_db()
    assert (replay.state, replay.rules) == (ReplayState.PLANNING, "ran")
    assert item_states(replay) == ["chosen", "chosen"]


def test_history_says_who_did_what(place: Office) -> None:
    [message] = unmatched(place)
    place.rule()
    person = make_user()

    replay = make_plan(place, message, by=person)
    run(replay, by=person, create_anew=True)

    said = [(entry.user, entry.change_message) for entry in LogEntry.objects.order_by("pk")]
    assert [user for user, _ in said] == [person, person]
    assert "Started: 1 to be sent, what arrived before once more" in said[1][1]
    assert (replay.created_by, replay.started_by) == (person, person)


def test_two_workers_send_once(place: Office) -> None:
    messages = unmatched(place, "a", "b", "c")
    place.rule()
    replay = make_plan(place, *messages)
    lifecycle.start(replay, Wishes(), None)

    at_once(lambda: go_on(Replay.objects.get(pk=replay.pk)))
    go_on(replay)

    assert item_states(replay) == ["queued"] * 3
    assert Delivery.objects.count() == 3


def dies_at(statement: int, replay: Replay) -> bool:
    """Run a message in a process of its own that kills itself before its n-th statement; whether it did."""
    if child := os.fork():
        died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        with transaction.atomic():
            Replay.objects.select_for_update().get(pk=replay.pk)  # until PostgreSQL has let it go, too
        return died
    try:
        connection.connection = None  # the parent's
        numbers = count(1)

        def strike(execute: Any, *arguments: Any) -> Any:
            if next(numbers) == statement:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments)

        with connection.execute_wrapper(strike):
            run_one(replay.pk, Tools())
    finally:
        os._exit(0)


def test_killed_at_any_statement_it_sends_once(place: Office) -> None:
    message = place.say(comments=["Look here"])
    place.route()
    place.rule(**EVERYTHING)
    replay = make_plan(place, message)
    lifecycle.start(replay, Wishes(), None)

    deaths = 0
    while dies_at(deaths + 1, replay):
        deaths += 1
        assert (item_states(replay), Delivery.objects.count()) == (["planned"] * 2, 0)

    assert deaths > 20
    assert item_states(replay) == ["queued"] * 2
    assert sorted(ReplayItem.objects.values_list("delivery", flat=True)) == sorted(
        Delivery.objects.values_list("pk", flat=True)
    )
