import logging

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from oneio import urls
from oneio.error_pages import failed
from tests.factories import make_environment
from tests.signed_in import signed_in


class Secret(Exception):
    """Quotes a ticket."""


def breaks(request: HttpRequest) -> HttpResponse:
    raise Secret("the caller's words")


urlpatterns = [path("breaks/", breaks), *urls.urlpatterns]
handler500 = urls.handler500


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_failed_page_has_the_logs_number(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(raise_request_exception=False)

    with caplog.at_level(logging.ERROR, "oneio.error_pages"):
        answer = client.get("/breaks/?ticket=INC0012")

    [record] = [entry for entry in caplog.records if entry.name == "oneio.error_pages"]
    assert answer.status_code == 500
    assert str(record.args[0]) in answer.content.decode()
    assert "/breaks/ Secret" in record.getMessage()
    assert "words" not in caplog.text
    assert "INC0012" not in record.getMessage()


def test_failed_page_needs_no_database() -> None:
    answer = failed(RequestFactory().get("/admin/"))

    assert b"Tickets go on flowing" in answer.content


@pytest.mark.django_db
def test_unknown_address_says_where_to_look() -> None:
    html = signed_in().get("/admin/conversations/no-such-page/").content.decode()

    assert "There is nothing at this address." in html
    assert 'href="/admin/conversations/message/"' in html


@pytest.mark.django_db
def test_refused_page_says_whom_to_ask() -> None:
    viewer = signed_in("viewer", make_environment())

    answer = viewer.get("/admin/endpoints/endpoint/add/")

    assert answer.status_code == 403
    assert "Your role does not allow this." in answer.content.decode()


@pytest.mark.django_db
def test_form_without_its_token_is_explained() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "ada"})

    assert answer.status_code == 403
    assert "This form is too old to be sent." in answer.content.decode()
