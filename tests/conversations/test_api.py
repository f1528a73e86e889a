"""The inbound API: what a connected system is promised."""

import base64
import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import Message, MessageState
from endpoints import receiver_logins
from endpoints.models import EndpointStatus
from tests.conversations.inbound import MESSAGES, Sender, basic, qa_sender
from tests.factories import make_delivery, make_endpoint, make_message, make_participant, make_receiver_login

pytestmark = pytest.mark.django_db


def test_message_is_stored_before_its_202() -> None:
    sender = Sender()

    answer = sender.post(b'{"number": "INC1"}')

    message = Message.objects.get(body_id=UUID(answer.json()["response_id"]))
    assert answer.status_code == 202
    assert (message.state, message.endpoint, message.size) == ("received", sender.endpoint, 18)
    assert message.body.raw == b'{"number": "INC1"}'


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/messages", "/api/v1/messages/"])
def test_every_spelling_of_the_address_works(path: str) -> None:
    assert Sender().post(path=path).status_code == 202
    assert qa_sender().post(path=f"/qa{path}").status_code == 202


def test_qa_credentials_are_told_their_address() -> None:
    answer = qa_sender().post(path=MESSAGES)

    error = answer.json()["error"]
    assert answer.status_code == 401
    assert "credentials of QA" in error["message"]
    assert "/qa/api/v1/messages" in error["what_to_do"]


def test_production_credentials_are_refused_in_qa() -> None:
    answer = Sender().post(path="/qa/api")

    assert answer.status_code == 401
    assert "Post to /api/v1/messages" in answer.json()["error"]["what_to_do"]


def test_401_asks_for_basic() -> None:
    answer = Client().post(MESSAGES, b"{}", "application/json")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("place", ["parameter", "header", "bearer"])
def test_token_works_for_systems_without_basic(place: str) -> None:
    sender = Sender()
    path = f"{MESSAGES}?auth_token={sender.password}" if place == "parameter" else MESSAGES
    headers = {
        "parameter": {},
        "header": {"HTTP_X_AUTH_TOKEN": sender.password},
        "bearer": {"HTTP_AUTHORIZATION": f"Bearer {sender.password}"},
    }[place]

    answer = Client().post(path, b"{}", "application/json", **headers)

    assert answer.status_code == 202


def test_password_in_other_letters_is_refused() -> None:
    sender = Sender()
    sender.basic = basic(sender.login.username, sender.password.swapcase())

    assert sender.post().status_code == 401


def test_password_in_latin_1_is_understood() -> None:
    sender = Sender()
    make_receiver_login(sender.endpoint, "mäkinen", "p", valid_until=timezone.now() + timedelta(hours=1))

    sender.basic = "Basic " + base64.b64encode("mäkinen:p".encode("latin-1")).decode()

    assert sender.post().status_code == 202


def test_parameters_are_kept_without_the_token() -> None:
    sender = Sender()

    answer = sender.post(path=f"{MESSAGES}?issue.key=OPS-1&auth_token=secret&n=%C3%A4")

    body = Message.objects.get(body_id=answer.json()["response_id"]).body
    assert body.parameters == {"issue.key": "OPS-1", "n": "ä"}


def test_headers_are_kept_without_credentials() -> None:
    sender = Sender()

    answer = sender.post(HTTP_X_ATLASSIAN_WEBHOOK_IDENTIFIER="w-1", HTTP_COOKIE="a=b", HTTP_X_AUTH_TOKEN="t")

    body = Message.objects.get(body_id=answer.json()["response_id"]).body
    assert body.headers == {"content-type": "application/json", "x-atlassian-webhook-identifier": "w-1"}


def test_xml_is_accepted_as_it_is() -> None:
    answer = Sender().post("<incident><number>INC1</number></incident>", content_type="text/xml")

    message = Message.objects.get(body_id=answer.json()["response_id"])
    assert message.body.content_type == "text/xml"


def test_accept_header_never_refuses_a_ticket() -> None:
    answer = Sender().post(path=f"{MESSAGES}?format=xml", HTTP_ACCEPT="application/xml")

    assert answer.status_code == 202
    assert answer["Content-Type"] == "application/json"


def test_suspended_endpoint_still_gets_202() -> None:
    sender = Sender(make_endpoint(status=EndpointStatus.SUSPENDED))

    assert sender.post().status_code == 202


def test_malformed_body_is_recorded_as_faulty() -> None:
    answer = Sender().post(b'{"number": ')

    message = Message.objects.get(body_id=answer.json()["response_id"])
    assert answer.status_code == 400
    assert (message.state, message.reason) == (MessageState.FAULTY, "malformed")
    assert message.body.raw == b'{"number": '
    assert "no JSON" in message.body.problem


@pytest.mark.django_db(transaction=True)
def test_accepting_costs_one_statement(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(receiver_logins, "IDENTIFIED_SECONDS", 3600)
    sender = Sender()
    sender.post()

    with django_assert_num_queries(1):  # body and queue row together; the login is known for a second
        sender.post()


def test_own_message_tells_its_state() -> None:
    sender = Sender()
    message = make_message(sender.endpoint, state=MessageState.ROUTED)
    delivery = make_delivery(message)
    make_participant(message.conversation, delivery.endpoint, number="OPS-7")

    status = sender.get(f"{MESSAGES}/{message.response_id}").json()

    assert (status["response_id"], status["state"]) == (message.response_id, "routed")
    assert status["conversation"] == str(message.conversation_id)
    [told] = status["deliveries"]
    assert (told["endpoint"], told["state"], told["number"]) == (delivery.endpoint.name, "queued", "OPS-7")


def test_others_messages_are_not_found() -> None:
    message = make_message()

    answer = Sender().get(f"{MESSAGES}/{message.response_id}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_description_is_openapi_3_0_3() -> None:
    answer = Client().get("/api/v1/schema", HTTP_ACCEPT="application/json")

    schema = json.loads(answer.content)
    assert schema["openapi"] == "3.0.3"
    assert set(schema["paths"]) == {
        "/api/v1/messages",
        "/api/v1/messages/{response_id}",
        "/api/v1/attachments",
    }
    assert {"basic", "tokenParameter"} <= set(schema["components"]["securitySchemes"])


def test_docs_page_loads_nothing_from_elsewhere() -> None:
    answer = Client().get("/api/v1/docs")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "swagger-ui" in page
    assert "https://" not in page
    assert "//cdn" not in page
