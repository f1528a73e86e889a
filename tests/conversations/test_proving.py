"""A draft on real messages: what would match, what would be sent, and that nothing is touched."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from conversations import proving
from conversations.models import Message, PayloadView
from conversations.proving import Change, RuleTest
from routing import proof, versions
from routing.models import Condition, Counter, DraftTest, Mapping, RoutingRule, RuleVersion
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.inbound import basic
from tests.factories import make_endpoint
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
LABEL = {"kind": "constant", "constant": "oneio", "target": "labels"}
READS_NOTES = {PayloadView, DraftTest}


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def told(place: Office, *titles: str, **body: Any) -> None:
    """One ticket for each title."""
    for number, title in enumerate(titles):
        place.say(**{"ticket": f"{number}-{title}", "title": title} | body)
    place.route()


def draft(rule: RoutingRule, *mappings: dict[str, Any], when: dict[str, Any] | None = None) -> RuleVersion:
    made = versions.draft_of(rule)
    for row in mappings:
        Mapping.objects.create(version=made, position=9, **row)
    if when:
        Condition.objects.create(version=made, **when)
    return made


def tried(rule: RoutingRule, made: RuleVersion, **options: Any) -> RuleTest:
    return proving.run(rule, made, Message.objects.all(), **({"last": 100} | options))


def counts() -> dict[str, int]:
    """How many rows every table has but those that say who read and tested."""
    models = [model for model in apps.get_models() if model not in READS_NOTES]
    return {model._meta.label: model._default_manager.count() for model in models}


def test_added_field_is_a_difference_on_each_message(place: Office) -> None:
    rule = place.rule()
    told(place, "Down", "Up")

    test = tried(rule, draft(rule, LABEL))

    assert (test.tested, test.matches, test.matched) == (2, 2, 2)
    assert test.counts == {Change.DIFFERS: 2}
    [change] = test.compared[0].changes
    assert (change.name, change.before, change.after.value) == ("labels", None, "oneio")


def test_conversation_variable_is_a_difference_too(place: Office) -> None:
    rule = place.rule()
    told(place, "Down")
    kept = {"category": "conversation", "kind": "copy", "source": "title", "target": "last_title"}

    [compared] = tried(rule, draft(rule, kept)).compared

    [change] = compared.changes
    assert (change.name, change.before, change.after.value) == ("conversation.last_title", None, "Down")
    assert compared.change is Change.DIFFERS


def test_same_draft_differs_nowhere(place: Office) -> None:
    rule = place.rule(TITLE, LABEL)
    told(place, "Down")

    test = tried(rule, draft(rule))

    assert test.counts == {Change.SAME: 1}
    assert {name: field.value for name, field in test.compared[0].after.fields.items()} == {
        "title": "Down",
        "labels": "oneio",
    }


def test_narrower_condition_names_what_no_longer_matches(place: Office) -> None:
    rule = place.rule()
    told(place, "Down", "Up")

    test = tried(rule, draft(rule, when={"path": "title", "operator": "equals", "value": "Up"}))

    assert test.counts == {Change.SAME: 1, Change.NO_LONGER: 1}
    gone = next(one for one in test.compared if one.change is Change.NO_LONGER)
    assert gone.after.account is not None
    assert gone.after.account.verdict.actual == "Down"


def test_mapping_that_newly_fails_comes_before_all_else(place: Office) -> None:
    rule = place.rule()
    told(place, "Down")

    test = tried(rule, draft(rule, {"source": "nobody", "target": "who", "missing": "hold"}))

    assert test.failing == 1
    assert test.compared[0].change is Change.FAILS
    assert "who must have a value" in test.compared[0].after.problem


def test_rule_that_never_counted_matches_newly(place: Office) -> None:
    told(place, "Down")
    entities = place.source.entity_types.get(), place.target.entity_types.get()
    rule = place.rule(rule={"enabled": False})
    RoutingRule.objects.filter(pk=rule.pk).update(current_version=None)
    rule.refresh_from_db()

    test = tried(rule, versions.save_draft(rule, *entities))

    assert test.counts == {Change.MATCHES_NOW: 1}


def test_dropping_rule_in_force_is_taken_into_account(place: Office) -> None:
    rule = place.rule()
    told(place, "Down")
    place.rule(target=None, action="drop", rule={"name": "Drop all"})

    test = tried(rule, draft(rule))

    assert [one.after.finding for one in test.compared] == ["overruled"]


def test_update_is_tried_as_an_update(place: Office) -> None:
    rule = place.rule()
    told(place, "Down")
    place.say(ticket="0-Down", title="Worse", operation="update")
    place.route()
    only_on_create = LABEL | {"only_on": "create"}

    test = tried(rule, draft(rule, only_on_create))

    assert [list(one.after.fields) for one in test.compared] == [["title", "labels"], ["title", "labels"]]
    assert [one.after.fields["labels"].value for one in test.compared] == [None, "oneio"]


def test_nothing_is_written_and_no_counter_moves(place: Office) -> None:
    counter = Counter.objects.create(environment=place.environment, name="calls")
    rule = place.rule()
    told(place, "Down", "Up")
    made = draft(rule, {"category": "variable", "kind": "counter", "counter": counter, "target": "call"})
    person = make_user(is_superuser=True)
    before = counts()

    proving.carry_out(person, rule, made, Message.objects.all(), 100)

    assert counts() == before
    assert Counter.objects.get().value == 0


def test_time_limit_says_how_far_it_came(place: Office) -> None:
    rule = place.rule()
    told(place, *(f"Ticket {number}" for number in range(proving.AT_ONCE + 1)))

    test = tried(rule, draft(rule), seconds=0)
    rest = proving.run(rule, versions.draft_of(rule), Message.objects.filter(pk__lt=test.left), 100)

    assert (test.tested, test.of, rest.tested, rest.left) == (proving.AT_ONCE, proving.AT_ONCE + 1, 1, None)


def test_messages_of_other_endpoints_are_left_out(place: Office) -> None:
    rule = place.rule()
    other = make_endpoint("desk", place.environment)
    place.say(endpoint=other)
    told(place, "Down")

    assert tried(rule, draft(rule)).of == 1


def test_chosen_tickets_are_found_by_the_number_of_any_system(place: Office) -> None:
    rule = place.rule()
    told(place, "Down", "Up")
    place.deliver()

    found = proving.chosen(make_user(is_superuser=True), rule, ["t-1"], None)

    assert tried(rule, draft(rule)).of == 2
    assert proving.run(rule, versions.draft_of(rule), found, 100).of == 1


def test_page_says_what_would_change(place: Office) -> None:
    rule = place.rule()
    told(place, "Down", "Up")
    draft(rule, LABEL, when={"path": "title", "operator": "equals", "value": "Up"})

    html = signed_in().post(reverse("routing_rule_test", args=[rule.pk]), {"last": "10"}).content.decode()

    assert "Of 2 messages: 1 matches" in html
    assert "No longer matches" in html
    assert '<strong class="oi-strong">oneio</strong>' in html


def test_page_tells_what_is_kept_from_what_is_sent(place: Office) -> None:
    rule = place.rule()
    told(place, "Down")
    kept = {"category": "conversation", "kind": "copy", "source": "title", "target": "last_title"}
    draft(rule, LABEL, kept)

    html = signed_in().post(reverse("routing_rule_test", args=[rule.pk]), {"last": "10"}).content.decode()

    sent, _, variables = html.partition("Kept as conversation variables")
    assert "oneio</strong>" in sent
    assert '<code class="oi-code">last_title</code>' in variables
    assert "conversation.last_title" not in html


def test_rule_may_ask_for_a_test_before_it_is_published(place: Office) -> None:
    rule = place.rule(rule={"test_before_publish": True})
    made = draft(rule, LABEL)
    with pytest.raises(versions.TransitionRefused, match="not tested as it is now"):
        versions.publish(rule, None, "Labels")

    signed_in().post(reverse("routing_rule_test", args=[rule.pk]), {"last": "10"})

    assert versions.publish(rule, None, "Labels") == made


def test_change_after_the_test_asks_for_another(place: Office) -> None:
    rule = place.rule(rule={"test_before_publish": True})
    made = draft(rule, LABEL)
    signed_in().post(reverse("routing_rule_test", args=[rule.pk]), {"last": "10"})
    assert proof.test_of(made) is not None

    Mapping.objects.filter(version=made, target="labels").update(constant="other")

    assert proof.test_of(made) is None


def test_operator_may_not_test(place: Office) -> None:
    rule = place.rule()

    answer = signed_in("operator", place.environment).get(reverse("routing_rule_test", args=[rule.pk]))

    assert answer.status_code == 403


def test_api_tells_the_same(place: Office) -> None:
    rule = place.rule()
    told(place, "Down")
    draft(rule, LABEL)
    person = make_user("integrator", place.environment)
    organization = place.environment.organization.slug

    answer = Client().post(
        f"/manage/v1/{organization}/production/rules/{rule.slug}/test?last=10",
        HTTP_AUTHORIZATION=basic(person.username, "correct horse"),
    )

    told_by_api = json.loads(answer.content)
    assert (told_by_api["tested"], told_by_api["matches"], told_by_api["fails"]) == (1, 1, 0)
    [difference] = told_by_api["messages"][0]["differences"]
    assert difference == {"field": "labels", "before": None, "after": {"value": "oneio"}}


def test_api_refuses_those_who_may_not_change_rules(place: Office) -> None:
    rule = place.rule()
    person = make_user("operator", place.environment)
    organization = place.environment.organization.slug

    answer = Client().post(
        f"/manage/v1/{organization}/production/rules/{rule.slug}/test",
        HTTP_AUTHORIZATION=basic(person.username, "correct horse"),
    )

    assert answer.status_code == 403
