"""Connecting a system: steps tick themselves, samples can be pasted, and who changed what is told."""

import json
import shlex

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from endpoints import configs
from endpoints.adapters.base import Received
from endpoints.admin import setup
from endpoints.admin.setup import Evidence, sample, steps
from endpoints.models import Endpoint, EndpointGate
from tests.factories import make_delivery, make_endpoint, make_message, make_receiver_login
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
NOTHING = Evidence()


def done(endpoint: Endpoint, seen: Evidence = NOTHING) -> list[bool]:
    return [step.done for step in steps(endpoint, seen)]


def page_of(endpoint: Endpoint, role: str = "integrator") -> str:
    client = signed_in(role, endpoint.environment)
    return client.get(f"/admin/endpoints/endpoint/{endpoint.pk}/change/").content.decode()


@pytest.mark.parametrize(("kind", "number"), [("servicenow", 5), ("jira", 4), ("rest", 4)])
def test_new_endpoint_has_every_step_before_it(kind: str, number: int) -> None:
    assert done(make_endpoint(kind)) == [False] * number


def test_accepted_credentials_tick_the_first_step() -> None:
    endpoint = make_endpoint("servicenow")
    client = signed_in("integrator", endpoint.environment)
    user = client.session["_auth_user_id"]

    LogEntry.objects.log_actions(user, [endpoint], 2, setup.ACCEPTED)

    assert done(endpoint)[0]


def test_delivery_that_arrived_ticks_the_first_step() -> None:
    endpoint = make_endpoint("jira")
    EndpointGate.objects.filter(endpoint=endpoint).update(last_success_at=timezone.now())

    assert done(Endpoint.objects.get(pk=endpoint.pk))[0]


def test_receiver_password_ticks_the_second_step() -> None:
    endpoint = make_endpoint("jira")
    make_receiver_login(endpoint)

    assert done(endpoint) == [False, True, False, False]


def test_messages_tick_the_other_steps() -> None:
    endpoint = make_endpoint("servicenow")

    make_message(endpoint)
    assert "2 of 5" not in page_of(endpoint)
    assert "4 of 5 steps left" in page_of(endpoint)
    make_message(endpoint, number="INC0012", state="routed")

    assert "2 of 5 steps left" in page_of(endpoint)


@pytest.mark.parametrize("kind", ["servicenow", "jira", "rest"])
def test_sample_holds_all_but_the_password(kind: str) -> None:
    endpoint = make_endpoint(kind, settings={"declaration": "inbound: {id: ticket.id}"})
    login, password = make_receiver_login(endpoint)

    found = sample(endpoint)

    assert json.loads(found["body"])
    assert shlex.split(found["curl"])[1:3] == ["-u", f"{login.username}:PASSWORD"]
    assert found["address"].endswith("/api/v1/messages")
    assert password not in str(found)


@pytest.mark.parametrize("kind", ["servicenow", "jira", "rest"])
def test_sample_can_be_read_by_its_endpoint(kind: str) -> None:
    entities = ("incident",) if kind == "rest" else ("incident", "problem")
    endpoint = make_endpoint(kind, entities=entities, settings={"declaration": "inbound: {id: ticket.id}"})
    body = json.loads(sample(endpoint)["body"])

    message = configs.without_secrets(endpoint).read(Received(body, {}, {}, timezone.now()))

    assert (message.entity_type, bool(message.external_id)) == ("incident", True)


def test_test_message_is_heard_but_no_ticket() -> None:
    endpoint = make_endpoint("servicenow")

    make_message(endpoint, number="INC0012", state="test")

    assert "4 of 5 steps left" in page_of(endpoint)


def test_update_set_is_made_for_the_endpoint() -> None:
    endpoint = make_endpoint("servicenow")
    login, _ = make_receiver_login(endpoint)
    client = signed_in("integrator", endpoint.environment)

    answer = client.get(f"/admin/endpoints/endpoint/{endpoint.pk}/package/")

    assert answer["Content-Disposition"] == 'attachment; filename="oneio-update-set.xml"'
    assert f"&lt;username&gt;{login.username}&lt;/username&gt;" in answer.content.decode()
    assert endpoint.environment.receiver_path in answer.content.decode()
    assert "Download the update set" in page_of(endpoint)


def test_update_set_needs_a_login_first() -> None:
    endpoint = make_endpoint("servicenow")
    client = signed_in("integrator", endpoint.environment)

    answer = client.get(f"/admin/endpoints/endpoint/{endpoint.pk}/package/", follow=True)

    assert "Choose Generate password below" in answer.content.decode()


def test_system_without_such_a_file_offers_none() -> None:
    endpoint = make_endpoint("jira")
    client = signed_in("integrator", endpoint.environment)

    answer = client.get(f"/admin/endpoints/endpoint/{endpoint.pk}/package/")

    assert answer.status_code == 404
    assert "Download the" not in page_of(endpoint)


def test_page_tells_what_waits() -> None:
    endpoint = make_endpoint("jira")
    source = make_endpoint(environment=endpoint.environment)
    make_delivery(make_message(source, state="routed"), endpoint)

    assert ", oldest" in page_of(endpoint, "viewer")


def test_sample_is_for_integrators() -> None:
    endpoint = make_endpoint("jira")

    assert "Sample message" in page_of(endpoint)
    assert "Sample message" not in page_of(endpoint, "viewer")
