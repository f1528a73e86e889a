"""Delayed deliveries: what wakes them, which version counts, what keeps its order, what is never lost."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from conversations import delays, deliveries, queue
from conversations.admin import explanations
from conversations.attachments import IncomingFile, take_in
from conversations.delays import release_due
from conversations.ingest import Arrival
from conversations.models import Conversation, Delivery, Message
from conversations.tasks import sweep
from routing import versions
from routing.models import DelayCondition, Mapping, RoutingRule
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.workers import at_once, other_worker, wait_for_waiting
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db(transaction=True)
EVERYTHING = ["create", "update", "comment"]
AN_HOUR = {"kind": "time", "seconds": 3600}
APPROVED = {"kind": "variable", "path": "approved", "operator": "equals", "value": "yes"}
KNOWN = {"kind": "target"}


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def waits(rule: RoutingRule, *delays: dict[str, Any], by: str = "wait") -> RoutingRule:
    """Publish a version of the rule with these delays."""
    draft = versions.draft_of(rule)
    draft.delays.all().delete()
    for position, row in enumerate(delays):
        DelayCondition.objects.create(version=draft, position=position, **row)
    versions.publish(rule, None, by)
    return rule


def approving(place: Office) -> RoutingRule:
    """A rule that sets the variable which others wait for."""
    row = {"category": "conversation", "source": "priority", "target": "approved"}
    return place.rule(row, target=None, action="process_only", priority=9, operations=EVERYTHING)


def look(place: Office) -> int:
    return release_due(place.book, place.configs)


def pass_time(hours: float = 1) -> None:
    span = timedelta(hours=hours)
    for message in Message.objects.all():
        Message.objects.filter(pk=message.pk).update(received_at=message.received_at - span)
    for row in Delivery.objects.filter(state="delayed"):
        Delivery.objects.filter(pk=row.pk).update(due_at=row.due_at - span)


def where() -> list[tuple[str, str]]:
    """State and reason of all deliveries but the numbers written back."""
    sent = Delivery.objects.exclude(part="write_back").order_by("id")
    return list(sent.values_list("state", "reason"))


def test_time_delay_ends_when_its_time_has_come(place: Office) -> None:
    waits(place.rule(), AN_HOUR)
    place.first()

    assert (look(place), where()) == (0, [("delayed", "time")])
    pass_time()
    assert sweep() == 0
    place.deliver()

    assert where() == [("delivered", "")]
    assert place.desk.tickets == {"1": {"title": "Down"}}


def test_delayed_delivery_says_until_when(place: Office) -> None:
    waits(place.rule(), AN_HOUR)

    delivery = place.first()

    assert delivery.due_at == delivery.message.received_at + timedelta(hours=1)
    assert delivery.lane.due_at is None


def test_message_that_sets_the_variable_wakes_it(place: Office) -> None:
    approving(place)
    waits(place.rule(), APPROVED)
    place.first()
    look(place)

    place.first(operation="update", priority="yes")

    assert where()[0] == ("delayed", "variable")
    look(place)
    assert [state for state, _ in where()] == ["queued", "queued"]


def test_variable_of_another_conversation_wakes_nothing(place: Office) -> None:
    approving(place)
    waits(place.rule(), APPROVED)
    place.first(ticket="a")
    look(place)

    place.first(ticket="b", priority="yes")

    assert where() == [("delayed", "variable"), ("queued", "")]
    assert look(place) == 0


def test_confirmed_create_wakes_what_waits_for_the_id(place: Office) -> None:
    place.rule(operations=["create"])
    follower = place.rule({"source": "priority", "target": "priority"}, operations=["update"])
    waits(follower, KNOWN)
    place.first(priority="low")
    look(place)
    assert where() == [("queued", ""), ("delayed", "target")]

    place.deliver()
    look(place)
    place.deliver()

    assert where() == [("delivered", "")] * 2
    assert place.desk.tickets == {"1": {"title": "Down", "priority": "low"}}


def test_delays_combine(place: Office) -> None:
    approving(place)
    waits(place.rule(), APPROVED, AN_HOUR)
    place.first(priority="no")
    pass_time()
    look(place)

    assert where() == [("delayed", "variable")]
    place.first(operation="update", priority="yes")
    look(place)
    assert where()[0] == ("queued", "")


def test_later_message_waits_behind_a_delayed_one(place: Office) -> None:
    waits(place.rule(), AN_HOUR)
    place.rule({"source": "priority", "target": "priority"}, operations=["create", "update"])
    place.first()

    assert where() == [("delayed", "time"), ("delayed", "order")]
    pass_time()
    look(place)
    for _ in range(2):
        place.deliver()

    assert where() == [("delivered", ""), ("skipped", "")]
    assert [action.value for action in place.desk.requests] == ["create"]


def test_parts_keep_their_order(place: Office) -> None:
    waits(place.rule(operations=EVERYTHING), AN_HOUR)
    place.first(comments=["one"])
    place.first(operation="update", title="later", comments=["two"])
    pass_time()
    look(place)

    for _ in range(4):
        place.deliver()

    assert where() == [("delivered", "")] * 4
    assert [action.value for action in place.desk.requests] == ["create", "comment", "update", "comment"]


def test_newest_version_counts_when_it_wakes(place: Office) -> None:
    rule = waits(place.rule({"category": "variable", "source": "title", "target": "t"}, TITLE), AN_HOUR)
    place.first()
    draft = versions.draft_of(rule)
    Mapping.objects.filter(version=draft, category="outbound").update(
        kind="template", template="[{{ variables.t }}]"
    )
    versions.publish(rule, None, "newer")
    pass_time()

    look(place)
    place.deliver()

    assert place.desk.tickets == {"1": {"title": "[Down]"}}


def test_version_without_the_delay_lets_it_go(place: Office) -> None:
    rule = waits(place.rule(), APPROVED)
    place.first()
    waits(rule, by="no delay")

    look(place)

    assert where() == [("queued", "")]


@pytest.mark.parametrize("reason", ["rule_off", "rule_changed"])
def test_rule_that_is_gone_cancels_what_waits(place: Office, reason: str) -> None:
    rule = waits(place.rule(), AN_HOUR)
    place.first()
    if reason == "rule_off":
        RoutingRule.objects.filter(pk=rule.pk).update(enabled=False)
    else:
        versions.draft_of(rule)
        rule.versions.filter(published_at=None).update(operations=["comment"])
        versions.publish(rule, None, "less")
    pass_time()

    look(place)

    assert where() == [("cancelled", reason)]


def test_rule_with_a_new_target_goes_there(place: Office) -> None:
    rule = waits(place.rule(), AN_HOUR)
    place.first()
    versions.draft_of(rule)
    new = make_endpoint("desk", place.environment)
    rule.versions.filter(published_at=None).update(
        target_endpoint=new, target_entity=new.entity_types.first()
    )
    versions.publish(rule, None, "elsewhere")
    pass_time()

    look(place)

    assert where() == [("cancelled", "rule_changed"), ("queued", "")]
    assert Delivery.objects.latest("id").endpoint == new


def test_conversation_variables_are_set_when_it_goes(place: Office) -> None:
    kept = {"category": "conversation", "source": "title", "target": "last"}
    waits(place.rule(TITLE, kept), AN_HOUR)
    place.first()
    assert Conversation.objects.get().variables == {}

    pass_time()
    look(place)

    assert Conversation.objects.get().variables == {"last": "Down"}


def test_failing_variable_holds_it_and_retry_decides_anew(place: Office) -> None:
    broken = {
        "category": "variable",
        "kind": "template",
        "template": "{{ title | date: 1, 2, 3 }}",
        "target": "t",
    }
    rule = waits(place.rule(TITLE), AN_HOUR)
    place.first()
    draft = versions.draft_of(rule)
    row = Mapping.objects.create(version=draft, **broken)
    versions.publish(rule, None, "broken")
    pass_time()
    look(place)
    [held] = Delivery.objects.all()
    assert (held.state, held.hold_reason) == ("held", "mapping")

    draft = versions.draft_of(rule)
    Mapping.objects.filter(version=draft, target=row.target).delete()
    versions.publish(rule, None, "repaired")
    deliveries.retry([held])
    look(place)

    assert where() == [("queued", "")]


@pytest.mark.parametrize("verb", [deliveries.skip, deliveries.cancel])
def test_person_may_end_the_wait_of_all_behind(place: Office, verb: Any) -> None:
    waits(place.rule(), APPROVED)
    place.rule(operations=EVERYTHING)
    place.first()
    look(place)
    first, second = Delivery.objects.order_by("id")
    assert second.reason == "order"

    verb([first])
    look(place)

    second.refresh_from_db()
    assert second.state == "queued"


def test_killed_decision_leaves_all_as_it_was(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    waits(place.rule(), AN_HOUR)
    place.first()
    pass_time()
    with monkeypatch.context() as patch:
        patch.setattr(delays.queue, "recompute", die)
        with pytest.raises(Killed):
            look(place)

    assert where() == [("delayed", "time")]
    look(place)
    assert where() == [("queued", "")]


def test_two_workers_let_it_go_once(place: Office) -> None:
    waits(place.rule({"category": "conversation", "source": "title", "target": "n"}, TITLE), AN_HOUR)
    place.first()
    pass_time()

    at_once(lambda: look(place))

    assert where() == [("queued", "")]


def test_wake_up_during_a_decision_is_not_lost(place: Office) -> None:
    waits(place.rule(), APPROVED)
    delivery = place.first()
    with other_worker() as worker:
        worker.begin()
        worker.do(lambda: Conversation.objects.select_for_update().get())
        assert look(place) == 0  # another worker has the conversation
        worker.do(lambda: deliveries.wake([delivery.conversation_id]))
        worker.commit()

    assert look(place) == 1
    delivery.refresh_from_db()
    assert delivery.due_at > delivery.message.received_at + timedelta(minutes=5)


def test_conversation_that_fails_lets_others_go(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    waits(place.rule(), AN_HOUR)
    poisoned = place.first(ticket="a")
    place.first(ticket="b")
    pass_time()
    decide = delays.decide

    def fail(rules: Any, facts: Any) -> Any:
        if facts.message.external_id == "a":
            raise ZeroDivisionError
        return decide(rules, facts)

    monkeypatch.setattr(delays, "decide", fail)
    look(place)

    assert where() == [("delayed", "time"), ("queued", "")]
    assert Delivery.objects.filter(pk=poisoned.pk, due_at__gt=Now()).exists()


def test_page_says_what_it_waits_for(place: Office) -> None:
    waits(place.rule(), AN_HOUR)
    delivery = place.first()

    said = explanations.of_delivery(delivery, None, delivery.created_at)

    assert said is not None
    assert f"{timezone.localtime(delivery.due_at):%H:%M}" in said.happened
    assert delivery.rule.name in said.happened


def test_file_that_came_before_goes_when_the_wait_is_over(place: Office) -> None:
    approving(place)
    wanted = [{"path": "title", "operator": "contains", "value": "urgent"}]
    waits(place.rule(conditions=wanted, attachments={"from_conversation": True}), APPROVED)
    place.say()
    entity = place.source.entity_types.get().name
    file = IncomingFile(entity, "a", "shot.png", "image/png", iter([b"png"]))
    take_in(place.source, Arrival(b"", "application/json"), file)
    place.route()
    place.first(operation="update", title="urgent")

    look(place)
    place.first(operation="update", priority="yes")
    look(place)

    assert {state for state, _ in where()} == {"queued"}
    assert Delivery.objects.filter(part__startswith="file:").count() == 1


def test_decision_waits_for_whoever_has_a_lane_of_the_conversation(place: Office) -> None:
    elsewhere = place.rule(target=make_endpoint("desk", place.environment))
    waits(place.rule(), APPROVED)
    place.first()
    lane = Delivery.objects.get(rule=elsewhere).lane_id
    delayed = Delivery.objects.get(state="delayed").lane_id

    with other_worker() as person, other_worker() as worker:
        person.begin()
        person.do(lambda: queue.lock_lanes([lane]))
        looked = worker.start(lambda: look(place))
        wait_for_waiting()
        person.do(lambda: queue.lock_lanes([lane, delayed]))  # a deadlock if it had the second
        person.commit()
        assert looked.result(10) == 1


def test_part_that_a_person_skipped_stays_so_and_the_rest_goes(place: Office) -> None:
    approving(place)
    waits(place.rule(operations=EVERYTHING), APPROVED)
    place.first(comments=["c1"])
    deliveries.skip([Delivery.objects.get(part="record")])

    place.first(operation="update", priority="yes")
    look(place)

    assert where()[:2] == [("skipped", ""), ("queued", "")]
