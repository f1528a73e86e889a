"""What workers know of an endpoint: values, at most a second old."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import DjangoAssertNumQueries

from endpoints import configs, gates
from endpoints.adapters.base import Capability, Token
from endpoints.canonical import EntityKind
from endpoints.configs import EndpointConfigs, load
from endpoints.models import Credentials, Endpoint, EntityType
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db
LONG = 3600.0
OAUTH: dict[str, Any] = {"settings": {"auth": "oauth"}, "secrets": {"client_id": "c", "client_secret": "s"}}


def make_servicenow(**fields: Any) -> Endpoint:
    return make_endpoint("servicenow", **fields)


def test_everything_an_adapter_needs_is_loaded() -> None:
    endpoint = make_servicenow(
        base_url="https://acme.service-now.com/",
        timezone="Europe/Helsinki",
        secrets={"password": "s"},
        success_codes=[200],
        unrecoverable_codes=[418],
        unknown_policy="resend",
        max_per_second=2.5,
    )

    loaded = load(endpoint)

    assert loaded.config.base_url == "https://acme.service-now.com"
    assert str(loaded.config.timezone) == "Europe/Helsinki"
    assert loaded.config.secrets == {"password": "s"}
    assert (loaded.config.success_codes, loaded.config.unrecoverable_codes) == ({200}, {418})
    assert (loaded.unknown_policy, loaded.max_in_flight, loaded.max_per_second) == ("resend", 16, 2.5)
    assert loaded.adapter.endpoint is loaded.config


def test_entity_types_are_found_by_name() -> None:
    endpoint = make_servicenow(entities=("incident", "problem"))
    EntityType.objects.filter(endpoint=endpoint, name="problem").update(status="suspended")

    loaded = load(endpoint)

    assert set(loaded.entity_ids) == {"incident", "problem"}
    problem = loaded.config.entity("problem")
    assert problem is not None
    assert (problem.kind, problem.active) == (EntityKind.PROBLEM, False)
    assert loaded.config.entity_selected_by("problem") is None


def test_token_is_wanted_where_there_is_none() -> None:
    assert load(make_servicenow(**OAUTH)).wants_token
    assert not load(make_servicenow(settings={"auth": "basic"})).wants_token
    assert not load(make_endpoint("jira")).can(Capability.TOKEN)


def test_live_token_is_handed_over_and_an_expired_one_not() -> None:
    endpoint = make_servicenow(**OAUTH)
    gates.store_token(endpoint.pk, Token("t-1", expires_in=1800))
    assert load(endpoint).config.token == "t-1"
    assert not load(endpoint).wants_token

    Credentials.objects.filter(endpoint=endpoint).update(token_expires_at=Now() - timedelta(seconds=1))

    assert load(endpoint).config.token == ""
    assert load(endpoint).wants_token


def test_configuration_is_read_once_within_a_second(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(configs, "FRESH_SECONDS", LONG)
    endpoint, known = make_endpoint(), EndpointConfigs()
    first = known.get(endpoint.pk)

    with django_assert_num_queries(0):
        assert known.get(endpoint.pk) is first


def test_unchanged_configuration_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    endpoint, known = make_endpoint(), EndpointConfigs()
    first = known.get(endpoint.pk)
    monkeypatch.setattr(configs, "FRESH_SECONDS", 0.0)

    with django_assert_num_queries(1):
        assert known.get(endpoint.pk) is first


def change_entity_type(endpoint: Endpoint) -> None:
    endpoint.entity_types.update(remote_name="sn_customer_case")


def add_entity_type(endpoint: Endpoint) -> None:
    EntityType.objects.create(endpoint=endpoint, environment=endpoint.environment, name="new", kind="problem")


def refer_to_another(endpoint: Endpoint) -> None:
    other = make_endpoint(environment=endpoint.environment)
    endpoint.references.create(
        environment=endpoint.environment,
        path="u_ticket",
        referenced_endpoint=other,
        referenced_entity=other.entity_types.get(),
    )


def change_secrets(endpoint: Endpoint) -> None:
    endpoint.credentials.secrets = {"password": "new"}
    endpoint.credentials.save()


def let_token_expire(endpoint: Endpoint) -> None:
    Credentials.objects.filter(endpoint=endpoint).update(token_expires_at=Now() - timedelta(seconds=1))


def move_it(endpoint: Endpoint) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(base_url="https://new.example.com")


@pytest.mark.parametrize(
    "change",
    [move_it, change_entity_type, add_entity_type, refer_to_another, change_secrets, let_token_expire],
)
def test_change_is_seen_after_a_second(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Endpoint], None]
) -> None:
    monkeypatch.setattr(configs, "FRESH_SECONDS", LONG)
    endpoint, known = make_servicenow(**OAUTH), EndpointConfigs()
    gates.store_token(endpoint.pk, Token("t-1", expires_in=1800))
    first = known.get(endpoint.pk)
    change(endpoint)

    assert known.get(endpoint.pk) is first
    monkeypatch.setattr(configs, "FRESH_SECONDS", 0.0)
    assert known.get(endpoint.pk) == load(Endpoint.objects.get(pk=endpoint.pk)) != first


def test_forgotten_configuration_is_read_at_once() -> None:
    endpoint, known = make_endpoint(), EndpointConfigs()
    known.get(endpoint.pk)
    Endpoint.objects.filter(pk=endpoint.pk).update(base_url="https://new.example.com")

    known.forget(endpoint.pk)

    assert known.get(endpoint.pk).config.base_url == "https://new.example.com"


def test_secrets_show_in_no_text_of_the_configuration() -> None:
    endpoint = make_servicenow(settings={"auth": "oauth"}, secrets={"client_secret": "canary-1"})
    gates.store_token(endpoint.pk, Token("canary-2", expires_in=1800))

    loaded = load(endpoint)

    assert loaded.config.token == "canary-2"
    assert "canary" not in repr(loaded) + repr(Token("canary-2", 1.0))
