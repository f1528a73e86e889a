"""Files reach ServiceNow, Jira and REST systems whole and once, and come from them, over HTTP."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from endpoints.adapters.base import Action, Adapter, Command, OutgoingFile, Reference, Unrenderable
from endpoints.adapters.jira import JiraAdapter
from endpoints.adapters.rest import RestAdapter
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import Attachment
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Found, Outcome, RemoteItem, Result
from endpoints.sandbox.jira.app import JiraSandbox
from endpoints.sandbox.servicenow.application import ServiceNowApp
from tests.endpoints.adapters.conftest import INCIDENT, jira_config, received, servicenow_config
from tests.endpoints.adapters.test_rest import endpoint
from tests.endpoints.wire import OK, Wire, serve

PIECES = [b"a" * 70_000, b"\x00\xff\r\n", b"z"]
WHOLE = b"".join(PIECES)
LONGEST = 10 * 1024 * 1024
REST = """
inbound:
  id: id
  attachments:
    - {path: files, id: no, name: title, type: mime, size: bytes, content: data}
operations:
  attach: {path: "/tickets/{{ target.id }}/files", id: file.id}
  download: {path: "/files/{{ file.id }}"}
  lookup_file: {path: /files, query: {ticket: "{{ target.id }}", name: "{{ file.name }}"}, id: no}
"""
INLINE = """
inbound: {id: id}
operations:
  attach: {path: /files, send: inline, body: {name: "{{ file.name }}", data: "{{ file.content }}"}, id: id}
"""
RAW = """
inbound: {id: id}
operations:
  attach: {path: /files, send: raw, headers: {X-Name: "{{ file.name }}"}, id: id}
"""


def file(name: str = "trace.log", pieces: list[bytes] | None = None, size: int | None = None) -> OutgoingFile:
    whole = PIECES if pieces is None else pieces
    length = len(b"".join(whole)) if size is None else size
    return OutgoingFile(name, "text/plain", length, lambda: iter(whole))


def attach(
    adapter: Adapter, target: Reference, http: HttpClient, sent: OutgoingFile | None = None
) -> Outcome:
    return adapter.send(adapter.render(order(target, sent)), http)


def order(target: Reference, sent: OutgoingFile | None = None) -> Command:
    return Command(Action.ATTACH, INCIDENT, "5f0c9a", target, file=sent or file())


def ticket(adapter: Adapter, http: HttpClient) -> Reference:
    made = Command(
        Action.CREATE, INCIDENT, "c1", attributes={"title": "Mail is down", "issuetype": "Incident"}
    )
    outcome = adapter.send(adapter.render(made), http)
    return Reference(outcome.external_id, outcome.number)


@pytest.fixture(params=["servicenow", "jira"])
def system(request: pytest.FixtureRequest) -> tuple[Any, Adapter]:
    app = request.getfixturevalue(request.param)
    if isinstance(app, ServiceNowApp):
        return app, ServiceNowAdapter(servicenow_config(app.base_url))
    return app, JiraAdapter(jira_config(app.base_url))


def kept(app: ServiceNowApp | JiraSandbox) -> list[tuple[str, bytes]]:
    """The files that the simulated system holds: id and bytes."""
    if isinstance(app, ServiceNowApp):
        rows = [row["sys_id"] for row in app.store.rows("sys_attachment")]
        return [(one, app.store.get_bytes("sys_attachment_content", one) or b"") for one in rows]
    return [
        (row["id"], app.store.get_bytes("content", row["id"]) or b"") for row in app.store.rows("attachment")
    ]


@pytest.mark.parametrize("pieces", [PIECES, [], [b"", b"x"]])
@pytest.mark.parametrize("name", ["trace.log", 'Bild "1" ä&=.png'])
def test_file_arrives_whole(system: Any, http: HttpClient, name: str, pieces: list[bytes]) -> None:
    app, adapter = system

    outcome = attach(adapter, ticket(adapter, http), http, file(name, pieces))

    [(remote_id, content)] = kept(app)
    assert outcome.confirmed
    assert content == b"".join(pieces)
    assert outcome.items == (RemoteItem("attachment", remote_id),)


def test_lost_answer_of_an_upload_is_found_again(system: Any, http: HttpClient) -> None:
    app, adapter = system
    target = ticket(adapter, http)
    app.faults.replace([{"method": "POST", "drop": "after", "times": 1}])

    outcome = attach(adapter, target, http)
    verified = adapter.verify(order(target), datetime.now(UTC), http)

    [(remote_id, _)] = kept(app)
    assert outcome.result is Result.UNKNOWN
    assert verified.outcome
    assert verified.outcome.items == (RemoteItem("attachment", remote_id),)


def test_another_file_is_not_taken_for_it(system: Any, http: HttpClient) -> None:
    _, adapter = system
    target = ticket(adapter, http)
    attach(adapter, target, http)
    asked = [order(target, file("other.log")), order(target, file(pieces=[b"shorter"]))]

    found = [adapter.verify(each, datetime.now(UTC), http).found for each in asked]
    later = adapter.verify(order(target), datetime.now(UTC) + timedelta(hours=1), http).found

    assert [*found, later] == [Found.NO] * 3


def test_file_of_a_ticket_comes_back_whole(system: Any, http: HttpClient) -> None:
    app, adapter = system
    attach(adapter, ticket(adapter, http), http)
    [(remote_id, _)] = kept(app)
    taken: list[bytes] = []

    outcome = adapter.download(Attachment(remote_id, "trace.log"), http, taken.extend, LONGEST)

    assert outcome.confirmed
    assert b"".join(taken) == WHOLE


def test_file_that_is_too_large_is_given_up(system: Any, http: HttpClient) -> None:
    app, adapter = system
    attach(adapter, ticket(adapter, http), http)
    [(remote_id, _)] = kept(app)

    outcome = adapter.download(Attachment(remote_id, "trace.log"), http, lambda pieces: [*pieces], 1000)

    assert not outcome.confirmed
    assert outcome.code == "body_too_large"


def test_missing_file_is_an_outcome(system: Any, http: HttpClient) -> None:
    _, adapter = system

    outcome = adapter.download(Attachment("987654321", "x"), http, lambda pieces: [*pieces], LONGEST)

    assert (outcome.result, outcome.status) == (Result.REJECTED, 404)


@pytest.mark.parametrize("size", [len(WHOLE) - 1, len(WHOLE) + 1])
def test_file_of_another_length_is_not_sent_as_it(system: Any, http: HttpClient, size: int) -> None:
    app, adapter = system

    outcome = attach(adapter, ticket(adapter, http), http, file(size=size))

    assert not outcome.confirmed
    assert kept(app) == []


def broken() -> Iterator[bytes]:
    yield b"begin"
    raise OSError


def test_file_that_cannot_be_read_is_an_outcome(system: Any, http: HttpClient) -> None:
    app, adapter = system

    outcome = attach(adapter, ticket(adapter, http), http, OutgoingFile("x", "text/plain", 9, broken))

    assert (outcome.code, kept(app)) == ("content", [])


def test_attempt_shows_the_size_and_never_the_bytes(system: Any, http: HttpClient) -> None:
    _, adapter = system

    outcome = attach(adapter, ticket(adapter, http), http, file(pieces=[b"geheim"]))

    assert outcome.request["body"] == "A file of 6 bytes"
    assert "geheim" not in str(outcome)


def test_without_a_file_nothing_is_rendered(system: Any, http: HttpClient) -> None:
    _, adapter = system

    with pytest.raises(Unrenderable, match="no file"):
        adapter.render(Command(Action.ATTACH, INCIDENT, "5f0c9a", Reference("1")))


@pytest.fixture
def wire() -> Iterator[Wire]:
    def script(wire: Wire, connection: socket.socket, number: int) -> None:
        while request := wire.take(connection):
            answer = b'{"id": "f1", "file": {"id": "f1"}}' if request.startswith(b"POST") else b"[]"
            answer = WHOLE if request.startswith(b"GET /files/") else answer
            connection.sendall(OK.replace(b"2\r\n\r\n{}", b"%d\r\n\r\n%b" % (len(answer), answer)))

    with serve(script) as running:
        yield running


def rest(wire: Wire, declaration: str) -> RestAdapter:
    return RestAdapter(endpoint(declaration, wire.url("/")))


def test_rest_system_gets_a_form(wire: Wire, http: HttpClient) -> None:
    outcome = attach(rest(wire, REST), Reference("7"), http)

    request = wire.requests[-1]
    assert outcome.items == (RemoteItem("attachment", "f1"),)
    assert (
        b'name="file"; filename="trace.log"\r\nContent-Type: text/plain\r\n\r\n' + WHOLE + b"\r\n--"
        in request
    )


def test_rest_system_gets_the_raw_bytes(wire: Wire, http: HttpClient) -> None:
    attach(rest(wire, RAW), Reference("7"), http)

    head, _, body = wire.requests[-1].partition(b"\r\n\r\n")
    assert body == WHOLE
    assert re.search(rb"(?i)^content-type: text/plain\r\n", head, re.MULTILINE)
    assert b"X-Name: trace.log" in head


def test_rest_system_gets_base64_in_its_body(wire: Wire, http: HttpClient) -> None:
    outcome = attach(rest(wire, INLINE), Reference("7"), http)

    body = json.loads(wire.requests[-1].partition(b"\r\n\r\n")[2])
    assert b64decode(body["data"]) == WHOLE
    assert outcome.request["body"] == {"name": "trace.log", "data": f"({len(WHOLE)} bytes)"}


def test_large_file_is_not_put_into_a_body(wire: Wire) -> None:
    with pytest.raises(Unrenderable, match="8388608 bytes at most"):
        rest(wire, INLINE).render(order(Reference("7"), file(size=9 * 1024 * 1024)))


def test_rest_system_hands_out_a_file(wire: Wire, http: HttpClient) -> None:
    taken: list[bytes] = []

    rest(wire, REST).download(Attachment("f 1", "x"), http, taken.extend, LONGEST)

    assert b"".join(taken) == WHOLE
    assert wire.requests[-1].startswith(b"GET /files/f%201 ")


def test_rest_system_without_download_says_so(wire: Wire, http: HttpClient) -> None:
    outcome = rest(wire, RAW).download(Attachment("f1", "x"), http, lambda pieces: None, LONGEST)

    assert outcome.failure is Failure.CONFIGURATION
    assert "operations.download" in outcome.detail


def test_files_of_a_rest_message_are_read() -> None:
    body = {"id": 1, "files": [{"no": 4, "title": "a.txt", "mime": "text/plain", "bytes": 2, "data": "aGk="}]}

    message = RestAdapter(endpoint(REST)).read(received(body))

    assert message.attachments == (Attachment("4", "a.txt", "text/plain", 2, content="aGk="),)
