"""Golden tickets: a message kept as a test case says when a rule makes something else of it."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from conversations import golden
from conversations.models import GoldenTicket, Message, MessageBody
from routing import versions
from routing.models import Counter, Mapping, RoutingRule
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.inbound import basic
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
NUMBER = {"kind": "template", "template": "From {{ message.external_id }}", "target": "labels"}


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def told(place: Office, **body: Any) -> Message:
    place.say(**body)
    place.route()
    return Message.objects.select_related("body").latest("id")


def kept(message: Message, rule: RoutingRule, *ignore: str, name: str = "Incident") -> GoldenTicket:
    return golden.keep(message, rule, name, list(ignore), make_user())


def change(rule: RoutingRule, constant: str = "other") -> None:
    """Publish a version that sends one constant more."""
    draft = versions.draft_of(rule)
    Mapping.objects.create(version=draft, kind="constant", constant=constant, target="category")
    versions.publish(rule, None, "Changed")


def run(**options: Any) -> tuple[int, str]:
    """What the command ends with and says."""
    out = StringIO()
    try:
        call_command("test_rules", stdout=out, **options)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_unchanged_rule_makes_the_same_of_it(place: Office) -> None:
    rule = place.rule(TITLE, NUMBER)

    case = kept(told(place), rule)

    assert case.expected["result"] == "carries"
    assert [one.passed for one in golden.check([case])] == [True]


def test_changed_rule_is_told_field_by_field(place: Office) -> None:
    rule = place.rule()
    case = kept(told(place), rule)
    change(rule)
    case.rule.refresh_from_db()

    [checked] = golden.check([case])

    assert [(one.name, one.expected, one.actual) for one in checked.deviations] == [
        ("category", None, "other")
    ]


def test_what_is_ignored_does_not_differ(place: Office) -> None:
    rule = place.rule()
    case = kept(told(place), rule, "cat*")
    change(rule)
    case.rule.refresh_from_db()

    assert golden.check([case])[0].passed


def test_case_stays_when_the_message_is_emptied(place: Office) -> None:
    rule = place.rule(TITLE)
    message = told(place)
    case = kept(message, rule)
    MessageBody.objects.filter(pk=message.body_id).update(raw=None, canonical=None, trace=None)

    assert golden.check([GoldenTicket.objects.get(pk=case.pk)])[0].passed


def test_numbers_of_counters_are_those_of_then(place: Office) -> None:
    counter = Counter.objects.create(environment=place.environment, name="calls")
    rule = place.rule(
        TITLE, {"category": "variable", "kind": "counter", "counter": counter, "target": "call"}
    )
    case = kept(told(place), rule)
    told(place, ticket="another")

    [checked] = golden.check([case])

    assert checked.passed
    assert case.expected["variables"] == {"call": 1}
    assert Counter.objects.get().value == 2


def remembering(place: Office, source: str = "title", **fields: Any) -> RoutingRule:
    """A rule that keeps something of the message with the conversation."""
    return place.rule(TITLE, {"category": "conversation", "source": source, "target": "last"}, **fields)


def test_conversation_variables_are_compared(place: Office) -> None:
    rule = remembering(place)
    case = kept(told(place), rule)
    draft = versions.draft_of(rule)
    draft.mappings.filter(category="conversation").update(source="priority", missing="default", default="low")
    versions.publish(rule, None, "Changed")
    case.rule.refresh_from_db()

    [checked] = golden.check([case])

    assert [(one.name, one.expected, one.actual) for one in checked.deviations] == [
        ("conversation.last", "Down", "low")
    ]


def test_rule_that_only_remembers_is_compared(place: Office) -> None:
    rule = remembering(place, action="process_only", target=None)

    case = kept(told(place), rule)

    assert (case.expected["result"], case.expected["conversation"]) == ("processes", {"last": "Down"})


def test_what_later_rules_keep_does_not_count(place: Office) -> None:
    rule = remembering(place, priority=10)
    remembering(place, "message.external_id")

    assert kept(told(place), rule).expected["conversation"] == {"last": "Down"}


def test_case_from_before_stays_as_expected(place: Office) -> None:
    case = kept(told(place), remembering(place))
    case.expected = {name: part for name, part in case.expected.items() if name != "conversation"}

    assert golden.check([case])[0].passed


def test_fields_with_the_ticket_own_number_are_suggested(place: Office) -> None:
    rule = place.rule(TITLE, NUMBER)

    assert golden.suggested(told(place, ticket="INC0010001"), rule) == ["labels"]


def test_accepting_makes_the_new_result_the_expected_one(place: Office) -> None:
    rule = place.rule()
    case = kept(told(place), rule)
    change(rule)

    signed_in().post(reverse("golden_tickets"), {"verb": f"accept {case.pk}"})

    assert golden.check([GoldenTicket.objects.get()])[0].passed


def test_contents_are_unreadable_in_the_database(place: Office) -> None:
    kept(told(place, title="Payroll breach"), place.rule())

    with connection.cursor() as cursor:
        cursor.execute("SELECT given, expected FROM conversations_goldenticket")
        stored = b"".join(bytes(one) for one in cursor.fetchone())

    assert b"Payroll" not in stored


def test_message_page_saves_a_test_case(place: Office) -> None:
    rule = place.rule()
    message = told(place)
    entered = {"rule": rule.pk, "name": "Plain incident", "ignore": "title\n\n"}

    signed_in().post(reverse("golden_save", args=[message.pk]), entered)

    case = GoldenTicket.objects.get()
    assert (case.rule, case.name, case.ignore) == (rule, "Plain incident", ["title"])


def test_page_says_what_differs(place: Office) -> None:
    rule = place.rule()
    kept(told(place), rule)
    change(rule, "surprise")

    html = signed_in().get(reverse("golden_tickets")).content.decode()

    assert "1 not as expected" in html
    assert "surprise" in html


def test_viewer_may_not_see_golden_tickets(place: Office) -> None:
    assert signed_in("viewer", place.environment).get(reverse("golden_tickets")).status_code == 403


def test_command_ends_well_when_all_is_as_expected(place: Office, tmp_path: Path) -> None:
    rule = place.rule()
    kept(told(place), rule)

    code, said = run(junit=tmp_path / "report.xml")

    suite = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (code, said.splitlines()[-1]) == (0, "1 golden tickets, 0 not as expected.")
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall("testcase"))) == ("1", "0", 1)


def test_command_fails_and_reports_without_values(place: Office, tmp_path: Path) -> None:
    rule = place.rule()
    kept(told(place), rule)
    change(rule, "secret-value")

    code, said = run(rule=rule.slug, junit=tmp_path / "report.xml")

    report = (tmp_path / "report.xml").read_text()
    assert code == 1
    assert "differs: category" in said
    assert 'failures="1"' in report
    assert "secret-value" not in said + report


def test_draft_is_checked_when_asked_for(place: Office) -> None:
    rule = place.rule()
    kept(told(place), rule)
    draft = versions.draft_of(rule)
    Mapping.objects.create(version=draft, kind="constant", constant="other", target="category")

    assert [run()[0], run(drafts=True)[0]] == [0, 1]


def test_unknown_rule_is_refused(place: Office) -> None:
    with pytest.raises(CommandError):
        call_command("test_rules", rule="nobody")


def test_api_checks_them(place: Office) -> None:
    rule = place.rule()
    kept(told(place), rule)
    change(rule)
    person = make_user("operator", place.environment)

    answer = Client().get(
        f"/manage/v1/{place.environment.organization.slug}/production/golden",
        HTTP_AUTHORIZATION=basic(person.username, "correct horse"),
    )

    told_by_api = json.loads(answer.content)
    assert (told_by_api["checked"], told_by_api["failed"]) == (1, 1)
    assert told_by_api["cases"][0]["deviations"][0]["name"] == "category"
