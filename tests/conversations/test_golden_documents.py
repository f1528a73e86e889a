"""Golden tickets leave with their rules only when asked for, and say the same where they come in."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client

from conversations import golden
from conversations.models import GoldenTicket
from oneio.models import Environment
from routing.models import Counter, RoutingRule
from routing.portable import companions, writing
from routing.portable.importing import Options, Report, import_document
from routing.portable.reading import Unimportable, read
from tests.conversations.desk import TITLE, Office, office
from tests.conversations.inbound import basic
from tests.conversations.test_golden import kept, remembering, told
from tests.factories import make_endpoint, make_environment
from tests.signed_in import make_user, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "Payroll breach in the Zürich office"


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


@pytest.fixture
def case(place: Office) -> GoldenTicket:
    return kept(told(place, title=SECRET), remembering(place), "labels")


def exported(environment: Environment) -> str:
    rules = RoutingRule.objects.filter(environment=environment)
    return writing.text(companions.with_golden(writing.environment_document(environment), rules))


def bring(environment: Environment, text: str, trial: bool = False) -> Report:
    return import_document(environment, read(text), Options(by=make_user()), trial=trial)


def fates(report: Report) -> list[str]:
    return [change.fate for change in report.changes if change.kind == "Golden ticket"]


def cli(environment: Environment, *flags: str) -> str:
    out = StringIO()
    where = {"environment": environment.kind, "organization": environment.organization.slug}
    call_command("export_config", *flags, **where, stdout=out)
    return out.getvalue()


def test_case_says_the_same_in_another_environment(place: Office, case: GoldenTicket) -> None:
    other = make_environment()

    report = bring(other, exported(place.environment))

    moved = GoldenTicket.objects.get(environment=other)
    assert fates(report) == ["new"]
    assert golden.check([moved], drafts=True)[0].passed
    assert (moved.expected, moved.ignore) == (case.expected, ["labels"])
    assert moved.given["endpoint"] == moved.rule.versions.get().source_endpoint_id


def test_what_came_in_goes_out_the_same(place: Office, case: GoldenTicket) -> None:
    other = make_environment()
    text = exported(place.environment)

    bring(other, text)

    assert exported(other) == text
    assert fates(bring(other, text)) == ["same"]


@pytest.mark.parametrize("odd", ["a\x85b\u2028c\ufeff", "tab\there ", "- no: [1.50]", "😀\r\nend"])
def test_every_value_stays_exactly_as_it_is(place: Office, odd: str) -> None:
    remembering(place)
    case = kept(told(place, title=f"x{odd}"), RoutingRule.objects.get())
    other = make_environment()

    bring(other, exported(place.environment))

    assert GoldenTicket.objects.get(environment=other).expected == case.expected


def test_numbers_of_counters_move_along(place: Office) -> None:
    counter = Counter.objects.create(environment=place.environment, name="calls")
    number = {"category": "variable", "kind": "counter", "counter": counter, "target": "call"}
    kept(told(place), place.rule(TITLE, number))
    place.route()
    other = make_environment()

    bring(other, exported(place.environment))

    moved = GoldenTicket.objects.get(environment=other)
    assert moved.expected["variables"] == {"call": 1}
    assert golden.check([moved], drafts=True)[0].passed


def test_golden_tickets_leave_only_when_asked_for(place: Office, case: GoldenTicket) -> None:
    assert SECRET not in cli(place.environment)
    assert SECRET in cli(place.environment, "--with-golden")
    assert SECRET in cli(place.environment, "--with-golden", "--rule", case.rule.slug)


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("integrator", 200)])
def test_page_gives_them_to_those_who_may_read(
    place: Office, case: GoldenTicket, role: str, status: int
) -> None:
    client = signed_in(role, place.environment)
    version = case.rule.current_version
    assert version
    base = "/admin/routing/routingrule/"

    whole = client.get(f"{base}configuration/{place.environment.pk}/export/?golden=1")
    one = client.get(f"{base}{case.rule_id}/export/{version.pk}/?golden=1")

    assert (whole.status_code, one.status_code) == (status, status)
    assert [SECRET in answer.content.decode() for answer in (whole, one)] == [status == 200] * 2
    assert LogEntry.objects.filter(change_message="Exported its golden tickets").count() == (
        2 if status == 200 else 0
    )


def test_page_offers_the_tick_to_those_who_may_read(place: Office, case: GoldenTicket) -> None:
    address = "/admin/routing/routingrule/configuration/"

    pages = [
        signed_in(role, place.environment).get(address).content.decode() for role in ("viewer", "integrator")
    ]

    assert ['name="golden"' in page for page in pages] == [False, True]


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("integrator", 200)])
def test_script_gets_them_with_the_right_to_read(
    place: Office, case: GoldenTicket, role: str, status: int
) -> None:
    address = f"/manage/v1/{place.environment.organization.slug}/{place.environment.kind}/config"
    login = basic(make_user(role, place.environment).username, "correct horse")
    client = Client(headers={"Authorization": login})

    usual, more = client.get(address), client.get(f"{address}?golden=1")

    assert SECRET not in usual.content.decode()
    assert (more.status_code, SECRET in more.content.decode()) == (status, status == 200)


def test_changed_case_is_told_without_what_it_says(place: Office, case: GoldenTicket) -> None:
    text = exported(place.environment)
    GoldenTicket.objects.update(ignore=[])

    report = bring(place.environment, text, trial=True)

    assert fates(report) == ["changed"]
    assert SECRET not in str(report.changes)


def damaged(text: str, **parts: Any) -> str:
    document = read(text)
    [(slug, [raw])] = document.beside["golden"].items()
    whole = {"oneio": 1, "golden": {slug: [{**raw, **parts}]}}
    return writing.text(whole)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"given": "{}"}, "no golden ticket as export writes it"),
        ({"given": "[" * 9000}, "no golden ticket as export writes it"),
        ({"expected": '{"fields": 1}'}, "no golden ticket as export writes it"),
        (
            {"expected": '{"fields": {}, "result": "", "variables": 1}'},
            "no golden ticket as export writes it",
        ),
        ({"name": ""}, "has name, given, expected, ignore"),
        ({"surprise": 1}, "has name, given, expected, ignore"),
        ({"name": "x" * 200}, "at most 150"),
    ],
)
def test_damaged_case_is_refused_in_words(
    place: Office, case: GoldenTicket, parts: dict[str, Any], said: str
) -> None:
    text = damaged(exported(place.environment), **parts)

    with pytest.raises(Unimportable, match=said):
        bring(place.environment, text)

    assert GoldenTicket.objects.count() == 1


def test_endpoint_that_is_not_there_is_named(place: Office, case: GoldenTicket) -> None:
    document = read(exported(place.environment))
    [(_, [raw])] = document.beside["golden"].items()
    given = json.loads(raw["given"]) | {"endpoint": "zendesk"}

    with pytest.raises(Unimportable, match="no endpoint 'zendesk' in this environment"):
        bring(place.environment, damaged(exported(place.environment), given=json.dumps(given)))


def test_rule_that_is_not_there_is_named(place: Office, case: GoldenTicket) -> None:
    other = make_environment()
    make_endpoint("desk", other)

    with pytest.raises(Unimportable, match="There is no rule"):
        bring(other, damaged(exported(place.environment)))
