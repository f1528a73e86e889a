"""What conditions learn of a conversation: its other tickets, and whether a message began it."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.models import Conversation, Message
from conversations.participation import Tickets
from endpoints.configs import EndpointConfigs
from tests.conversations.desk import Office, office
from tests.factories import make_conversation, make_participant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def states() -> list[str]:
    return list(Message.objects.order_by("id").values_list("state", flat=True))


def is_true(path: str) -> list[dict[str, str]]:
    return [{"path": path, "operator": "is_true"}]


@pytest.mark.parametrize("batches", [1, 2])
def test_only_the_message_that_began_it_finds_it_new(place: Office, batches: int) -> None:
    place.rule(conditions=is_true("conversation_state.is_new"))

    place.say()
    if batches == 2:
        place.route()
    place.say(operation="update", title="Up")
    place.route()

    assert states() == ["routed", "unmatched"]


def test_condition_may_ask_for_the_ticket_elsewhere(place: Office) -> None:
    place.rule()
    number = {"path": f"participants.{place.target.slug}.number", "operator": "equals", "value": "t-1"}
    place.rule(conditions=[number], action="drop", target=None)
    place.first()

    place.say(operation="update", title="Still down")
    place.route()
    place.deliver()
    place.say(operation="update", title="Up")
    place.route()

    assert states() == ["routed", "routed", "dropped"]


def test_known_attributes_of_a_ticket_are_read(place: Office) -> None:
    one = make_participant(
        make_conversation(place.environment), place.target, number="T-1", shadow={"known": {"status": "Open"}}
    )

    tickets = Tickets({place.target.pk: one}, EndpointConfigs())

    assert tickets[place.target.slug]["number"] == "T-1"
    assert tickets[place.target.slug]["attributes"]["STATUS"] == "Open"
    assert (list(tickets), len(tickets), "other" in tickets) == ([place.target.slug], 1, False)


def test_tickets_that_nobody_asks_for_cost_no_query(place: Office) -> None:
    one = make_participant(Conversation.objects.create(environment=place.environment), place.target)

    with CaptureQueriesContext(connection) as asked:
        Tickets({place.target.pk: one}, EndpointConfigs())

    assert len(asked) == 0
