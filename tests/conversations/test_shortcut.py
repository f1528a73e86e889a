"""The way around what only pages need: the API gives up none of its protection, pages none of theirs."""

import pytest
from django.test import Client
from pytest_django import Settings

from tests.conversations.inbound import MESSAGES, Sender

pytestmark = pytest.mark.django_db


def test_answer_keeps_what_protects_it() -> None:
    answer = Sender().post()

    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Length"] == str(len(answer.content))


def test_plain_http_is_refused_where_tls_is_asked_for(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert Sender().post().status_code == 301


def test_unknown_host_is_refused() -> None:
    assert Sender().post(HTTP_HOST="else.where").status_code == 400


def test_api_touches_no_session() -> None:
    sender = Sender()

    answer = sender.post(HTTP_COOKIE="sessionid=abc; zone=Europe/Helsinki")

    assert answer.status_code == 202
    assert not hasattr(answer.wsgi_request, "session")


@pytest.mark.parametrize("path", ["/api/v1/docs", "/api/v1/schema", "/admin/login/", "/apiary"])
def test_pages_keep_their_whole_chain(path: str) -> None:
    answer = Client().get(path)

    assert answer["X-Frame-Options"] == "DENY"
    assert hasattr(answer.wsgi_request, "session")


@pytest.mark.parametrize("path", ["/api/v1/docs/", "/api/v1/schema.json", "/qa/api/v1/docs", "/api/\nx"])
def test_other_addresses_of_the_api_answer_json(path: str) -> None:
    answer = Client().get(path)

    assert answer.json()["error"]["code"] == "not_found"


def test_other_methods_are_told_what_is_allowed() -> None:
    answer = Client().put(MESSAGES, HTTP_AUTHORIZATION=Sender().basic)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")
