"""Deliveries: what a finished try leads to, and what people may decide meanwhile."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection

from conversations import deliveries, sender
from conversations.deliveries import cancel, hold, retry, skip
from conversations.models import Attempt, Delivery, Lane, Participant, RemoteItem
from endpoints.adapters.base import Action
from endpoints.models import Endpoint, EndpointGate
from endpoints.outcomes import Found
from oneio.wakeup import connect
from tests.conversations.desk import BAD_DATA, BUSY, LOST, Office, office
from tests.conversations.workers import PAST, expire_leases, locked, other_worker, take, wait_for_waiting
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db(transaction=True)
Verb = Callable[[list[Delivery]], int]


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        found.rule(operations=["create", "update", "comment"])
        yield found


def due_now() -> None:
    """As if the time until the next try had passed."""
    Delivery.objects.update(due_at=PAST)
    Lane.objects.filter(due_at__isnull=False, lease_until=None).update(due_at=PAST)


def fresh(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def in_doubt(place: Office) -> Delivery:
    """A create whose answer was lost."""
    place.desk.loses_answers = True
    delivery = place.first(ticket="a")
    place.deliver()
    due_now()
    return delivery


def set_policy(place: Office, policy: str) -> None:
    Endpoint.objects.filter(pk=place.target.pk).update(unknown_policy=policy)
    place.configs.forget(place.target.pk)


def test_confirmed_create_is_recorded_whole(place: Office) -> None:
    delivery = place.first(title="Down")

    place.deliver()

    participant = Participant.objects.get(endpoint=place.target)
    lane = Lane.objects.get(pk=delivery.lane_id)
    assert (fresh(delivery).state, fresh(delivery).tries) == ("delivered", 1)
    assert (participant.external_id, participant.number) == ("1", "T-1")
    assert participant.shadow["known"] == {"title": "Down"}
    assert (lane.due_at, lane.lease_until) == (None, None)
    assert Attempt.objects.get().result == "confirmed"


def test_stale_token_changes_no_row(place: Office) -> None:
    delivery = place.first()
    late = place.perform()
    expire_leases()
    take(place.target.pk)  # another worker took over
    before = (Delivery.objects.values().get(), Lane.objects.filter(pk=delivery.lane_id).values().get())

    deliveries.finish(late, place.configs)

    lane = Lane.objects.filter(pk=delivery.lane_id)
    assert (Delivery.objects.values().get(), lane.values().get()) == before
    assert Participant.objects.get(endpoint=place.target).external_id is None
    assert fresh(delivery).state == "verifying"


def test_giving_up_with_a_stale_token_changes_nothing(place: Office) -> None:
    delivery = place.first()
    [late] = place.perform()
    expire_leases()
    take(place.target.pk)

    deliveries.give_up(late, IntegrityError("ticket_in_one_conversation"))

    assert fresh(delivery).state == "verifying"


def test_stale_result_is_left_out_of_a_batch(place: Office) -> None:
    stale, live = place.first(ticket="a"), place.first(ticket="b")
    results = place.perform()
    Lane.objects.filter(pk=stale.lane_id).update(token=99)

    deliveries.finish(results, place.configs)

    assert (fresh(stale).state, fresh(live).state) == ("sending", "delivered")


def test_lost_answer_is_looked_up_and_recorded(place: Office) -> None:
    delivery = in_doubt(place)
    assert fresh(delivery).state == "verifying"

    place.deliver()

    assert fresh(delivery).state == "delivered"
    assert Participant.objects.get(endpoint=place.target).external_id == "1"
    assert place.desk.requests == [Action.CREATE]


def test_not_found_yet_is_asked_again(place: Office) -> None:
    place.desk.settles_in = timedelta(minutes=1)
    delivery = in_doubt(place)
    place.desk.look_ups.extend([Found.NO, Found.NO])

    for _ in range(2):
        place.deliver()
        due_now()

    assert (fresh(delivery).state, fresh(delivery).checks, fresh(delivery).tries) == ("verifying", 2, 1)
    place.deliver()
    assert fresh(delivery).state == "delivered"
    assert place.desk.requests == [Action.CREATE]


def test_not_found_after_settling_is_sent_again(place: Office) -> None:
    place.desk.answers.append(LOST)
    delivery = place.first()
    place.deliver()
    due_now()

    place.deliver()
    assert fresh(delivery).state == "queued"
    place.deliver()

    assert (fresh(delivery).state, fresh(delivery).possible_duplicate) == ("delivered", False)
    assert len(place.desk.tickets) == 1


def test_failed_look_up_is_asked_again(place: Office) -> None:
    delivery = in_doubt(place)
    place.desk.look_ups.append(Found.FAILED)

    place.deliver()

    assert fresh(delivery).state == "verifying"
    assert fresh(delivery).due_at > fresh(delivery).state_since


def test_unanswerable_doubt_waits_for_a_person(place: Office) -> None:
    place.desk.answerable = False
    delivery = in_doubt(place)

    place.deliver()

    assert (fresh(delivery).state, fresh(delivery).hold_reason) == ("held", "unknown")
    assert place.desk.requests == [Action.CREATE]


def test_policy_may_send_again_and_flag_it(place: Office) -> None:
    place.desk.answerable = False
    set_policy(place, "resend")
    delivery = in_doubt(place)

    place.deliver()
    place.desk.loses_answers = False
    place.deliver()

    assert (fresh(delivery).state, fresh(delivery).possible_duplicate) == ("delivered", True)
    assert place.desk.requests == [Action.CREATE] * 2


def test_policy_sends_again_only_once(place: Office) -> None:
    place.desk.answerable = False
    set_policy(place, "resend")
    delivery = in_doubt(place)

    for _ in range(3):
        place.deliver()
        due_now()

    assert (fresh(delivery).state, fresh(delivery).hold_reason) == ("held", "unknown")
    assert place.desk.requests == [Action.CREATE] * 2


def test_person_who_retries_the_unknown_flags_it(place: Office) -> None:
    place.desk.answerable = False
    delivery = in_doubt(place)
    place.deliver()
    place.desk.loses_answers = False

    assert retry([delivery]) == 1
    place.deliver()

    assert (fresh(delivery).state, fresh(delivery).possible_duplicate) == ("delivered", True)


def test_doubt_outlives_a_mapping_that_fails_meanwhile(place: Office) -> None:
    delivery = in_doubt(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender, "_decided", lambda *_: 1 / 0)
        place.deliver()
    assert (fresh(delivery).state, fresh(delivery).hold_reason) == ("held", "internal")

    retry([delivery])
    place.deliver()

    assert fresh(delivery).state == "delivered"
    assert place.desk.requests == [Action.CREATE]


def test_update_in_doubt_is_simply_sent_again(place: Office) -> None:
    place.first(ticket="a")
    place.deliver()
    update = place.first(ticket="a", title="later", operation="update")
    place.desk.answers.append(LOST)

    place.deliver()
    assert fresh(update).state == "queued"
    due_now()
    place.deliver()

    assert (fresh(update).state, fresh(update).possible_duplicate) == ("delivered", False)
    assert place.desk.tickets["1"] == {"title": "later"}


def test_unreachable_target_is_tried_later(place: Office) -> None:
    place.desk.answers.append(BUSY)
    delivery = place.first()

    place.deliver()

    assert (fresh(delivery).state, fresh(delivery).failure, fresh(delivery).tries) == (
        "queued",
        "transient",
        1,
    )


def test_refusal_holds_with_the_targets_own_words(place: Office) -> None:
    place.desk.answers.append(BAD_DATA)
    delivery = place.first()

    place.deliver()

    held = fresh(delivery)
    assert (held.state, held.hold_reason, held.status_code) == ("held", "refused", 400)
    assert held.content.problem == "No such priority."


def test_nothing_to_change_is_skipped(place: Office) -> None:
    place.first(ticket="a")
    place.deliver()
    Participant.objects.filter(endpoint=place.target).update(number="")
    update = place.first(ticket="a", priority="unmapped", operation="update")

    place.deliver()

    assert fresh(update).state == "skipped"
    assert place.desk.requests == [Action.CREATE]


def test_our_comment_is_remembered_by_its_id(place: Office) -> None:
    place.first(ticket="a")
    place.deliver()
    place.first(ticket="a", operation="comment", comments=["hello"])

    place.deliver()

    item = RemoteItem.objects.get(participant__endpoint=place.target)
    assert (item.kind, item.remote_id) == ("comment", "ours-1")


def test_new_number_is_written_back_once(place: Office) -> None:
    place.first(ticket="a")

    done = place.deliver()
    deliveries.finish(done, place.configs)  # told twice, as after a connection lost at commit
    place.deliver(place.source)

    [back] = Delivery.objects.filter(part="write_back")
    assert (back.endpoint, back.state) == (place.source, "delivered")
    assert place.desk.tickets["a"] == {"partner": "T-1"}


def test_later_updates_write_nothing_back(place: Office) -> None:
    place.first(ticket="a")
    place.deliver()
    place.first(ticket="a", title="later", operation="update")

    place.deliver()

    assert Delivery.objects.filter(part="write_back").count() == 1


def test_found_create_is_written_back_too(place: Office) -> None:
    in_doubt(place)

    place.deliver()

    assert Delivery.objects.filter(part="write_back", state="queued").count() == 1


def test_rule_may_leave_the_write_back_out() -> None:
    with office() as place:
        place.rule(write_back=False)
        place.first()

        place.deliver()

        assert not Delivery.objects.filter(part="write_back").exists()


def test_system_without_write_back_gets_none() -> None:
    with office() as place:
        place.source = make_endpoint("silent", place.environment)
        place.rule()
        place.first()

        place.deliver()

        assert list(Delivery.objects.values_list("part", "state")) == [("record", "delivered")]


def test_result_that_cannot_be_kept_holds_only_its_delivery(place: Office) -> None:
    broken, fine = place.first(ticket="a"), place.first(ticket="b")
    results = {done.job.delivery_id: done for done in place.perform()}
    Participant.objects.filter(conversation=fine.conversation, endpoint=place.target).update(external_id="1")

    with pytest.raises(IntegrityError):
        deliveries.finish(list(results.values()), place.configs)
    deliveries.give_up(results[broken.pk], IntegrityError("ticket_in_one_conversation"))
    deliveries.finish([results[fine.pk]], place.configs)

    assert (fresh(broken).state, fresh(broken).hold_reason) == ("held", "internal")
    assert fresh(fine).state == "delivered"
    assert Attempt.objects.get(delivery=broken).code == "IntegrityError"
    assert "another conversation" in fresh(broken).content.problem
    assert Lane.objects.get(pk=broken.lane_id).lease_until is None


def test_unrecorded_create_is_looked_up_when_retried(place: Office) -> None:
    delivery = place.first()
    [done] = place.perform()
    deliveries.give_up(done, IntegrityError("ticket_in_one_conversation"))

    retry([delivery])
    place.deliver()

    assert fresh(delivery).state == "delivered"
    assert place.desk.requests == [Action.CREATE]


@pytest.mark.parametrize(
    ("verb", "changes"),
    [
        (retry, {"held": "queued", "queued": "queued"}),
        (skip, {"held": "skipped", "queued": "skipped", "verifying": "skipped"}),
        (cancel, {"held": "cancelled", "queued": "cancelled", "verifying": "cancelled"}),
        (hold, {"queued": "held"}),
    ],
)
@pytest.mark.parametrize(
    "state", ["queued", "sending", "verifying", "held", "delivered", "skipped", "cancelled"]
)
def test_verb_changes_only_what_it_may(
    place: Office, verb: Verb, changes: dict[str, str], state: str
) -> None:
    delivery = place.first()
    Delivery.objects.update(state=state, hold_reason="person" if state == "held" else "")

    changed = verb([delivery])

    assert (changed, fresh(delivery).state) == (int(state in changes), changes.get(state, state))
    due = Lane.objects.get().due_at is not None
    assert due == (fresh(delivery).state in {"queued", "sending", "verifying"})


@pytest.mark.parametrize("verb", [skip, cancel, retry, hold])
def test_delivery_in_a_workers_hands_is_left_alone(place: Office, verb: Verb) -> None:
    delivery = in_doubt(place)
    take(place.target.pk)  # a look-up is under way

    assert verb([delivery]) == 0

    assert fresh(delivery).state == "verifying"
    assert Lane.objects.get(endpoint=place.target).lease_until is not None


def test_lane_drains_behind_a_skipped_head(place: Office) -> None:
    place.desk.answers.append(BAD_DATA)
    head = place.first(ticket="a")
    behind = place.first(ticket="a", title="later")
    place.deliver()
    assert fresh(behind).state == "queued"

    skip([head])
    place.deliver()

    assert (fresh(head).state, fresh(behind).state) == ("skipped", "delivered")
    assert place.desk.tickets == {"1": {"title": "later"}}


def test_retry_starts_with_clean_counters(place: Office) -> None:
    place.desk.answers.extend([BUSY, BAD_DATA])
    delivery = place.first()
    place.deliver()
    due_now()
    place.deliver()

    retry([delivery])

    again = fresh(delivery)
    assert (again.state, again.tries, again.failure, again.first_tried_at) == ("queued", 0, "", None)


def test_retry_goes_with_the_corrected_rule(place: Office) -> None:
    place.desk.answers.append(BAD_DATA)
    delivery = place.first(title="Down")
    place.deliver()
    key = fresh(delivery).effect_key

    retry([delivery])
    place.deliver()

    assert fresh(delivery).effect_key == key
    assert fresh(delivery).state == "delivered"


def test_verb_waits_for_the_worker_that_records(place: Office) -> None:
    delivery = place.first()
    done = place.perform()

    with other_worker() as person, connect(connection.get_connection_params()) as worker:
        with worker.transaction():
            worker.execute("SELECT 1 FROM conversations_lane WHERE id = %s FOR UPDATE", [delivery.lane_id])
            skipped = person.start(lambda: skip([delivery]))
            wait_for_waiting()
        assert skipped.result(10) == 0
    deliveries.finish(done, place.configs)

    assert fresh(delivery).state == "delivered"


def test_gates_are_told_in_the_order_of_their_ids(place: Office) -> None:
    EndpointGate.objects.update(failures_in_row=1)
    place.first(ticket="a")
    place.deliver()
    EndpointGate.objects.update(failures_in_row=1)
    place.first(ticket="a", title="later")
    results = [*place.perform(place.target), *place.perform(place.source)]
    low, high = sorted([place.source.pk, place.target.pk])
    gate = "SELECT 1 FROM endpoints_endpointgate WHERE endpoint_id = %s FOR UPDATE"

    with other_worker() as worker:
        with locked(gate, [high]):
            finished = worker.start(lambda: deliveries.finish(results, place.configs))
            wait_for_waiting()  # for the higher one; it holds the lower one already
            with pytest.raises(Exception, match="could not obtain lock"), locked(f"{gate} NOWAIT", [low]):
                pass
        finished.result(10)


def test_message_that_waited_for_us_is_woken(place: Office) -> None:
    place.first(ticket="a")
    done = place.perform()
    waiting = place.say("1", endpoint=place.target)
    place.route()
    waiting.refresh_from_db()
    assert waiting.wake_at is not None

    deliveries.finish(done, place.configs)

    place.route()
    waiting.refresh_from_db()
    assert waiting.state != "received"


def test_nobody_writes_a_verb_for_a_foreign_lane(place: Office) -> None:
    one, other = place.first(ticket="a"), place.first(ticket="b")

    skip([one])

    rows: dict[Any, str] = dict(Delivery.objects.values_list("pk", "state"))
    assert rows == {one.pk: "skipped", other.pk: "queued"}
