"""Bad requests of every kind: each gets a code, a sentence and what to do, and none is a 500."""

from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from conversations import limits
from conversations.models import Attachment, Message
from conversations.problems import as_problem
from endpoints.adapters import ADAPTERS
from endpoints.adapters.base import Adapter
from tests.conversations.inbound import ATTACHMENTS, MESSAGES, Sender, basic
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db
FORM = "multipart/form-data; boundary=xx"
DEEP = b'{"a":' * 65 + b"1" + b"}" * 65
DEEP_XML = b"<a>" * 65 + b"</a>" * 65
BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
OUTSIDE = b'<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><a/>'


@dataclass(frozen=True)
class Bad:
    """A bad request and the status and code it has to get."""

    name: str
    status: int
    code: str
    body: bytes = b"{}"
    path: str = MESSAGES
    content_type: str = "application/json"
    headers: dict[str, Any] = field(default_factory=dict)


def malformed(name: str, body: bytes, content_type: str = "application/json") -> Bad:
    return Bad(name, 400, "malformed", body, content_type=content_type)


def login(name: str, value: str) -> Bad:
    return Bad(name, 401, "unauthorized", headers={"HTTP_AUTHORIZATION": value})


def media(name: str, content_type: str) -> Bad:
    return Bad(name, 415, "unsupported_media_type", content_type=content_type)


def form(name: str, body: bytes, content_type: str = FORM) -> Bad:
    return Bad(name, 400, "malformed", body, ATTACHMENTS, content_type)


BAD = [
    malformed("empty", b""),
    malformed("blank", b"  \n"),
    malformed("cut off", b'{"a": '),
    malformed("trailing text", b"{} {}"),
    malformed("single quotes", b"{'a': 1}"),
    malformed("duplicate key", b'{"a": 1, "a": 2}'),
    malformed("duplicate key inside", b'{"a": {"b": 1, "b": 1}}'),
    malformed("NaN", b'{"a": NaN}'),
    malformed("Infinity", b'{"a": -Infinity}'),
    malformed("lone surrogate", b'{"a": "\\ud800"}'),
    malformed("lone surrogate key", b'{"\\uDFFF": 1}'),
    malformed("NUL", b'{"a": "\\u0000"}'),
    malformed("raw control character", b'{"a": "\x01"}'),
    malformed("too deep", DEEP),
    malformed("far too deep", b"[" * 200_000),
    malformed("huge number", b'{"a": ' + b"9" * 5000 + b"}"),
    malformed("list", b"[1, 2]"),
    malformed("list of two objects", b"[{}, {}]"),
    malformed("text", b'"a"'),
    malformed("null", b"null"),
    malformed("not UTF-8", b'{"a": "\xff"}'),
    malformed("UTF-16 without saying so", '{"a": 1}'.encode("utf-16")),
    malformed("not the character set said", b'{"a": "\xff"}', "application/json; charset=us-ascii"),
    malformed("XML cut off", b"<a><b>", "application/xml"),
    malformed("XML empty", b"", "application/xml"),
    malformed("XML entity bomb", BOMB, "application/xml"),
    malformed("XML outside entity", OUTSIDE, "text/xml"),
    malformed("XML too deep", DEEP_XML, "application/xml"),
    malformed("XML in no known encoding", b'<?xml version="1.0" encoding="klingon"?><a/>', "application/xml"),
    malformed("XML that is JSON", b"{}", "application/xml"),
    malformed("XML with NUL", b"<a>\x00</a>", "application/xml"),
    login("wrong password", basic("nobody", "wrong")),
    login("basic without colon", "Basic YWJj"),
    login("basic not base64", "Basic %%%"),
    login("basic not ASCII", "Basic \xe4\xe4"),
    login("basic empty", "Basic "),
    login("basic NUL", basic("a\0b", "c")),
    login("basic huge", basic("a" * 20_000, "b" * 20_000)),
    login("unknown bearer", "Bearer abc"),
    login("other scheme", "Digest abc"),
    login("nothing", ""),
    Bad("odd token", 401, "unauthorized", path="/api?auth_token=%FF%00", headers={"HTTP_AUTHORIZATION": ""}),
    media("plain text", "text/plain"),
    media("form", "application/x-www-form-urlencoded"),
    media("rubbish", "a/b/c;;;="),
    media("unknown charset", "application/json; charset=klingon"),
    media("python codec", "application/json; charset=unicode_escape"),
    media("endless", "application/json; x=" + "y" * 5000),
    Bad("gzip", 415, "unsupported_media_type", headers={"HTTP_CONTENT_ENCODING": "gzip"}),
    Bad("rubbish encoding", 415, "unsupported_media_type", headers={"HTTP_CONTENT_ENCODING": "\xff,,x"}),
    Bad("too large", 413, "too_large", b" " * (1024 * 1024 + 1)),
    Bad("endless key", 400, "malformed", headers={"HTTP_IDEMPOTENCY_KEY": "k" * 256}),
    Bad("too many parameters", 400, "malformed", path=MESSAGES + "?" + "a=1&" * 1100),
    Bad("NUL parameter", 400, "malformed", path=f"{MESSAGES}?a=%00"),
    Bad("unknown address", 404, "not_found", path="/api/v2/messages"),
    Bad("unknown address in QA", 404, "not_found", path="/qa/api/x"),
    Bad("post to a message", 405, "method_not_allowed", path=f"{MESSAGES}/{UUID(int=1)}"),
    Bad("file without ticket", 400, "malformed", path="/api/v1/attachments?file_name=a"),
    Bad("file with endless id", 400, "malformed", path=ATTACHMENTS + "&external_id=" + "x" * 256),
    Bad("file without name", 400, "malformed", path="/api/v1/attachments?entity_type=a&external_id=b"),
    Bad("file without length", 411, "length_required", b"x", ATTACHMENTS, headers={"CONTENT_LENGTH": ""}),
    Bad("file named dots", 400, "malformed", path=ATTACHMENTS + "&file_name=.."),
    form("form without boundary", b"x", "multipart/form-data"),
    form("form without parts", b"--xx--\r\n"),
    form("form without file", b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--xx--\r\n'),
    form("form without headers", b"--xx\r\n\r\nabc\r\n--xx--\r\n"),
    form("form of something else", b"abc" * 1000),
    form("form with endless preamble", b"a" * 1_000_000),
    form("form not closed", b'--xx\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nabc'),
    form("form header not UTF-8", b"--xx\r\nContent-Disposition: \xff\r\n\r\nabc\r\n--xx--\r\n"),
    form("form of one line break", b"\r\n"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_request_gets_a_helpful_answer(bad: Bad) -> None:
    answer = Sender().post(bad.body, bad.path, bad.content_type, **bad.headers)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (bad.status, bad.code)
    assert error["message"].endswith(".")
    assert error["what_to_do"].endswith(".")


@pytest.mark.parametrize(
    "bad", [bad for bad in BAD if bad.code == "malformed" and "form" in bad.content_type]
)
def test_malformed_form_leaves_no_file(bad: Bad) -> None:
    answer = Sender().post(bad.body, bad.path, bad.content_type)

    assert not Attachment.objects.exists()
    assert Message.objects.get().response_id == answer.json()["response_id"]


def test_too_large_message_names_the_other_address() -> None:
    answer = Sender().post(b"x" * 2_000_000)

    assert "/api/v1/attachments" in answer.json()["error"]["what_to_do"]
    assert not Message.objects.exists()


def test_too_large_file_is_refused_unread(settings: Settings) -> None:
    settings.ATTACHMENT_MAX_BYTES = 1000

    answer = Sender().post(b"x", ATTACHMENTS, "text/plain", CONTENT_LENGTH="100000")

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(("kind", "adapter"), [*ADAPTERS.items(), ("unknown", Adapter)])
def test_full_disk_asks_to_come_back(kind: str, adapter: type[Adapter], settings: Settings) -> None:
    settings.DISK_MIN_FREE_BYTES = 2**62

    answer = Sender(make_endpoint(kind)).post()

    assert (answer.status_code, answer.json()["error"]["code"]) == (adapter.throttle_answer, "disk_full")
    assert int(answer["Retry-After"]) > 0


def test_other_methods_are_answered_in_json() -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"):
        answer = Client().generic(method, MESSAGES, HTTP_AUTHORIZATION=Sender().basic)

        assert answer.status_code == 405


def test_unforeseen_failure_is_503_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(limits, "check", side_effect=RuntimeError("secret payload")):
        answer = Sender().post()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "internal")
    assert int(answer["Retry-After"]) > 0
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text + answer.content.decode()


def test_database_that_is_down_means_503() -> None:
    sender = Sender()
    failing = connection.execute_wrapper(_no_database)

    with failing:
        answer = sender.post()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
    assert int(answer["Retry-After"]) > 0


def test_every_error_of_the_driver_is_an_answer() -> None:
    for error in (psycopg.OperationalError("x"), psycopg.InterfaceError("x")):
        assert as_problem(error).code == "database_unavailable"


def _no_database(*args: Any) -> Any:
    raise OperationalError("the connection is lost")
