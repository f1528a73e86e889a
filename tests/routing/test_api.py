"""Scripts read and bring in configuration with a person's account, as far as the person's role allows."""

from base64 import b64encode
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from oneio.models import Environment
from routing.models import RoutingRule
from tests.factories import make_environment
from tests.routing.portable.example import FULL, systems
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def environment() -> Environment:
    made = make_environment()
    systems(made)
    return made


def address(environment: Environment) -> str:
    return f"/manage/v1/{environment.organization.slug}/{environment.kind}/config"


def script(environment: Environment, role: str = "integrator") -> Client:
    person = make_user(role, environment)
    login = b64encode(f"{person.username}:correct horse".encode()).decode()
    return Client(headers={"Authorization": f"Basic {login}"})


def bring(
    environment: Environment, text: str | bytes = FULL, query: str = "", role: str = "integrator"
) -> Any:
    address_and_query = f"{address(environment)}?{query}"
    return script(environment, role).post(address_and_query, text, content_type="application/yaml")


def test_configuration_is_read_as_yaml(environment: Environment) -> None:
    answer = script(environment, "viewer").get(address(environment))

    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    assert "servicenow:" in answer.content.decode()


def test_document_is_brought_in(environment: Environment) -> None:
    answer = bring(environment, query="publish=1&reason=From+QA")

    assert answer.json()["changes"][-1]["fate"] == "new"
    assert RoutingRule.objects.get().current_version is not None


def test_who_brought_it_in_is_noted(environment: Environment) -> None:
    bring(environment, query="dry_run=1")
    assert not LogEntry.objects.exists()

    bring(environment)

    changed = set(LogEntry.objects.values_list("content_type__model", "change_message"))
    assert changed == {(model, "Brought in by a script") for model in ("routingrule", "translationtable")}


def test_dry_run_changes_nothing(environment: Environment) -> None:
    answer = bring(environment, query="dry_run=1")

    assert (answer.status_code, answer.json()["problems"]) == (200, [])
    assert not RoutingRule.objects.exists()


@pytest.mark.parametrize("query", ["", "dry_run=1"])
def test_what_cannot_be_resolved_is_said(environment: Environment, query: str) -> None:
    answer = bring(environment, FULL.replace("jira/", "zendesk/"), query)

    assert answer.status_code == 422
    assert "There is no endpoint 'zendesk'" in answer.json()["problems"][0]


@pytest.mark.parametrize(
    ("text", "query", "status"), [(b"\xff", "", 400), (FULL, "publish=1", 400), ("a: [", "", 422)]
)
def test_bad_request_is_told(environment: Environment, text: str, query: str, status: int) -> None:
    assert bring(environment, text, query).status_code == status


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_integrators_bring_in(environment: Environment, role: str) -> None:
    assert bring(environment, role=role).status_code == 403


def test_other_organizations_do_not_exist(environment: Environment) -> None:
    assert script(make_environment()).get(address(environment)).status_code == 404


def test_nobody_gets_nothing(environment: Environment) -> None:
    assert Client().get(address(environment)).status_code == 401
