"""Endpoints as rows: what comes with a new one, and what the database refuses."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from endpoints.models import Endpoint, EndpointGate, EntityType, ReceiverLogin, validate_timezone
from tests.factories import make_endpoint, make_entity_type, make_environment, make_receiver_login

pytestmark = pytest.mark.django_db


def test_new_endpoint_comes_with_gate_inbox_and_credentials() -> None:
    endpoint = Endpoint.objects.create(environment=make_environment(), slug="snow", name="Snow", kind="rest")

    companions = [endpoint.gate, endpoint.inbox, endpoint.credentials]

    assert {companion.organization_id for companion in companions} == {endpoint.organization_id}
    assert endpoint.credentials.secrets == {}
    assert endpoint.gate.circuit == "closed"


def test_endpoint_takes_the_organization_of_its_environment() -> None:
    environment = make_environment()

    assert make_endpoint(environment=environment).organization_id == environment.organization_id


def test_name_is_taken_once_per_environment() -> None:
    environment = make_environment()
    make_endpoint(environment=environment, name="Snow")
    make_endpoint(environment=make_environment(), name="Snow")

    with pytest.raises(IntegrityError, match="endpoint_name_once"), transaction.atomic():
        make_endpoint(environment=environment, name="Snow")


def test_endpoint_has_one_current_receiver_login() -> None:
    endpoint = make_endpoint()
    make_receiver_login(endpoint)

    with pytest.raises(IntegrityError, match="one_current_receiver_login"), transaction.atomic():
        make_receiver_login(endpoint)


def test_replaced_login_may_stand_beside_the_current_one() -> None:
    endpoint = make_endpoint()
    old, _ = make_receiver_login(endpoint, username="snow")
    ReceiverLogin.objects.filter(pk=old.pk).update(valid_until=Now())

    new, _ = make_receiver_login(endpoint, username="snow")

    assert set(endpoint.receiver_logins.all()) == {old, new}


def test_receiver_username_is_taken_once_anywhere() -> None:
    make_receiver_login(username="snow")

    with pytest.raises(IntegrityError, match="receiver_username_once"), transaction.atomic():
        make_receiver_login(username="snow")


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"paused_at": Now()}, "gate_pause_has_a_reason"),
        ({"pause_reason": "credentials"}, "gate_pause_has_a_reason"),
        ({"circuit": "open"}, "gate_open_circuit_has_an_end"),
        ({"circuit": "ajar"}, "gate_circuit_is_known"),
    ],
)
def test_gate_that_says_nothing_sensible_is_refused(values: dict[str, Any], constraint: str) -> None:
    endpoint = make_endpoint()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        EndpointGate.objects.filter(pk=endpoint.pk).update(**values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "asleep"}, "endpoint_status_is_known"),
        ({"unknown_policy": "guess"}, "endpoint_unknown_policy_is_known"),
        ({"internal_comments": "maybe"}, "endpoint_internal_comments_is_known"),
        ({"max_in_flight": 0}, "endpoint_sends_at_least_one"),
    ],
)
def test_endpoint_in_an_impossible_state_is_refused(values: dict[str, Any], constraint: str) -> None:
    endpoint = make_endpoint()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Endpoint.objects.filter(pk=endpoint.pk).update(**values)


def test_entity_type_of_an_unknown_kind_is_refused() -> None:
    endpoint = make_endpoint(entities=())

    with pytest.raises(IntegrityError, match="entity_type_kind_is_known"), transaction.atomic():
        make_entity_type(endpoint, "poem")
    assert not EntityType.objects.filter(endpoint=endpoint).exists()


def test_unknown_time_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ValidationError, match="Use a name such as Europe/Helsinki"):
        validate_timezone("Middle-earth/Shire")
    validate_timezone("Europe/Helsinki")
