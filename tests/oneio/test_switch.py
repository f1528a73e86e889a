import re

import pytest
from django.test import Client

from endpoints.models import Endpoint
from oneio import access
from oneio.models import Environment, EnvironmentKind
from routing import versions
from tests.factories import make_endpoint, make_environment, make_message
from tests.routing.test_versions import make_drafted_rule
from tests.signed_in import make_user, signed_in


def choose(client: Client, environment: Environment | None, going_on_at: str = "/admin/") -> str:
    """Press the switch; the page that comes then."""
    data = {"environment": environment.pk if environment else "", "next": going_on_at}
    return client.post("/admin/choose-environment/", data, follow=True).content.decode()


def strip(html: str) -> str:
    """Which environment the bar over a page names."""
    found = re.search(r'oi-strip-name">([^<]*)', html)
    return found[1] if found else ""


@pytest.fixture
def desk(db: None) -> tuple[Client, Endpoint, Endpoint]:
    """Somebody with a role in QA and Production, and an endpoint in each."""
    production = make_environment()
    qa = make_environment(production.organization, EnvironmentKind.QA)
    person = make_user("operator", production)
    access.grant(person, "operator", qa)
    client = Client()
    client.force_login(person)
    return (
        client,
        make_endpoint(name="Live", environment=production),
        make_endpoint(name="Trial", environment=qa),
    )


def test_lists_follow_the_choice(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, _ = desk

    html = choose(client, live.environment, "/admin/endpoints/endpoint/")

    assert strip(html) == "PRODUCTION"
    assert "<strong>Live</strong>" in html
    assert "<strong>Trial</strong>" not in html


def test_lists_name_environments_only_where_several_show(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, _ = desk
    address = "/admin/endpoints/endpoint/"

    every, one = choose(client, None, address), choose(client, live.environment, address)

    assert "column-environment_name" in every
    assert "column-environment_name" not in one


def test_home_follows_the_choice(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, _, trial = desk

    html = choose(client, trial.environment)

    assert strip(html) == "QA"
    assert "<strong>Trial</strong>" in html
    assert "<strong>Live</strong>" not in html


def test_choice_can_be_taken_back(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, _ = desk
    choose(client, live.environment)

    html = choose(client, None, "/admin/endpoints/endpoint/")

    assert strip(html) == "All environments"
    assert "<strong>Trial</strong>" in html


def test_address_goes_before_the_choice(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, trial = desk
    choose(client, live.environment)

    html = client.get(f"/admin/endpoints/endpoint/?environment={trial.environment_id}").content.decode()

    assert strip(html) == "QA"
    assert "<strong>Trial</strong>" in html


def test_page_of_a_row_says_where_the_row_lies(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, trial = desk
    choose(client, live.environment)

    html = client.get(f"/admin/endpoints/endpoint/{trial.pk}/change/").content.decode()

    assert strip(html) == "QA"
    assert 'name="next" value="/admin/endpoints/endpoint/"' in html


def test_environment_of_others_cannot_be_chosen(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, *_ = desk

    html = choose(client, make_environment(), "/admin/endpoints/endpoint/")

    assert strip(html) == "All environments"


def test_switch_leads_nowhere_else(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, _ = desk

    answer = client.post(
        "/admin/choose-environment/",
        {"environment": live.environment_id, "next": "https://evil.example.com/"},
    )

    assert answer["Location"] == "/admin/"


def test_switch_is_no_link(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, *_ = desk

    assert client.get("/admin/choose-environment/").status_code == 405


@pytest.mark.django_db
def test_one_environment_needs_no_switch() -> None:
    html = signed_in("viewer", make_environment()).get("/admin/").content.decode()

    assert strip(html) == "PRODUCTION"
    assert "choose-environment" not in html


@pytest.mark.django_db
def test_row_named_in_a_button_is_found_whatever_was_chosen(desk: tuple[Client, Endpoint, Endpoint]) -> None:
    client, live, trial = desk
    choose(client, live.environment)

    answer = client.post(f"/admin/endpoints/endpoint/{trial.pk}/suspend/", follow=True)

    assert "is suspended" in answer.content.decode()


@pytest.mark.parametrize("path", ["/admin/needs-you/", "/admin/conversations/message/"])
def test_work_pages_follow_the_choice(desk: tuple[Client, Endpoint, Endpoint], path: str) -> None:
    client, live, trial = desk
    for endpoint in (live, trial):
        make_message(endpoint, state="faulty", number=f"INC-{endpoint.name}", reason="unreadable")
    choose(client, trial.environment)

    html = client.get(path).content.decode()

    assert "Trial" in html
    assert "Live" not in re.sub(r'title="[^"]*"', "", html)


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["change/", "publish/", "editor/", "compare/1/2/", "test/"])
def test_every_page_of_a_rule_says_where_it_runs(page: str) -> None:
    rule, draft = make_drafted_rule()
    make_environment(rule.environment.organization, EnvironmentKind.QA)
    versions.publish(rule, make_user(), "First")
    second = versions.draft_of(rule)
    place = "rules" if page == "test/" else "routing/routingrule"
    page = page.replace("1/2", f"{draft.pk}/{second.pk}")

    html = signed_in().get(f"/admin/{place}/{rule.pk}/{page}").content.decode()

    assert strip(html) == "PRODUCTION"
