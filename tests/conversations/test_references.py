"""Messages that name another system's ticket join its conversation; whatever is unclear begins a new one."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.models import Conversation, Participant
from conversations.references import conversations_named
from endpoints.configs import EndpointConfigs
from endpoints.models import Endpoint, Reference
from tests.conversations.desk import LOST, Office, office
from tests.factories import make_endpoint, make_participant

pytestmark = pytest.mark.django_db(transaction=True)
VENDOR_TICKET = "native.vendor_ticket"


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def refer(endpoint: Endpoint, to: Endpoint, path: str = VENDOR_TICKET) -> Reference:
    return Reference.objects.create(
        endpoint=endpoint,
        environment=endpoint.environment,
        organization_id=endpoint.organization_id,
        path=path,
        referenced_endpoint=to,
        referenced_entity=to.entity_types.first(),
    )


def conversations() -> int:
    return Conversation.objects.count()


@pytest.mark.parametrize("name", ["a", "D-a", " D-a "])
def test_message_joins_the_conversation_of_the_ticket_it_names(place: Office, name: str) -> None:
    refer(place.target, place.source)
    place.say("a")
    place.route()

    place.say("x", endpoint=place.target, vendor_ticket=name)
    place.route()

    assert conversations() == 1
    assert set(Participant.objects.values_list("external_id", flat=True)) == {"a", "x"}


def test_joined_ticket_is_known_from_then_on(place: Office) -> None:
    refer(place.target, place.source)
    place.say("a")
    place.say("x", endpoint=place.target, vendor_ticket="a")
    place.route()

    place.say("x", endpoint=place.target, title="later", operation="update")
    place.route()

    assert (conversations(), Participant.objects.count()) == (1, 2)


def test_several_references_are_tried_in_turn(place: Office) -> None:
    third = make_endpoint("desk", place.environment)
    refer(place.target, third, "native.other_ticket")
    refer(place.target, place.source)
    place.say("a")
    place.route()

    place.say("x", endpoint=place.target, other_ticket="nobody's", vendor_ticket="a")
    place.route()

    assert conversations() == 1


def test_own_id_counts_before_any_reference(place: Office) -> None:
    refer(place.target, place.source)
    place.say("x", endpoint=place.target)
    place.say("a")
    place.route()

    place.say("x", endpoint=place.target, vendor_ticket="a", title="later")
    place.route()

    assert conversations() == 2


@pytest.mark.parametrize("name", ["", None, "unknown", ["unknown"], {"a": 1}, "z" * 300])
def test_name_that_fits_nothing_begins_a_conversation(place: Office, name: object) -> None:
    refer(place.target, place.source)
    place.say("a")
    place.route()

    place.say("x", endpoint=place.target, vendor_ticket=name)
    place.route()

    assert conversations() == 2


def test_ticket_of_another_entity_type_is_not_meant(place: Office) -> None:
    refer(place.target, place.source)
    other = make_endpoint("desk", place.environment)
    make_participant(endpoint=other, external_id="a")

    place.say("x", endpoint=place.target, vendor_ticket="a")
    place.route()

    assert conversations() == 2


def test_number_given_twice_names_nobody(place: Office) -> None:
    refer(place.target, place.source)
    for ticket in ("a", "b"):
        make_participant(endpoint=place.source, external_id=ticket, number="SAME")

    place.say("x", endpoint=place.target, vendor_ticket="SAME")
    place.route()

    assert conversations() == 3


def test_second_ticket_for_the_same_one_stays_apart(place: Office) -> None:
    refer(place.target, place.source)
    for ticket in ("x", "y"):
        place.say("a", operation="update")
        place.say(ticket, endpoint=place.target, vendor_ticket="a")
        place.route()

    assert conversations() == 2


def test_ticket_that_was_to_be_created_is_taken_instead(place: Office) -> None:
    place.rule()
    refer(place.target, place.source)
    place.first(ticket="a")

    place.say("x", endpoint=place.target, vendor_ticket="a", title="Made by hand")
    place.route()
    place.deliver()

    assert conversations() == 1
    assert [action.value for action in place.desk.requests] == ["update"]


def test_open_create_is_waited_for_first(place: Office) -> None:
    place.rule()
    refer(place.target, place.source)
    place.first(ticket="a")
    place.desk.answers.append(LOST)
    place.deliver()

    message = place.say("x", endpoint=place.target, vendor_ticket="a")
    place.route()

    message.refresh_from_db()
    assert (message.state, message.conversation) == ("received", None)


def test_endpoint_without_references_asks_nothing(place: Office) -> None:
    endpoint = EndpointConfigs().get(place.source.pk)

    with CaptureQueriesContext(connection) as asked:
        assert conversations_named(endpoint.references, []) == {}

    assert len(asked) == 0
