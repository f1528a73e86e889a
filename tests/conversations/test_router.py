"""The router: what becomes of each message, in the order received, whatever one of them does."""

import gc
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from conversations.attachments import IncomingFile, take_in
from conversations.ingest import Arrival
from conversations.models import Attachment, Conversation, Delivery, Message, MessageBody, Participant
from conversations.router import route_again, route_next
from endpoints.models import Inbox
from routing.context import View
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.workers import PAST
from tests.conversations.world import make_table, publish
from tests.factories import make_message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def fates() -> list[tuple[str, str]]:
    return list(Message.objects.order_by("id").values_list("state", "reason"))


def states() -> list[str]:
    return [state for state, _ in fates()]


def die(place: Office) -> None:
    """As if a router had been killed with what it had claimed."""
    Inbox.objects.filter(endpoint=place.source).update(lease_until=PAST)


def crash(place: Office, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routers that are killed `times` times in the middle of the message whose title is "kills"."""

    class Killed(BaseException):
        pass

    adapter = place.configs.get(place.source.pk).adapter.__class__
    original = adapter.read

    def read(self: Any, received: Any) -> Any:
        if received.body.get("title") == "kills":
            raise Killed
        return original(self, received)

    with monkeypatch.context() as patch:
        patch.setattr(adapter, "read", read)
        for _ in range(times):
            try:
                while route_next(place.book, place.configs):
                    pass
            except Killed:
                die(place)


def test_message_becomes_a_delivery_of_the_matching_rule(place: Office) -> None:
    rule = place.rule()

    delivery = place.first()

    assert states() == ["routed"]
    assert (delivery.rule, delivery.endpoint, delivery.state) == (rule, place.target, "queued")
    assert delivery.lane.due_at is not None


def test_same_event_again_is_a_duplicate(place: Office) -> None:
    place.rule()

    place.say(event="e1")
    place.say(event="e1", title="same event, other words")
    place.route()
    place.say(event="e1")
    place.route()

    assert fates() == [("routed", ""), ("duplicate", "same_event"), ("duplicate", "same_event")]
    assert Delivery.objects.count() == 1


def test_duplicate_leaves_its_conversation_alone(place: Office) -> None:
    place.rule()
    conversation = place.first(event="e1").conversation
    Conversation.objects.update(last_activity_at=PAST)

    place.say(event="e1", title="same event, other words")
    place.route()

    conversation.refresh_from_db()
    assert states() == ["routed", "duplicate"]
    assert conversation.last_activity_at == PAST


def test_same_event_of_another_endpoint_is_news(place: Office) -> None:
    place.say(event="e1")
    place.say(event="e1", endpoint=place.target)

    place.route()

    assert states() == ["unmatched", "unmatched"]


def test_message_that_changes_nothing_is_an_echo(place: Office) -> None:
    place.rule()
    place.say()
    place.route()

    place.say(operation="update")
    place.route()

    assert fates() == [("routed", ""), ("echo", "nothing_new")]


def test_order_received_is_the_order_of_the_lane(place: Office) -> None:
    place.rule()
    for title in ("one", "two", "three"):
        place.say(title=title)

    place.route()

    rows = Delivery.objects.order_by("id").values_list("lane_id", "message_id")
    assert [message for _, message in rows] == sorted(message for _, message in rows)
    assert len({lane for lane, _ in rows}) == 1
    assert Conversation.objects.count() == 1


def test_dropping_rule_beats_the_others(place: Office) -> None:
    place.rule()
    publish(place.source, None, action="drop", conditions=[{"path": "title", "operator": "exists"}])

    place.say()
    place.route()

    assert states() == ["dropped"]
    assert not Delivery.objects.exists()


def test_processing_rule_only_remembers(place: Office) -> None:
    publish(
        place.source,
        None,
        [{"category": "conversation", "source": "title", "target": "first_title"}],
        action="process_only",
    )

    place.say(title="Router hot")
    place.route()

    assert states() == ["processed"]
    assert Conversation.objects.get().variables == {"first_title": "Router hot"}
    assert not Delivery.objects.exists()


def test_conversation_variables_reach_later_messages(place: Office) -> None:
    place.rule(
        TITLE,
        {"category": "conversation", "source": "title", "target": "seen"},
        conditions=[{"path": "conversation.seen", "operator": "not_equals", "value": "stop"}],
    )

    for title in ("go", "stop", "never"):
        place.say(title=title)
    place.route()

    assert fates() == [("routed", ""), ("routed", ""), ("unmatched", "conditions_not_met")]


def test_failed_variable_holds_the_message_until_routed_again(place: Office) -> None:
    table = make_table(place.source, {"1": "High"}, name="Priorities")
    row = {"category": "variable", "kind": "translate", "source": "priority", "target": "p", "table": table}
    place.rule(TITLE, row)
    message = place.say(priority="9")
    place.route()
    message.refresh_from_db()
    assert (message.state, message.reason) == ("held", "mapping_failed")
    assert "Priorities" in message.body.problem

    table.rows.update(source="9")
    assert route_again([message]) == 1
    place.route()

    assert states() == ["routed"]
    assert Delivery.objects.count() == 1  # it was still news


def test_comment_of_a_held_message_is_news_when_routed_again(place: Office) -> None:
    table = make_table(place.source, {"1": "High"})
    row = {"category": "variable", "kind": "translate", "source": "priority", "target": "p", "table": table}
    place.rule(TITLE, row, operations=["create", "update", "comment"])
    place.say("b", priority="1", comments=["c0"])
    message = place.say(priority="9", comments=["c1"])
    place.route()

    table.rows.update(source="9")
    route_again([message])
    place.route()

    parts = Delivery.objects.filter(message=message).order_by("id")
    assert list(parts.values_list("part", flat=True)) == ["record", "comment:0"]


def test_unreadable_message_is_faulty_with_a_reason(place: Office) -> None:
    place.rule()
    message = make_message(place.source, b'{"title": "no id"}')
    place.say("b")

    place.route()

    message.refresh_from_db()
    assert fates() == [("faulty", "unreadable"), ("routed", "")]
    assert message.body.problem == "The message has no id. Send one."


@pytest.mark.parametrize(("told", "state"), [("true", "test"), ("TRUE", "test"), ("false", "routed")])
def test_test_message_is_read_and_seen_by_no_rule(place: Office, told: str, state: str) -> None:
    place.rule()
    raw = b'{"id": "a", "operation": "create", "title": "Down"}'
    message = make_message(place.source, raw, body={"parameters": {"test": told}})

    place.route()

    message.refresh_from_db()
    assert (message.state, message.external_id) == (state, "a")
    assert (message.conversation is None) == (state == "test")


def test_test_message_that_cannot_be_read_says_why(place: Office) -> None:
    message = make_message(place.source, b'{"title": "no id"}', body={"parameters": {"test": "true"}})

    place.route()

    message.refresh_from_db()
    assert (message.state, message.body.problem) == ("faulty", "The message has no id. Send one.")


def test_message_that_breaks_its_adapter_is_held_alone(place: Office) -> None:
    place.rule()
    for ticket in ("a", "b"):
        place.say(ticket)
    make_message(place.source, b'{"breaks": "secret"}')
    place.say("c")

    place.route()

    assert fates() == [("routed", ""), ("routed", ""), ("held", "ZeroDivisionError"), ("routed", "")]
    assert Inbox.objects.get(endpoint=place.source).solo_through is None


def test_failure_inside_oneio_logs_no_content(place: Office, caplog: pytest.LogCaptureFixture) -> None:
    make_message(place.source, b'{"breaks": "secret"}')

    place.route()

    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_value_the_database_refuses_is_held_alone(place: Office) -> None:
    place.rule()
    place.say("a")
    place.say("x" * 300)
    place.say("b")

    place.route()

    assert fates() == [("routed", ""), ("held", "DataError"), ("routed", "")]


def test_router_killer_is_held_and_its_neighbours_routed(
    place: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.rule()
    for ticket, title in (("a", "fine"), ("b", "kills"), ("c", "fine")):
        place.say(ticket, title=title)

    crash(place, 4, monkeypatch)  # once in the batch, three times alone
    assert states() == ["routed", "received", "received"]
    crash(place, 1, monkeypatch)

    assert fates() == [("routed", ""), ("held", "crashed"), ("routed", "")]


def test_held_router_killer_starts_anew_when_routed_again(
    place: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = place.say(title="kills")
    crash(place, 5, monkeypatch)
    message.refresh_from_db()
    assert message.state == "held"

    route_again([message])
    place.route()

    assert states() == ["unmatched"]


def test_router_overtaken_by_another_writes_nothing(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    place.rule()
    place.say()
    adapter = place.configs.get(place.source.pk).adapter.__class__
    original = adapter.read

    def stand_still(self: Any, received: Any) -> Any:
        Inbox.objects.filter(endpoint=place.source).update(token=99)
        return original(self, received)

    monkeypatch.setattr(adapter, "read", stand_still)
    assert route_next(place.book, place.configs)

    assert states() == ["received"]
    assert not Delivery.objects.exists()


def test_rule_that_cannot_be_compiled_stops_no_other(place: Office) -> None:
    place.rule({"kind": "template", "template": "{% if %}", "target": "title"})
    works = place.rule()

    delivery = place.first()

    assert delivery.rule == works
    assert Delivery.objects.count() == 1


def test_rule_changed_meanwhile_counts_at_once(place: Office) -> None:
    rule = place.rule()
    place.first(ticket="a")
    rule.enabled = False
    rule.save()

    place.say("b")
    place.route()

    assert states() == ["routed", "unmatched"]


def test_posted_file_is_kept_with_its_conversation(place: Office) -> None:
    place.rule()
    place.first(ticket="a")
    file = IncomingFile("incident", "a", "shot.png", "image/png", iter([b"png"]))

    attachment = take_in(place.source, Arrival(b"", "application/json"), file)
    place.route()

    attachment = Attachment.objects.get(pk=attachment.pk)
    assert fates()[-1] == ("processed", "file_kept")
    assert attachment.conversation == Conversation.objects.get()


def test_new_comment_alone_is_news_once(place: Office) -> None:
    place.rule(operations=["create", "update", "comment"])
    place.first(ticket="a")

    place.say("a", operation="comment", comments=["c1"])
    place.say("a", operation="comment", comments=["c1"])
    place.route()

    assert states() == ["routed", "routed", "echo"]
    assert list(Delivery.objects.order_by("id").values_list("part", flat=True)) == ["record", "comment:0"]


def test_message_to_be_woken_later_is_left(place: Office) -> None:
    message = place.say()
    Message.objects.filter(pk=message.pk).update(wake_at=Now() + timedelta(minutes=1))

    assert not route_next(place.book, place.configs)

    assert states() == ["received"]


def test_messages_are_decided_in_batches_of_one_endpoint(place: Office) -> None:
    place.say("a")
    place.say("b", endpoint=place.target)

    assert route_next(place.book, place.configs)

    assert sorted(states()) == ["received", "unmatched"]


def test_only_failed_messages_are_routed_again(place: Office) -> None:
    routed = place.say()
    place.route()

    assert route_again([routed]) == 0

    assert states() == ["unmatched"]


def test_known_ticket_keeps_its_participant(place: Office) -> None:
    for title in ("one", "two"):
        place.say("a", title=title)
        place.route()

    participant = Participant.objects.get()
    assert (participant.external_id, participant.number) == ("a", "D-a")
    assert json.dumps(participant.shadow["known"]) == '{"title": "two"}'


def test_failure_of_an_overtaken_router_is_left_to_the_other(
    place: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.say()
    adapter = place.configs.get(place.source.pk).adapter.__class__

    def break_late(self: Any, received: Any) -> Any:
        Inbox.objects.filter(endpoint=place.source).update(token=99)
        raise ZeroDivisionError

    monkeypatch.setattr(adapter, "read", break_late)

    assert route_next(place.book, place.configs)
    assert states() == ["received"]


def test_routed_messages_leave_nothing_for_the_collector(place: Office) -> None:
    place.rule(conditions=[{"path": "title", "operator": "exists"}])
    place.first()
    place.say("b")
    gc.collect()
    gc.disable()
    try:
        before = {id(one) for one in alive()}  # such as what another test's failure holds
        place.route()

        left = [one for one in alive() if id(one) not in before]
    finally:
        gc.enable()

    assert left == []


def alive() -> list[Any]:
    """What the collector knows of messages and what is made of them."""
    return [one for one in gc.get_objects() if type(one) in {Message, MessageBody, View}]
