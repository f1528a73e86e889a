"""Configuration leaves and comes in on a page: first what would change, then the change."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from oneio.models import Environment
from routing import versions
from routing.models import RoutingRule
from tests.factories import make_environment
from tests.routing.portable.example import FULL, systems
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
PAGE = "/admin/routing/routingrule/configuration/"


@pytest.fixture
def environment() -> Environment:
    made = make_environment()
    systems(made)
    return made


def given(environment: Environment, text: str = FULL, **fields: Any) -> dict[str, Any]:
    return {"environment": environment.pk, "text": text, "reason": "", **fields}


def confirmed(answer: Any) -> str:
    found = re.search(r'name="confirmed" value="(\w+)"', answer.content.decode())
    assert found
    return found[1]


def bring_in(client: Client, environment: Environment, **fields: Any) -> Any:
    looked = client.post(PAGE, given(environment, **fields))
    return client.post(PAGE, given(environment, confirmed=confirmed(looked), **fields))


def test_page_shows_the_changes_first(environment: Environment) -> None:
    answer = signed_in("integrator", environment).post(PAGE, given(environment))

    assert "What the document changes" in answer.content.decode()
    assert not RoutingRule.objects.exists()


def test_confirmed_import_is_done_and_noted(environment: Environment) -> None:
    client = signed_in("integrator", environment)

    answer = bring_in(client, environment)

    assert answer.status_code == 302
    assert RoutingRule.objects.get().versions.count() == 1
    assert (
        "Imported from a document"
        in client.get(f"/admin/routing/routingrule/{RoutingRule.objects.get().pk}/history/").content.decode()
    )


def test_import_can_publish_with_a_reason(environment: Environment) -> None:
    bring_in(signed_in("integrator", environment), environment, publish="on", reason="From QA")

    version = RoutingRule.objects.get().current_version
    assert version is not None
    assert (version.reason, version.published_by is not None) == ("From QA", True)


def test_something_changed_meanwhile_is_asked_again(environment: Environment) -> None:
    client = signed_in("integrator", environment)
    looked = client.post(PAGE, given(environment))
    RoutingRule.objects.create(environment=environment, slug="incident-to-jira", name="Somebody was faster")

    answer = client.post(PAGE, given(environment, confirmed=confirmed(looked)))

    assert "Something changed since you looked" in answer.content.decode()
    assert RoutingRule.objects.get().versions.count() == 0


def test_document_can_be_uploaded(environment: Environment) -> None:
    file = SimpleUploadedFile("config.yaml", FULL.encode())

    answer = signed_in("integrator", environment).post(PAGE, given(environment, text="", file=file))

    assert "incident-to-jira" in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": ""}, "Choose a file, or paste the text below."),
        ({"text": "a: ["}, "not valid YAML"),
        ({"text": FULL.replace("jira/", "zendesk/")}, "There is no endpoint &#x27;zendesk&#x27;"),
        ({"publish": "on"}, "Say why"),
        ({"text": "", "file": SimpleUploadedFile("x.yaml", b"\xff\xfe\x00")}, "no text in UTF-8"),
    ],
)
def test_what_is_wrong_is_said(environment: Environment, fields: dict[str, Any], said: str) -> None:
    answer = signed_in("integrator", environment).post(PAGE, given(environment, **fields))

    assert said in answer.content.decode()
    assert not RoutingRule.objects.exists()


def test_viewer_exports_but_cannot_import(environment: Environment) -> None:
    client = signed_in("viewer", environment)

    shown = client.get(PAGE).content.decode()
    file = client.get(f"{PAGE}{environment.pk}/export/")

    assert "See what would change" not in shown
    assert file.content.startswith(b"oneio: 1\n")
    assert client.post(PAGE, given(environment)).status_code == 200
    assert not RoutingRule.objects.exists()


def test_other_organizations_are_out_of_reach(environment: Environment) -> None:
    client = signed_in("integrator", make_environment())

    assert client.get(f"{PAGE}{environment.pk}/export/").status_code == 404
    client.post(PAGE, given(environment))
    assert not RoutingRule.objects.exists()


def test_versions_are_compared_in_words(environment: Environment) -> None:
    client = signed_in("integrator", environment)
    bring_in(client, environment, publish="on", reason="First")
    rule = RoutingRule.objects.get()
    draft = versions.draft_of(rule)
    draft.priority = 9
    draft.save()

    answer = client.get(f"/admin/routing/routingrule/{rule.pk}/compare/{rule.current_version_id}/{draft.pk}/")

    assert re.search(r"priority.*?5.*?9", answer.content.decode(), re.DOTALL)


def test_one_version_of_a_rule_is_exported(environment: Environment) -> None:
    client = signed_in("integrator", environment)
    bring_in(client, environment)
    rule = RoutingRule.objects.get()

    answer = client.get(f"/admin/routing/routingrule/{rule.pk}/export/{rule.versions.get().pk}/")

    assert answer["Content-Disposition"] == 'attachment; filename="incident-to-jira-v1.yaml"'
    assert "Priorities:" in answer.content.decode()
    assert signed_in("viewer", make_environment()).get(answer.request["PATH_INFO"]).status_code == 404
