"""Why did this ticket (not) sync? The page tells the story, and values only to those who may read them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conversations.models import Message, PayloadView
from oneio import access
from tests.conversations.desk import TITLE, Office, office
from tests.factories import make_environment
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
URGENT = {"path": "priority", "operator": "equals", "value": "1 - Critical"}


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def told(place: Office, **body: Any) -> Message:
    place.say(**body)
    place.route()
    return Message.objects.latest("id")


def story(message: Message, client: Client | None = None) -> str:
    answer = (client or signed_in()).get(reverse("conversations_message_why", args=[message.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def viewer(place: Office) -> Client:
    client = Client()
    client.force_login(make_user("viewer", place.environment))
    return client


def test_condition_that_failed_stands_with_its_value(place: Office) -> None:
    place.rule(conditions=[URGENT])

    html = story(told(place, priority="3 - Moderate"))

    assert "A condition does not hold." in html
    assert "1 - Critical" in html
    assert '<strong class="oi-strong">3 - Moderate</strong>' in html


def test_values_are_hidden_from_those_who_may_not_read_them(place: Office) -> None:
    place.rule(conditions=[URGENT])
    message = told(place, priority="3 - Moderate")

    html = story(message, viewer(place))

    assert "3 - Moderate" not in html
    assert "was •••" in html
    assert not PayloadView.objects.exists()


def test_who_reads_the_story_is_noted(place: Office) -> None:
    place.rule()
    message = told(place)

    story(message)

    assert PayloadView.objects.filter(subject="message", key=str(message.pk)).count() == 1


def test_rule_that_carries_says_where_and_what_each_mapping_gives(place: Office) -> None:
    place.rule(TITLE, {"kind": "constant", "constant": "from oneio", "target": "labels"})

    html = story(told(place, title="Core switch down"))

    assert f"It creates the ticket at {place.target.name}." in html
    assert "from oneio" in html


def test_number_written_back_is_no_mapping_of_the_rule(place: Office) -> None:
    place.rule(TITLE, {"kind": "template", "template": "{{ comment.text }} (from us)", "target": "comment"})
    message = told(place)
    place.deliver()

    html = story(message)

    assert "the number of the new ticket" in html
    assert "(from us)" not in html


def test_rule_for_another_operation_says_so(place: Office) -> None:
    place.rule(operations=["comment"])

    html = story(told(place))

    assert "it takes comment only, and this was a create" in html


def test_rules_that_were_not_asked_are_named(place: Office) -> None:
    place.rule(rule={"name": "Sleeping", "enabled": False})

    html = story(told(place))

    assert "Sleeping" in html
    assert "It was switched off, or not published yet" in html


def test_echo_says_that_nothing_was_new(place: Office) -> None:
    place.rule()
    told(place)

    html = story(told(place, operation="update"))

    assert "It tells nothing that was not known" in html


def test_duplicate_leads_to_the_first_message(place: Office) -> None:
    place.rule()
    first = told(place, event="e1")

    html = story(told(place, event="e1", title="Other"))

    assert reverse("conversations_message_why", args=[first.pk]) in html


def test_failed_variable_is_named_with_its_problem(place: Office) -> None:
    failing = {"category": "variable", "source": "nobody", "target": "who", "missing": "hold"}
    place.rule(TITLE, failing)

    html = story(told(place))

    assert "one of its variables could not be worked out" in html
    assert "who must have a value" in html


def test_search_finds_a_ticket_by_the_number_of_any_system(place: Office) -> None:
    place.rule()
    told(place, title="One")
    place.deliver()
    told(place, title="Two", operation="update")

    html = signed_in().get(reverse("why"), {"q": "T-1"}).content.decode()

    assert html.count("Why? →") == 2


def test_single_message_is_opened_at_once(place: Office) -> None:
    place.rule()
    message = told(place, ticket="inc-77")

    answer = signed_in().get(reverse("why"), {"q": "inc-77"})

    assert answer.headers["Location"] == reverse("conversations_message_why", args=[message.pk])


def test_unknown_ticket_says_what_to_look_at() -> None:
    html = signed_in().get(reverse("why"), {"q": "INC404"}).content.decode()

    assert "No message about INC404 has come in" in html


def test_message_of_another_environment_is_not_found(place: Office) -> None:
    place.rule()
    message = told(place)
    stranger = make_user()
    access.grant(stranger, "administrator", make_environment())
    client = Client()
    client.force_login(stranger)

    assert client.get(reverse("conversations_message_why", args=[message.pk])).status_code == 404


def test_conversation_page_leads_to_each_story(place: Office) -> None:
    place.rule()
    message = told(place)

    address = reverse("admin:conversations_conversation_change", args=[message.conversation_id])
    html = signed_in().get(address, {"tab": "why"}).content.decode()

    assert reverse("conversations_message_why", args=[message.pk]) in html
