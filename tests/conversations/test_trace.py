"""What is kept of each decision: enough to make it again, encrypted, and gone with the body."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from conversations.explaining import Recalled
from conversations.models import Message
from endpoints.canonical import Operation
from routing.explanation import Finding
from routing.models import Counter, RoutingRule
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.world import publish
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def urgent(**fields: Any) -> dict[str, Any]:
    return {"conditions": [{"path": "priority", "operator": "equals", "value": "1"}], **fields}


def routed(place: Office, **body: Any) -> Message:
    place.say(**body)
    place.route()
    return Message.objects.select_related("body").latest("id")


def findings(message: Message) -> dict[str, Finding]:
    explained = Recalled(message).explained()
    return {account.rule.name: account.finding for account in explained.accounts}


def test_each_rule_has_its_account(place: Office) -> None:
    place.rule(**urgent(rule={"name": "Urgent"}))
    place.rule(rule={"name": "All"}, target=make_endpoint("desk", place.environment))
    place.rule(rule={"name": "Comments"}, operations=["comment"])

    message = routed(place, priority="3")

    assert findings(message) == {"Urgent": "condition", "All": "carries", "Comments": "operation"}


def test_failing_condition_tells_the_value_of_then(place: Office) -> None:
    place.rule(**urgent())
    message = routed(place, priority="3")
    routed(place, priority="1", operation="update")

    [account] = Recalled(message).explained().accounts

    assert account.verdict.place == (0,)
    assert account.verdict.actual == "3"


def test_rule_is_explained_by_the_version_that_was_in_force(place: Office) -> None:
    rule = place.rule(**urgent(rule={"name": "Rule"}))
    message = routed(place, priority="3")
    RoutingRule.objects.filter(pk=rule.pk).update(enabled=False)
    publish(place.source, place.target, [TITLE], rule={"name": "Later"})

    assert findings(message) == {"Rule": "condition"}


def test_conversation_is_as_it_was_before_the_message(place: Office) -> None:
    counted = {"category": "conversation", "kind": "copy", "source": "title", "target": "last"}
    place.rule(TITLE, counted)
    routed(place, title="One")

    message = routed(place, title="Two", operation="update")

    facts = Recalled(message).facts
    assert (facts.variables, facts.changed) == ({"last": "One"}, {"title": "One"})
    assert place.target.pk in facts.tickets
    assert facts.message.operation is Operation.UPDATE


def test_other_tickets_are_kept_where_a_rule_asks(place: Office) -> None:
    place.rule(rule={"name": "First"})
    routed(place)
    place.deliver()
    asks = {"path": f"participants.{place.target.slug}.number", "operator": "equals", "value": "T-1"}
    publish(place.source, place.target, [TITLE], [asks], rule={"name": "Asks"})

    message = routed(place, title="Up", operation="update")

    assert findings(message)["Asks"] == "carries"
    assert Recalled(message).facts.participants[place.target.slug]["number"] == "T-1"


def test_echo_and_how_its_conversation_was_found_are_kept(place: Office) -> None:
    place.rule()
    first = routed(place)

    second = routed(place, operation="update")

    assert (first.body.trace["found"], second.body.trace["found"]) == ("new", "known")
    assert second.body.trace["echo"] is True


def test_trace_is_unreadable_in_the_database(place: Office) -> None:
    place.rule()
    message = routed(place, title="Payroll breach")
    message = routed(place, title="Other", operation="update")

    with connection.cursor() as cursor:
        cursor.execute("SELECT trace FROM conversations_messagebody WHERE id = %s", [message.body_id])
        stored = bytes(cursor.fetchone()[0])

    assert message.body.trace["changed"] == {"title": "Payroll breach"}
    assert b"Payroll" not in stored


def test_explaining_takes_no_number_of_a_counter(place: Office) -> None:
    counter = Counter.objects.create(environment=place.environment, name="calls")
    place.rule(TITLE, {"category": "variable", "kind": "counter", "counter": counter, "target": "call"})
    message = routed(place)

    [account] = Recalled(message).explained().accounts

    assert account.route is not None
    assert account.route.variables == {"call": 1}
    assert Counter.objects.get().value == 1
