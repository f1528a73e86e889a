"""Whose message it is: its conversation, or our own doing whose outcome is open."""

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now

from conversations import deliveries
from conversations.models import Conversation, Delivery, Message, Participant
from tests.conversations.desk import LOST, Office, office

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def states() -> list[str]:
    return list(Message.objects.order_by("id").values_list("state", flat=True))


def wake() -> None:
    """As if the time that messages were postponed for had passed."""
    Message.objects.filter(wake_at__isnull=False).update(wake_at=Now())


def create_under_way(place: Office) -> Delivery:
    """A create that the target has carried out while its answer is still on the way."""
    place.rule()
    delivery = place.first(ticket="a")
    place.under_way = place.perform()
    return delivery


def end(place: Office) -> None:
    deliveries.finish(place.under_way, place.configs)


def test_two_tickets_are_two_conversations(place: Office) -> None:
    place.say("a")
    place.say("b")

    place.route()

    assert Conversation.objects.count() == 2


def test_same_id_at_another_endpoint_is_another_ticket(place: Office) -> None:
    place.say("a")
    place.say("a", endpoint=place.target)

    place.route()

    assert Conversation.objects.count() == 2


def test_unknown_ticket_waits_while_our_create_is_open(place: Office) -> None:
    create_under_way(place)

    place.say("1", endpoint=place.target, operation="create")
    place.route()

    assert states() == ["routed", "received"]
    assert Message.objects.latest("id").wake_at is not None
    assert Conversation.objects.count() == 1


def test_later_messages_of_a_waiting_ticket_wait_too(place: Office) -> None:
    place.rule()
    create_under_way(place)
    place.say("1", endpoint=place.target, operation="create")
    place.route()
    place.say("1", endpoint=place.target, title="later")

    place.route()

    assert states() == ["routed", "received", "received"]


def test_message_behind_a_waiting_one_of_its_batch_waits(place: Office) -> None:
    create_under_way(place)
    for title in ("first", "second"):
        place.say("1", endpoint=place.target, title=title)

    place.route()

    assert Message.objects.filter(state="received", wake_at__isnull=False).count() == 2


def test_ended_create_wakes_what_waited_in_order(place: Office) -> None:
    create_under_way(place)
    for title in ("first", "second"):
        place.say("1", endpoint=place.target, title=title)
    place.route()

    end(place)
    place.route()

    assert Conversation.objects.count() == 1
    assert Participant.objects.get(endpoint=place.target).external_id == "1"
    assert Participant.objects.get(endpoint=place.target).shadow["known"] == {"title": "second"}
    assert "received" not in states()


def test_waiting_message_is_looked_at_again_by_itself(place: Office) -> None:
    place.desk.loses_answers = True
    create_under_way(place)
    place.say("9", endpoint=place.target)
    place.route()
    Delivery.objects.update(state="skipped")  # a person decided, and nothing was finished

    wake()
    place.route()

    assert states() == ["routed", "unmatched"]


def test_create_is_recognised_by_its_mark(place: Office) -> None:
    delivery = create_under_way(place)
    place.desk.answers.append(LOST)

    place.say("1", endpoint=place.target, operation="create", mark=delivery.effect_key)
    end(place)
    place.route()

    assert states() == ["routed", "echo"]
    assert Conversation.objects.count() == 1


def test_lost_answer_is_made_up_for_by_the_webhook(place: Office) -> None:
    place.rule()
    place.desk.loses_answers = True
    delivery = place.first(ticket="a")
    place.deliver()
    assert Participant.objects.get(endpoint=place.target).external_id is None

    place.say("1", endpoint=place.target, operation="create", mark=delivery.effect_key)
    Delivery.objects.update(state="held", hold_reason="unknown")
    place.route()

    assert Participant.objects.get(endpoint=place.target).external_id == "1"
    assert Conversation.objects.count() == 1


def test_foreign_mark_opens_its_own_conversation(place: Office) -> None:
    place.say("a", mark="somebodyelse")

    place.route()

    assert Participant.objects.get().external_id == "a"


def test_message_older_than_our_create_does_not_wait(place: Office) -> None:
    create_under_way(place)
    message = place.say("1", endpoint=place.target)
    Message.objects.filter(pk=message.pk).update(received_at="2020-01-01T00:00Z")

    place.route()

    assert "received" not in states()


def test_known_tickets_news_does_not_wait_for_creates(place: Office) -> None:
    place.say("7", endpoint=place.target)
    place.route()
    create_under_way(place)

    place.say("7", endpoint=place.target, title="news")
    place.route()

    assert "received" not in states()


def test_comment_waits_while_our_comment_is_open(place: Office) -> None:
    place.rule(operations=["create", "update", "comment"])
    place.first(ticket="a")
    place.deliver()
    place.say("a", operation="comment", comments=["c1"])
    place.route()
    place.under_way = place.perform()

    place.say("1", endpoint=place.target, operation="comment", comments=["ours-1"])
    place.route()
    assert states()[-1] == "received"
    end(place)
    place.route()

    assert states()[-1] == "echo"  # it was ours


def test_comment_of_another_conversation_does_not_wait(place: Office) -> None:
    place.rule(operations=["create", "update", "comment"])
    place.first(ticket="a")
    place.deliver()
    place.say("a", operation="comment", comments=["c1"])
    place.say("9", endpoint=place.target, operation="update")
    place.route()
    place.under_way = place.perform()

    place.say("9", endpoint=place.target, operation="comment", comments=["theirs"])
    place.route()

    assert states()[-1] == "unmatched"
