"""`manage.py new_password`: a new receiver password, printed once."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from endpoints.receiver_logins import identify, set_password
from tests.factories import make_endpoint, make_environment, make_organization

pytestmark = pytest.mark.django_db


def run(*arguments: str, **options: Any) -> list[str]:
    out = StringIO()
    call_command("new_password", *arguments, stdout=out, stderr=StringIO(), **options)
    return [line.partition(": ")[2] for line in out.getvalue().splitlines()]


def test_printed_password_works() -> None:
    endpoint = make_endpoint(slug="snow")

    username, password = run("snow")

    assert username == "snow"
    assert identify(username, password) == endpoint


def test_username_is_kept_and_grace_obeyed() -> None:
    endpoint = make_endpoint(slug="snow")
    set_password(endpoint, "receiver", "old")

    username, _ = run("snow", grace=0)

    assert username == "receiver"
    assert identify("receiver", "old") is None


def test_qa_has_its_own_endpoint() -> None:
    organization = make_organization()
    make_endpoint(slug="snow", environment=make_environment(organization))
    qa = make_endpoint(slug="snow", environment=make_environment(organization, "qa"))

    username, password = run("snow", environment="qa", username="q")

    assert identify(username, password) == qa


def test_unknown_endpoint_is_said() -> None:
    with pytest.raises(CommandError, match="no endpoint"):
        run("nothing")


def test_several_organizations_have_to_be_named() -> None:
    first, second = make_endpoint(slug="snow"), make_endpoint(slug="snow")

    with pytest.raises(CommandError, match="--organization"):
        run("snow")
    username, password = run("snow", organization=second.environment.organization.slug)

    assert identify(username, password) == second != first


def test_taken_username_is_said() -> None:
    set_password(make_endpoint(), "taken", "p")
    make_endpoint(slug="snow")

    with pytest.raises(CommandError, match="already uses"):
        run("snow", username="taken")


def test_senseless_grace_is_refused() -> None:
    with pytest.raises(CommandError, match="--grace"):
        run("snow", grace=-1)
