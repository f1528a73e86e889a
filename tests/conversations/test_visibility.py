"""Internal comments of an endpoint that keeps them: no rule and no path carries them to another system."""

from collections.abc import Iterator
from typing import Any

import pytest

from conversations import deliveries
from conversations.models import Delivery
from endpoints.models import Endpoint, InternalComments
from tests.conversations.desk import LOST, TITLE, Office, office

pytestmark = pytest.mark.django_db(transaction=True)
EVERYTHING = ["create", "update", "comment"]
NOTE = {"text": "The customer is difficult."}
WORDING = {
    "kind": "template",
    "target": "comment",
    "template": "{{ comment.author.name }} {{ comment.at }}: {{ comment.text }}",
}


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def keep(endpoint: Endpoint) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(internal_comments=InternalComments.NEVER_LEAVE)


def comment(place: Office, **told: Any) -> Delivery:
    """The delivery of a comment on a ticket that the target has."""
    place.first()
    place.deliver()
    return place.first(operation="update", comments=[NOTE | told])


def outcome(delivery: Delivery) -> tuple[str, str, list[str]]:
    delivery.refresh_from_db()
    return delivery.state, delivery.reason, list(delivery.attempts.values_list("code", flat=True))


def test_internal_comment_never_leaves_its_endpoint(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    keep(place.source)
    delivery = comment(place)

    place.deliver()

    assert place.desk.comments == []
    assert outcome(delivery) == ("skipped", "internal", ["kept_internal"])


def test_public_comment_leaves_it(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    keep(place.source)
    comment(place, visibility="public")

    place.deliver()

    assert place.desk.comments == [NOTE["text"]]


def test_guard_of_the_target_keeps_nothing_out(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    keep(place.target)
    comment(place)

    place.deliver()

    assert place.desk.comments == [NOTE["text"]]


def test_rule_cannot_word_it_into_leaving(place: Office) -> None:
    place.rule(TITLE, WORDING, operations=EVERYTHING)
    keep(place.source)
    delivery = comment(place)

    place.deliver()

    assert place.desk.comments == []
    assert outcome(delivery)[:2] == ("skipped", "internal")


def test_rule_cannot_carry_it_as_a_variable(place: Office) -> None:
    smuggled = {"category": "variable", "source": "comment.text", "target": "note"}
    kept = {"category": "conversation", "source": "comment.text", "target": "note"}
    title = {"kind": "template", "template": "{{ attributes.title }} {{ variables.note }}", "target": "title"}
    place.rule(smuggled, kept, title)
    keep(place.source)

    delivery = place.first(comments=[NOTE])
    place.deliver()

    assert place.desk.tickets["1"]["title"].strip() == "Down"
    assert delivery.conversation.variables == {}


def test_switching_the_guard_on_stops_what_waits(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    delivery = comment(place)
    keep(place.source)

    place.deliver()

    assert place.desk.comments == []
    assert outcome(delivery)[0] == "skipped"


def test_comment_in_doubt_is_looked_up_then_kept(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    delivery = comment(place)
    place.desk.answers.append(LOST)
    place.deliver()
    keep(place.source)

    for _ in range(2):
        Delivery.objects.filter(pk=delivery.pk).update(due_at=delivery.created_at)
        deliveries.retry([delivery])
        place.deliver()

    assert place.desk.comments == []
    assert outcome(delivery)[:2] == ("skipped", "internal")


def test_later_deliveries_go_on(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    keep(place.source)
    comment(place)
    later = place.first(operation="update", title="Up again")

    for _ in range(2):
        place.deliver()

    assert outcome(later)[0] == "delivered"
    assert place.desk.tickets["1"]["title"] == "Up again"


def test_template_words_author_and_time(place: Office) -> None:
    place.rule(TITLE, WORDING, operations=EVERYTHING)
    author = {"id": "7", "name": "Ada", "email": ""}
    comment(place, author=author, at={"$time": "2026-05-04T08:30:00+00:00"}, visibility="public")

    place.deliver()

    assert place.desk.comments == [f"Ada 2026-05-04T08:30:00+00:00: {NOTE['text']}"]
