"""What messages show of an entity type is kept as names and types, and checks of rules know it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations import observing
from conversations.models import MessageBody, ObservedEntity
from conversations.observing import observe
from routing import versions
from routing.checking import check_draft
from routing.checks import ENOUGH, Observed
from routing.models import RoutingRule
from tests.conversations.desk import Office, office
from tests.factories import make_endpoint
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "Payroll breach"


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def told(place: Office, times: int = 1, **body: Any) -> None:
    for number in range(times):
        place.say(f"{number}", **body)
    place.route()


def seen(place: Office) -> Observed:
    return observe(place.source.entity_types.get())


def sentences(rule: RoutingRule) -> list[tuple[str, str]]:
    return [(str(one.severity), one.sentence) for one in check_draft(rule) if one.field == "source"]


def test_names_and_types_are_seen(place: Office) -> None:
    told(place, title=SECRET, priority=2)

    assert seen(place) == Observed({"title": "text", "priority": "number"}, 1)


def test_values_are_kept_nowhere(place: Office) -> None:
    told(place, title=SECRET)
    seen(place)

    with connection.cursor() as cursor:
        cursor.execute("SELECT o::text FROM conversations_observedentity o")
        assert SECRET not in cursor.fetchone()[0]


@pytest.mark.parametrize("name", ["ada@example.com", "x" * 101, "a\nb", ""])
def test_what_is_no_plain_name_is_left_out(place: Office, name: str) -> None:
    told(place)
    body = MessageBody.objects.get()
    assert body.canonical
    body.canonical = {**body.canonical, "attributes": {name: "1"}}
    body.save()

    assert seen(place).attributes == {}


def test_only_new_messages_are_opened(place: Office) -> None:
    told(place)
    seen(place)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        again = seen(place)
    told(place, priority="high")

    assert not any("messagebody" in query["sql"] for query in queries)
    assert again.messages == 1
    assert seen(place) == Observed({"title": "text", "priority": "text"}, 2)


def test_names_stay_known_when_messages_are_gone(place: Office) -> None:
    told(place)
    seen(place)
    MessageBody.objects.update(raw=None, canonical=None, trace=None)

    assert seen(place).attributes == {"title": "text"}


def test_no_more_is_opened_than_is_quick(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "OPENED", 3)
    told(place, 5)

    assert seen(place).messages == 3


def test_misspelt_source_is_told_by_what_messages_show(place: Office) -> None:
    rule = place.rule({"source": "prioriti", "target": "title"})
    told(place, ENOUGH, priority=1)

    assert sentences(rule) == [
        ("warning", f"{place.source.name} incident has no prioriti. Is priority (number) meant?")
    ]


def test_attribute_that_no_message_has_is_a_warning(place: Office) -> None:
    rule = place.rule({"source": "cost_centre", "target": "title"})
    told(place, ENOUGH)

    [(severity, sentence)] = sentences(rule)

    assert severity == "warning"
    assert sentence.startswith(f"None of the {ENOUGH} messages")


def test_few_messages_prove_nothing(place: Office) -> None:
    rule = place.rule({"source": "cost_centre", "target": "title"})
    told(place, ENOUGH - 1)

    assert [severity for severity, _ in sentences(rule)] == ["hint"]


def test_seen_attribute_is_known_though_nobody_describes_it(place: Office) -> None:
    rule = place.rule({"source": "Priority", "target": "title"})
    told(place, ENOUGH, priority=1)

    assert sentences(rule) == []


def test_other_entities_and_endpoints_do_not_count(place: Office) -> None:
    other = make_endpoint("desk", place.environment)
    told(place, endpoint=other)

    assert seen(place) == Observed()


def test_page_of_the_rule_says_it(place: Office) -> None:
    rule = place.rule({"source": "prioriti", "target": "title"})
    versions.draft_of(rule)
    told(place, ENOUGH, priority=1)

    page = signed_in().get(f"/admin/routing/routingrule/{rule.pk}/change/").content.decode()

    assert "Is priority (number) meant?" in page
    assert ObservedEntity.objects.exists()
