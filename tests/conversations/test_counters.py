"""Counters: each number once, and the same numbers for the same message whatever happens to it."""

from collections.abc import Iterator
from typing import Any

import pytest

from conversations import delays, deliveries, router
from conversations.models import Conversation, Delivery, Message
from conversations.router import route_again
from endpoints.models import Inbox
from routing import versions
from routing.models import Counter, DelayCondition, Mapping
from tests.conversations.desk import LOST, TITLE, Office, office
from tests.conversations.workers import PAST, at_once
from tests.conversations.world import make_table, publish
from tests.factories import make_endpoint, make_environment

pytestmark = pytest.mark.django_db(transaction=True)
WORDED = {"kind": "template", "template": "{{ variables.n }}: {{ title }}", "target": "title"}


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


@pytest.fixture
def counter(place: Office) -> Counter:
    return Counter.objects.create(
        environment=place.environment, organization=place.environment.organization, name="tickets", value=41
    )


def counting(counter: Counter, category: str = "variable", **fields: Any) -> dict[str, Any]:
    return {"category": category, "kind": "counter", "counter": counter, "target": "n"} | fields


def value(counter: Counter) -> int:
    counter.refresh_from_db()
    return counter.value


def titles(place: Office) -> list[str]:
    return [ticket["title"] for ticket in place.desk.tickets.values()]


def test_each_message_gets_the_next_number(place: Office, counter: Counter) -> None:
    place.rule(counting(counter), WORDED)
    place.say("a")
    place.say("b")

    place.route()
    place.deliver()

    assert (titles(place), value(counter)) == (["42: Down", "43: Down"], 43)


def test_retry_sends_the_same_number(place: Office, counter: Counter) -> None:
    place.rule(counting(counter), WORDED)
    place.desk.answers.append(LOST)
    delivery = place.first()
    place.deliver()

    Delivery.objects.filter(pk=delivery.pk).update(due_at=delivery.created_at)
    for _ in range(2):
        deliveries.retry([delivery])
        place.deliver()

    assert (titles(place), value(counter)) == (["42: Down"], 42)


def test_message_routed_again_does_not_count_again(place: Office, counter: Counter) -> None:
    table = make_table(place.source, {"Up": "1"}, unmapped="hold")
    broken = {"category": "variable", "kind": "translate", "source": "title", "table": table, "target": "t"}
    rule = place.rule(counting(counter), broken, WORDED)
    message = place.say()
    place.route()
    assert value(counter) == 42
    draft = versions.draft_of(rule)
    Mapping.objects.filter(version=draft, target="t").delete()
    versions.publish(rule, None, "repaired")

    route_again([message])
    place.route()
    place.deliver()

    assert (titles(place), value(counter)) == (["42: Down"], 42)


def test_killed_router_loses_no_number(
    place: Office, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(_: Any) -> None:
        raise Killed

    place.rule(counting(counter), WORDED)
    place.say()
    with monkeypatch.context() as patch:
        patch.setattr(router.counters, "keep", die)
        with pytest.raises(Killed):
            place.route()
    Inbox.objects.filter(endpoint=place.source).update(lease_until=PAST)

    place.route()
    place.deliver()

    assert (titles(place), value(counter)) == (["42: Down"], 42)


def test_two_rules_take_a_number_each(place: Office, counter: Counter) -> None:
    kept = counting(counter, "conversation", target="first")
    place.rule(kept, target=None, action="process_only", priority=5)
    place.rule(counting(counter), WORDED)

    place.first()
    place.deliver()

    assert titles(place) == ["43: Down"]
    assert Conversation.objects.get().variables == {"first": 42}


def test_row_that_does_not_apply_takes_none(place: Office, counter: Counter) -> None:
    place.rule(counting(counter, only_on="update"), TITLE)

    place.first()

    assert value(counter) == 41
    assert Message.objects.get().body.numbers is None


def test_delayed_message_counts_when_it_goes(place: Office, counter: Counter) -> None:
    rule = place.rule(counting(counter), WORDED)
    draft = versions.draft_of(rule)
    DelayCondition.objects.create(version=draft, kind="variable", path="go", operator="exists")
    versions.publish(rule, None, "wait")
    place.first()
    assert value(counter) == 41
    DelayCondition.objects.filter(version=versions.draft_of(rule)).delete()
    versions.publish(rule, None, "go")

    delays.release_due(place.book, place.configs)
    place.deliver()

    assert (titles(place), value(counter)) == (["42: Down"], 42)


def test_routers_at_once_give_no_number_twice(place: Office, counter: Counter) -> None:
    others = [place.source, make_endpoint("desk", place.environment)]
    for source in others:
        publish(source, place.target, [counting(counter), WORDED])
        for ticket in range(5):
            place.say(f"{source.pk}-{ticket}", endpoint=source)

    at_once(place.route)
    place.route()

    numbers = [row.content.snapshot["variables"]["n"] for row in Delivery.objects.all()]
    assert sorted(numbers) == list(range(42, 52))
    assert value(counter) == 51


def test_counter_of_another_environment_is_not_touched(place: Office, counter: Counter) -> None:
    qa = make_environment(place.environment.organization, kind="qa")
    twin = Counter.objects.create(environment=qa, organization=qa.organization, name=counter.name)
    place.rule(counting(counter), WORDED)

    place.first()

    assert (value(counter), value(twin)) == (42, 0)
