from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.adapters.base import (
    Action,
    Capability,
    Command,
    EndpointConfig,
    EntityConfig,
    Received,
    Reference,
    Token,
    Unreadable,
    Unrenderable,
)
from endpoints.adapters.rest import (
    DeclarationError,
    RestAdapter,
    declaration_from_mapping,
    declaration_from_text,
)
from endpoints.canonical import Actor, CanonicalMessage, Comment, EntityKind, Operation, Visibility
from endpoints.http import HttpClient, NetworkPolicy
from endpoints.outcomes import Failure, Found, Outcome, RemoteItem, Result
from tests.endpoints.wire import Wire, serve

NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)

DESK = """
auth: {kind: basic}
times: iso
error: error.message
link: "{{ base_url }}/agent/tickets/{{ id }}"
attributes:
  title: subject
  description: description
  status: {native: status, values: {new: New, open: Open, pending: Pending, solved: Solved}}
  priority: {native: priority, values: {low: Low, normal: Normal, high: High, urgent: Urgent}}
  labels: tags
  reporter: requester.email
  partner_reference: {native: external_id}
  created_at: created_at
inbound:
  record: detail
  id: detail.id
  number: detail.id
  entity_type: {path: type, pattern: 'event-type:(\\w+)\\.'}
  operation:
    path: type
    pattern: '[^.]*$'
    values: {created: create, comment_added: comment, status_changed: update, soft_deleted: delete}
    default: update
  actor: {id: event.actor.id, name: event.actor.name}
  occurred_at: time
  event_id: id
  effect_key: detail.tags
  effect_key_prefix: "oneio_"
  comments:
    - path: event.comment
      id: id
      text: body
      at: created_at
      author: {id: author.id, name: author.name}
      visibility: {path: is_public, values: {true: public, false: internal}}
operations:
  create:
    path: /api/v2/tickets.json
    headers: {Idempotency-Key: "{{ effect_key }}"}
    body:
      ticket: "{{ fields }}"
      meta: {source: "oneio for {{ partner.number }}", type: "{{ entity.remote_name }}"}
    id: ticket.id
    number: ticket.id
    success: [201]
  update:
    method: PUT
    path: /api/v2/tickets/{{ target.id }}.json
    body: {ticket: {subject: "{{ fields.subject }}", status: "{{ fields.status }}"}}
  comment:
    method: PUT
    path: /api/v2/tickets/{{ target.id }}.json
    body: {ticket: {comment: {body: "{{ comment.text }}", public: "{{ comment.public }}"}}}
    id: audit.events[0].id
  write_back:
    method: PUT
    path: /api/v2/tickets/{{ target.id }}.json
    body: {ticket: {external_id: "{{ partner.number }}"}}
  lookup:
    path: /api/v2/search.json
    query: {query: "type:ticket tags:oneio_{{ effect_key }}"}
    items: results
    key: tags
    id: id
    number: id
    settles_in: 90
  fetch:
    path: /api/v2/tickets/{{ target.id }}.json
    document: {type: "zen:event-type:ticket.updated", detail: "{{ answer.ticket }}"}
  check: {path: /api/v2/users/me.json, success_check: {path: user.active}}
"""

CREATED = {
    "type": "zen:event-type:ticket.created",
    "account_id": 88888888,
    "id": "01HNXXXXCTEXAMPLE",
    "time": "2024-04-17T17:18:10Z",
    "zendesk_event_version": "2022-11-06",
    "subject": "zen:ticket:35436",
    "detail": {
        "id": "35436",
        "subject": "Printer on floor 3 prints blank pages",
        "description": "Since this morning.",
        "status": "open",
        "priority": "high",
        "tags": ["printer", "vip"],
        "requester": {"id": "8447388090495", "email": "maria@example.com"},
        "via": {"channel": "web"},
        "created_at": "2024-04-17T17:18:10Z",
    },
    "event": {"actor": {"id": "8447388090495", "name": "Maria Virtanen"}},
}

TICKETS = """
auth: {kind: bearer}
times: {format: "%d.%m.%Y %H:%M", zone: Europe/Helsinki}
attributes:
  title: Title
  priority: {native: Priority, values: {1: Critical, 2: High}}
  due_at: DueDate
  budget: {native: Budget, type: number}
inbound:
  id: TicketID
  operation: {header: X-Event, values: {insert: create}, default: update}
  event_id: {header: X-Delivery}
  comments: [{path: Notes, visibility: public}]
operations:
  create:
    path: /ticket
    query: {notify: "{{ settings.notify }}"}
    body: {Ticket: "{{ fields }}", Key: "{{ effect_key }}"}
    id: {header: Location, pattern: '/ticket/(\\d+)$'}
    success_check: {path: Success, equals: 1}
  update:
    method: PATCH
    path: /ticket/{{ entity.remote_name }}/{{ target.id }}
    body: {Title: "{{ attributes.title | upcase }}", Priority: "{{ fields.Priority }}"}
    success_check: {path: Success, equals: 1}
"""

TICKET = EntityConfig("incident", EntityKind.INCIDENT, "ticket")
Handler = Callable[[str, str, Mapping[str, str], str], tuple[int, Any, dict[str, str]]]


def endpoint(declaration: str = DESK, base_url: str = "http://desk.example", **more: Any) -> EndpointConfig:
    settings = {"declaration": declaration, "username": "agent/token", **more.pop("settings", {})}
    parts: dict[str, Any] = {
        "id": 1,
        "name": "Desk",
        "base_url": base_url,
        "timezone": ZoneInfo("Europe/Berlin"),
        "settings": settings,
        "secrets": {"password": "s3cret", "api_key": "k3y", "client_secret": "cl13nt"},
        "entities": (TICKET,),
    }
    return EndpointConfig(**{**parts, **more})


def received(body: Mapping[str, Any], **headers: str) -> Received:
    return Received(body, {}, {name.replace("_", "-"): value for name, value in headers.items()}, NOW)


def read(body: Mapping[str, Any], declaration: str = DESK, **headers: str) -> CanonicalMessage:
    return RestAdapter(endpoint(declaration)).read(received(body, **headers))


def command(action: Action = Action.CREATE, **parts: Any) -> Command:
    target = None if action is Action.CREATE else Reference("35436", "35436", "")
    given = {"target": target, "partner": Reference("abc", "INC0010001"), **parts}
    return Command(action, TICKET, "k" * 32, **given)


class Api:
    """A fake JSON API on a real socket; `handle(method, target, headers, body)` answers."""

    def __init__(self, wire: Wire, client: HttpClient) -> None:
        self.wire, self.client = wire, client

    def adapter(self, declaration: str = DESK, **more: Any) -> RestAdapter:
        return RestAdapter(endpoint(declaration, self.wire.url("/"), **more))

    def send(self, order: Command, declaration: str = DESK, **more: Any) -> Outcome:
        adapter = self.adapter(declaration, **more)
        return adapter.send(adapter.render(order), self.client)

    @property
    def last(self) -> tuple[str, str, dict[str, str], str]:
        return parsed(self.wire.requests[-1])


def parsed(request: bytes) -> tuple[str, str, dict[str, str], str]:
    head, _, body = request.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return *first.split(" ")[:2], headers, body  # type: ignore[return-value]


@pytest.fixture
def api() -> Iterator[Callable[..., Any]]:
    stack: list[Any] = []

    def start(handle: Handler | tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> Api:
        def script(wire: Wire, connection: socket.socket, number: int) -> None:
            while request := wire.take(connection):
                status, body, *rest = handle(*parsed(request)) if callable(handle) else handle
                extra = "".join(f"{name}: {value}\r\n" for name, value in (rest[0] if rest else {}).items())
                data = b"" if body is None else json.dumps(body).encode()
                head = f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
                connection.sendall(head.encode() + data)

        context = serve(script)
        client = HttpClient(NetworkPolicy(allow_loopback=True))
        stack.append((context, client))
        return Api(context.__enter__(), client)

    yield start
    for context, client in stack:
        client.close()
        context.__exit__(None, None, None)


# Reading


def test_created_event_is_read_whole() -> None:
    message = read(CREATED)

    assert (message.operation, message.external_id, message.number) == (Operation.CREATE, "35436", "35436")
    assert (message.entity_type, message.kind) == ("incident", EntityKind.INCIDENT)
    assert message.link == "http://desk.example/agent/tickets/35436"
    assert message.actor == Actor("8447388090495", "Maria Virtanen")
    assert message.occurred_at == datetime(2024, 4, 17, 17, 18, 10, tzinfo=UTC)
    assert message.event_id == "01HNXXXXCTEXAMPLE"
    assert message.native == CREATED
    assert dict(message.attributes) == {
        "title": "Printer on floor 3 prints blank pages",
        "description": "Since this morning.",
        "status": "Open",
        "priority": "High",
        "labels": ["printer", "vip"],
        "reporter": "maria@example.com",
        "created_at": datetime(2024, 4, 17, 17, 18, 10, tzinfo=UTC),
    }
    assert dict(message.codes) == {"status": "open", "priority": "high"}


@pytest.mark.parametrize(("is_public", "seen"), [(True, Visibility.PUBLIC), (False, Visibility.INTERNAL)])
def test_comment_event_is_read(is_public: bool, seen: Visibility) -> None:
    comment = {
        "id": 7,
        "body": "On it",
        "is_public": is_public,
        "created_at": "2024-04-17T18:00:00Z",
        "author": {"id": 9, "name": "Olli"},
    }
    event = {**CREATED, "type": "zen:event-type:ticket.comment_added", "event": {"comment": comment}}

    message = read(event)

    assert message.operation is Operation.COMMENT
    at = datetime(2024, 4, 17, 18, tzinfo=UTC)
    assert message.comments == (Comment("7", "On it", seen, Actor("9", "Olli"), at),)


def test_own_mark_is_found_among_tags() -> None:
    detail = {**CREATED["detail"], "tags": ["vip", "oneio_abc123"]}  # type: ignore[dict-item]

    assert read({**CREATED, "detail": detail}).effect_key == "abc123"
    assert read(CREATED).effect_key == ""


def test_unknown_operation_is_default() -> None:
    assert read({**CREATED, "type": "zen:event-type:ticket.archived"}).operation is Operation.UPDATE


def test_headers_times_and_numbers_are_read() -> None:
    body = {
        "TicketID": 12,
        "Priority": 1,
        "DueDate": "01.07.2025 09:30",
        "Budget": "12.50",
        "Notes": ["a", "b"],
    }

    message = read(body, TICKETS, x_event="INSERT", x_delivery="d-1")

    assert (message.operation, message.external_id, message.event_id) == (Operation.CREATE, "12", "d-1")
    assert message.attributes["priority"] == "Critical"
    assert message.attributes["due_at"] == datetime(2025, 7, 1, 6, 30, tzinfo=UTC)
    assert message.attributes["budget"] == Decimal("12.50")
    assert [(comment.text, comment.visibility) for comment in message.comments] == [
        ("a", Visibility.PUBLIC),
        ("b", Visibility.PUBLIC),
    ]


@pytest.mark.parametrize(
    ("times", "raw", "moment"),
    [
        ("iso", "2025-01-02T03:04:05+02:00", datetime(2025, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("iso", "2025-01-02 03:04:05", datetime(2025, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("epoch", 1735787045, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("epoch", "1735787045.5", datetime(2025, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        ("epoch_ms", 1735787045000, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("'%Y%m%d%H%M%S'", "20250102030405", datetime(2025, 1, 2, 2, 4, 5, tzinfo=UTC)),
        ("iso", "", None),
        ("iso", None, None),
    ],
)
def test_times_are_read_as_declared(times: str, raw: Any, moment: datetime | None) -> None:
    declaration = f"times: {times}\ninbound: {{id: id, occurred_at: at}}"

    assert read({"id": 1, "at": raw}, declaration).occurred_at == moment


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"detail": {}}, "no ticket id at detail.id"),
        ({"type": "zen:event-type:user.created"}, "'user'"),
        ({"type": 5}, "No active entity type"),
        ({"time": "yesterday"}, "time at time"),
        ({"detail": {"id": 1, "created_at": "soon"}}, "created_at"),
    ],
)
def test_unreadable_message_says_why(change: dict[str, Any], says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read({**CREATED, **change})


def test_bad_value_is_not_repeated_in_error() -> None:
    with pytest.raises(Unreadable) as caught:
        read({"TicketID": 1, "Budget": "pa55word"}, TICKETS)

    assert "pa55word" not in str(caught.value)
    assert "budget" in str(caught.value)


def test_several_types_need_a_declared_place() -> None:
    two = (TICKET, EntityConfig("problem", EntityKind.PROBLEM, "problem"))

    with pytest.raises(Unreadable, match=r"inbound\.entity_type"):
        RestAdapter(endpoint(TICKETS, entities=two)).read(received({"TicketID": 1}))


def test_parameter_and_strict_operation_are_read() -> None:
    declaration = """
inbound:
  id: {parameter: ticket}
  operation: {path: event, values: {new: create}}
  actor: {email: by}
attributes: {vip: {native: vip, type: boolean}, labels: tags, count: {native: n, type: number}}
"""
    adapter = RestAdapter(endpoint(declaration))
    body = {"event": "new", "by": "a@b.c", "vip": "Yes", "tags": "one", "n": 1.5}

    message = adapter.read(replace(received(body), parameters={"ticket": "T-1"}))

    assert (message.external_id, message.actor) == ("T-1", Actor(email="a@b.c"))
    assert dict(message.attributes) == {"vip": True, "labels": ["one"], "count": Decimal("1.5")}
    with pytest.raises(Unreadable, match="'old' at event is no operation"):
        adapter.read(replace(received({"event": "old"}), parameters={"ticket": "T-1"}))


@pytest.mark.parametrize("raw", ["twelve", "NaN", "Infinity", ""])
def test_number_that_is_none_is_unreadable(raw: str) -> None:
    with pytest.raises(Unreadable, match="budget"):
        read({"TicketID": 1, "Budget": raw}, TICKETS)


# Rendering


def test_create_carries_fields_by_native_name() -> None:
    attributes = {"title": "No mail", "priority": "Urgent", "reporter": "a@b.c", "labels": ["x"], "floor": 3}

    [step] = RestAdapter(endpoint()).render(command(attributes=attributes)).steps

    assert (step.purpose, step.method, step.path) == ("create", "POST", "/api/v2/tickets.json")
    assert step.headers == {"Idempotency-Key": "k" * 32}
    assert step.body == {
        "ticket": {
            "subject": "No mail",
            "priority": "urgent",
            "requester": {"email": "a@b.c"},
            "tags": ["x"],
            "floor": 3,
        },
        "meta": {"source": "oneio for INC0010001", "type": "ticket"},
    }


def test_lone_path_keeps_type_and_missing_is_left_out() -> None:
    [step] = RestAdapter(endpoint()).render(command(Action.UPDATE, attributes={"status": "Solved"})).steps

    assert step.body == {"ticket": {"status": "solved"}}


def test_comment_keeps_its_visibility() -> None:
    comment = Comment("1", 'Say "hi"', Visibility.PUBLIC)

    [step] = RestAdapter(endpoint()).render(command(Action.COMMENT, comment=comment)).steps

    assert step.body == {"ticket": {"comment": {"body": 'Say "hi"', "public": True}}}


def test_same_command_gives_same_plan() -> None:
    order = command(attributes={"title": "x"})

    assert RestAdapter(endpoint()).render(order) == RestAdapter(endpoint()).render(order)


@pytest.mark.parametrize(
    ("action", "repeatable"),
    [(Action.CREATE, False), (Action.COMMENT, False), (Action.UPDATE, True), (Action.WRITE_BACK, True)],
)
def test_only_creates_and_comments_are_once(action: Action, repeatable: bool) -> None:
    assert RestAdapter(endpoint()).render(command(action)).repeatable is repeatable


@pytest.mark.parametrize(
    ("external_id", "path"),
    [
        ("a/b", "/api/v2/tickets/a%2Fb.json"),
        ("x y?z#1", "/api/v2/tickets/x%20y%3Fz%231.json"),
        ("../admin", "/api/v2/tickets/..%2Fadmin.json"),
        ("ä%2F", "/api/v2/tickets/%C3%A4%252F.json"),
    ],
)
def test_ids_in_paths_are_quoted(external_id: str, path: str) -> None:
    order = command(Action.UPDATE, target=Reference(external_id))

    assert RestAdapter(endpoint()).render(order).steps[0].path == path


@pytest.mark.parametrize("external_id", [".", "..", ""])
def test_id_that_would_leave_the_path_is_refused(external_id: str) -> None:
    order = command(Action.UPDATE, target=Reference(external_id))

    with pytest.raises(Unrenderable, match=r"operations\.update"):
        RestAdapter(endpoint(TICKETS)).render(order)


def test_undeclared_operation_is_unrenderable() -> None:
    with pytest.raises(Unrenderable, match=r"operations\.write_back"):
        RestAdapter(endpoint(TICKETS)).render(command(Action.WRITE_BACK))


def test_times_and_numbers_are_written_as_declared() -> None:
    attributes = {
        "due_at": datetime(2025, 7, 1, 6, 30, tzinfo=UTC),
        "budget": Decimal("12.50"),
        "priority": "High",
    }

    [step] = RestAdapter(endpoint(TICKETS)).render(command(attributes=attributes)).steps

    assert step.body["Ticket"] == {"DueDate": "01.07.2025 09:30", "Budget": 12.5, "Priority": 2}
    assert step.query == {}


def test_settings_reach_templates_but_no_secret() -> None:
    [step] = RestAdapter(endpoint(TICKETS, settings={"notify": "yes"})).render(command()).steps

    assert step.query == {"notify": "yes"}


# Sending


def test_create_gives_id_number_and_link(api: Callable[..., Api]) -> None:
    desk = api((201, {"ticket": {"id": 35437, "subject": "x"}}))

    outcome = desk.send(command(attributes={"title": "x"}))

    assert (outcome.result, outcome.status) == (Result.CONFIRMED, 201)
    assert (outcome.external_id, outcome.number) == ("35437", "35437")
    assert outcome.link == desk.wire.url("/agent/tickets/35437")
    assert outcome.written == {"title": "x"}
    method, target, headers, body = desk.last
    assert (method, target, headers["idempotency-key"]) == ("POST", "/api/v2/tickets.json", "k" * 32)
    assert headers["authorization"] == "Basic " + base64.b64encode(b"agent/token:s3cret").decode()
    assert json.loads(body)["ticket"] == {"subject": "x"}


def test_id_is_taken_from_a_header(api: Callable[..., Api]) -> None:
    desk = api((200, {"Success": 1}, {"Location": "https://t.example/ticket/77"}))

    assert desk.send(command(), TICKETS).external_id == "77"


def test_create_without_id_is_unknown(api: Callable[..., Api]) -> None:
    outcome = api((201, {"ok": True})).send(command())

    assert (outcome.result, outcome.code) == (Result.UNKNOWN, "no_id")


def test_only_carried_attributes_count_as_written(api: Callable[..., Api]) -> None:
    attributes = {"title": "x", "priority": "High", "labels": ["a"]}

    outcome = api((200, {})).send(command(Action.UPDATE, attributes=attributes))

    assert outcome.written == {"title": "x"}
    assert outcome.external_id == "35436"


def test_comment_id_is_kept_as_item(api: Callable[..., Api]) -> None:
    desk = api((200, {"ticket": {"id": 35436}, "audit": {"events": [{"id": 991, "type": "Comment"}]}}))

    outcome = desk.send(command(Action.COMMENT, comment=Comment("1", "hi")))

    assert outcome.items == (RemoteItem("comment", "991"),)
    assert outcome.external_id == "35436"


def test_write_back_writes_partner_number(api: Callable[..., Api]) -> None:
    desk = api((200, {}))

    outcome = desk.send(command(Action.WRITE_BACK))

    assert outcome.confirmed
    assert json.loads(desk.last[3]) == {"ticket": {"external_id": "INC0010001"}}


@pytest.mark.parametrize(
    ("status", "result", "failure"),
    [
        (401, Result.REJECTED, Failure.AUTHENTICATION),
        (403, Result.REJECTED, Failure.PERMISSION),
        (422, Result.REJECTED, Failure.DATA),
        (429, Result.NOT_EXECUTED, Failure.RATE_LIMITED),
        (500, Result.UNKNOWN, Failure.UNKNOWN),
        (200, Result.UNKNOWN, Failure.UNKNOWN),
    ],
)
def test_refusal_of_create_is_classified(
    api: Callable[..., Api], status: int, result: Result, failure: Failure
) -> None:
    outcome = api((status, {"error": {"message": "Because."}})).send(command())

    assert (outcome.result, outcome.failure, outcome.detail) == (result, failure, "Because.")


def test_remote_text_is_bounded(api: Callable[..., Api]) -> None:
    outcome = api((422, {"error": {"message": "x" * 100_000}})).send(command())

    assert 0 < len(outcome.detail) <= 4096


def test_failure_body_of_create_is_unknown(api: Callable[..., Api]) -> None:
    outcome = api((200, {"Success": 0, "Text": "no queue"})).send(command(), TICKETS)

    assert (outcome.result, outcome.code) == (Result.UNKNOWN, "failure_body")
    assert "no queue" in outcome.detail


def test_failure_body_of_update_is_data(api: Callable[..., Api]) -> None:
    outcome = api((200, {"Success": 0})).send(command(Action.UPDATE), TICKETS)

    assert (outcome.result, outcome.failure) == (Result.REJECTED, Failure.DATA)


def test_lost_answer_of_create_is_unknown() -> None:
    client = HttpClient(NetworkPolicy(allow_loopback=True))
    with serve(lambda wire, connection, number: wire.take(connection) and None) as wire:
        outcome = Api(wire, client).send(command())

    assert (outcome.result, outcome.code) == (Result.UNKNOWN, "reset")


AUTHS = [
    ("{kind: none}", "authorization", None),
    ("{kind: basic}", "authorization", "Basic " + base64.b64encode(b"agent/token:s3cret").decode()),
    ("{kind: bearer}", "authorization", "Bearer k3y"),
    ("{kind: header, name: X-Api-Key}", "x-api-key", "k3y"),
    ("{kind: header, name: Authorization, prefix: 'GenieKey '}", "authorization", "GenieKey k3y"),
    ("{kind: oauth2, token_url: /token}", "authorization", "Bearer t0ken"),
]


@pytest.mark.parametrize(("auth", "header", "value"), AUTHS)
def test_credentials_go_where_declared_and_nowhere_else(
    api: Callable[..., Api], auth: str, header: str, value: str | None
) -> None:
    desk = api((201, {"ticket": {"id": 1}}))

    outcome = desk.send(command(), DESK.replace("{kind: basic}", auth, 1), token="t0ken")

    assert desk.last[2].get(header) == value
    shown = json.dumps(dict(outcome.request)) + repr(outcome)
    assert not any(secret in shown for secret in ("s3cret", "k3y", "t0ken", "cl13nt"))


def test_query_key_is_sent_and_never_shown(api: Callable[..., Api]) -> None:
    desk = api((201, {"ticket": {"id": 1}}))

    outcome = desk.send(command(), DESK.replace("{kind: basic}", "{kind: query, name: key}", 1))

    assert parse_qs(urlsplit(desk.last[1]).query) == {"key": ["k3y"]}
    assert "k3y" not in repr(outcome)
    assert set(outcome.request) == {"method", "path", "query", "body", "headers"}


# Asking


OAUTH = DESK.replace(
    "{kind: basic}", "{kind: oauth2, token_url: /oauth/token, scope: tickets, parameters: {aud: x}}"
)


def test_token_is_fetched_by_client_credentials(api: Callable[..., Api]) -> None:
    desk = api((200, {"access_token": "t1", "expires_in": "1799", "token_type": "Bearer"}))

    token = desk.adapter(OAUTH, settings={"client_id": "me"}).acquire_token(desk.client)

    assert token == Token("t1", 1799)
    method, target, headers, body = desk.last
    assert (method, target) == ("POST", "/oauth/token")
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:cl13nt").decode()
    assert parse_qs(body) == {"grant_type": ["client_credentials"], "scope": ["tickets"], "aud": ["x"]}


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (401, {"error": "invalid_client"}, Failure.AUTHENTICATION),
        (400, {"error": "invalid_grant"}, Failure.AUTHENTICATION),
        (500, None, Failure.TRANSIENT),
        (200, {"no": "token"}, Failure.DATA),
    ],
)
def test_refused_token_says_who_must_act(
    api: Callable[..., Api], status: int, body: Any, failure: Failure
) -> None:
    desk = api((status, body))

    outcome = desk.adapter(OAUTH).acquire_token(desk.client)

    assert isinstance(outcome, Outcome)
    assert outcome.failure is failure
    assert "cl13nt" not in repr(outcome)


def test_without_oauth_no_token_is_fetched(api: Callable[..., Api]) -> None:
    desk = api((500, None))

    assert desk.adapter().acquire_token(desk.client) == Token("", 86400)
    assert desk.wire.requests == []


def test_earlier_create_is_found_by_its_mark(api: Callable[..., Api]) -> None:
    others = [{"id": 1, "tags": ["vip"]}, {"id": 2, "tags": ["oneio_other"]}]
    desk = api((200, {"results": [*others, {"id": 3, "tags": ["oneio_" + "k" * 32]}]}))

    found = desk.adapter().verify(command(), NOW, desk.client)

    assert found.found is Found.YES
    assert found.outcome is not None
    assert (found.outcome.external_id, found.outcome.confirmed) == ("3", True)
    assert parse_qs(urlsplit(desk.last[1]).query) == {"query": ["type:ticket tags:oneio_" + "k" * 32]}


@pytest.mark.parametrize("results", [[], [{"id": 1, "tags": ["vip"]}], None])
def test_absent_create_is_not_found(api: Callable[..., Api], results: Any) -> None:
    desk = api((200, {"results": results}))

    assert desk.adapter().verify(command(), NOW, desk.client).found is Found.NO


def test_failed_lookup_says_nothing(api: Callable[..., Api]) -> None:
    desk = api((503, None))

    found = desk.adapter().verify(command(), NOW, desk.client)

    assert found.found is Found.FAILED
    assert found.outcome is not None
    assert found.outcome.failure is Failure.TRANSIENT


COMMENTS = DESK.replace(
    "  lookup:\n",
    """  lookup_comment:
    path: /api/v2/tickets/{{ target.id }}/comments.json
    items: comments
    key: body
    id: id
    none: [404]
  lookup:
""",
)


def test_earlier_comment_is_found_by_its_mark(api: Callable[..., Api]) -> None:
    desk = api((200, {"comments": [{"id": 1, "body": "Hi"}, {"id": 2, "body": "Hi [" + "k" * 32 + "]"}]}))

    found = desk.adapter(COMMENTS).verify(command(Action.COMMENT), NOW, desk.client)

    assert found.found is Found.YES
    assert found.outcome is not None
    assert found.outcome.items == (RemoteItem("comment", "2"),)
    assert found.outcome.external_id == "35436"


def test_declared_status_means_nothing_found(api: Callable[..., Api]) -> None:
    desk = api((404, {}))

    assert desk.adapter(COMMENTS).verify(command(Action.COMMENT), NOW, desk.client).found is Found.NO


def test_found_ticket_without_id_says_nothing(api: Callable[..., Api]) -> None:
    desk = api((200, {"results": [{"tags": ["oneio_" + "k" * 32]}]}))

    found = desk.adapter().verify(command(), NOW, desk.client)

    assert found.found is Found.FAILED
    assert found.outcome is not None
    assert found.outcome.code == "no_id"


def test_lookup_that_cannot_be_asked_says_why(api: Callable[..., Api]) -> None:
    desk = api((200, {}))
    lost = command(Action.COMMENT, target=None)

    found = desk.adapter(COMMENTS).verify(lost, NOW, desk.client)

    assert found.found is Found.FAILED
    assert found.outcome is not None
    assert "target.id" in found.outcome.detail


@pytest.mark.parametrize("action", [Action.COMMENT, Action.UPDATE])
def test_what_has_no_lookup_is_unanswerable(api: Callable[..., Api], action: Action) -> None:
    desk = api((200, {}))

    assert desk.adapter().verify(command(action), NOW, desk.client).found is Found.UNANSWERABLE
    assert desk.wire.requests == []


def test_ticket_is_fetched_as_message(api: Callable[..., Api]) -> None:
    desk = api((200, {"ticket": {"id": 35436, "subject": "Now", "status": "pending"}}))

    message = desk.adapter().fetch(TICKET, "35436", desk.client)

    assert isinstance(message, CanonicalMessage)
    assert dict(message.attributes) == {"title": "Now", "status": "Pending"}
    assert desk.last[:2] == ("GET", "/api/v2/tickets/35436.json")


def test_fetch_of_lost_ticket_is_an_outcome(api: Callable[..., Api]) -> None:
    desk = api((404, {"error": {"message": "gone"}}))

    outcome = desk.adapter().fetch(TICKET, "1", desk.client)

    assert isinstance(outcome, Outcome)
    assert (outcome.failure, outcome.detail) == (Failure.DATA, "gone")


@pytest.mark.parametrize(("body", "says"), [({}, "no ticket id"), ([], "not a JSON object")])
def test_fetched_answer_must_make_a_message(api: Callable[..., Api], body: Any, says: str) -> None:
    desk = api((200, body))
    declaration = DESK.replace(
        'document: {type: "zen:event-type:ticket.updated", detail: "{{ answer.ticket }}"}', ""
    )

    with pytest.raises(Unreadable, match=says):
        desk.adapter(declaration).fetch(TICKET, "1", desk.client)


def test_undeclared_questions_are_configuration(api: Callable[..., Api]) -> None:
    desk = api((200, {}))
    adapter = desk.adapter(TICKETS)

    outcomes = [adapter.fetch(TICKET, "1", desk.client), adapter.check_credentials(desk.client)]

    assert [isinstance(outcome, Outcome) and outcome.failure for outcome in outcomes] == [
        Failure.CONFIGURATION,
        Failure.CONFIGURATION,
    ]
    assert desk.wire.requests == []


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (200, {"user": {"active": True}}, None),
        (401, {}, Failure.AUTHENTICATION),
        (200, {"user": None}, Failure.DATA),
    ],
)
def test_credentials_are_checked_by_declared_request(
    api: Callable[..., Api], status: int, body: Any, failure: Failure | None
) -> None:
    desk = api((status, body))

    outcome = desk.adapter().check_credentials(desk.client)

    assert outcome.failure is failure


def test_check_fetches_a_token_first(api: Callable[..., Api]) -> None:
    def handle(method: str, target: str, headers: Mapping[str, str], body: str) -> tuple[int, Any]:
        return 200, {"access_token": "t9"} if target == "/oauth/token" else {"user": {"active": True}}

    desk = api(handle)

    assert desk.adapter(OAUTH).check_credentials(desk.client).confirmed
    assert desk.last[2]["authorization"] == "Bearer t9"


# Declaring


def test_capabilities_follow_the_declaration() -> None:
    desk, tickets = RestAdapter(endpoint()), RestAdapter(endpoint(TICKETS))

    assert desk.capabilities == {Capability.VERIFY, Capability.WRITE_BACK, Capability.FETCH}
    assert desk.verify_settles_in == timedelta(seconds=90)
    assert tickets.capabilities == frozenset()
    assert Capability.TOKEN in RestAdapter(endpoint(OAUTH)).capabilities


def test_fields_are_described_with_choices() -> None:
    adapter = RestAdapter(endpoint(TICKETS))

    described = {field.name: field for field in adapter.describe(TICKET)}

    assert described["Priority"].choices == (("1", "Critical"), ("2", "High"))
    assert adapter.attribute_name("DueDate") == "due_at"
    assert adapter.attribute_name("Other") == "Other"


def test_code_may_declare_an_endpoint_type(api: Callable[..., Api]) -> None:
    class Desk(RestAdapter):
        kind = "desk"
        label = "Desk"
        declaration = declaration_from_text(DESK)

    adapter = Desk(endpoint(""))

    assert adapter.read(received(CREATED)).external_id == "35436"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "The declaration must be a mapping"),
        ("[]", "The declaration must be a mapping"),
        ("a: [", r"not valid YAML \(line"),
        ("inbound: &a {id: x}\nlink: *a", "not valid YAML"),
        ("{}", "inbound is missing"),
        ("inbound: {}", r"inbound\.id is missing"),
        ("inbound: {id: x, nummer: y}", r"inbound\.nummer is not known; did you mean number\?"),
        ("inbound: {id: 'a..b'}", r"inbound\.id\.path"),
        ("inbound: {id: ''}", r"inbound\.id must name a place"),
        ("inbound: {id: {path: a, pattern: '('}}", r"inbound\.id\.pattern is not a regular expression"),
        (
            "inbound: {id: a, operation: {path: b, values: {x: made}}}",
            r"operation\.values\.x must be one of create",
        ),
        ("inbound: {id: a, comments: {path: b}}", r"inbound\.comments must be a list"),
        ("inbound: {id: a, comments: [{text: b}]}", r"inbound\.comments\[0\]\.path is missing"),
        ("inbound: {id: a, comments: [{path: ''}]}", r"inbound\.comments\[0\]\.path"),
        ("{inbound: {id: a}, auth: {kind: digest}}", r"auth\.kind must be one of none, basic"),
        ("{inbound: {id: a}, auth: {kind: header}}", r"auth\.name is missing"),
        ("{inbound: {id: a}, auth: {kind: oauth2}}", r"auth\.token_url is missing"),
        ("{inbound: {id: a}, times: {zone: Mars}}", r"times\.zone is not a time zone"),
        ("{inbound: {id: a}, attributes: {title: 'a[0]'}}", r"attributes\.title\.native must be a name"),
        ("{inbound: {id: a}, attributes: {title: {type: text}}}", r"attributes\.title\.native is missing"),
        ("{inbound: {id: a}, operations: {create: {}}}", r"operations\.create\.path is missing"),
        ("{inbound: {id: a}, operations: {create: {path: ''}}}", r"operations\.create\.path must begin"),
        (
            "{inbound: {id: a}, operations: {create: {path: 'http://x'}}}",
            r"create\.path must begin with a slash",
        ),
        ("{inbound: {id: a}, operations: {create: {path: '/a?b=c'}}}", r"parameters go into query"),
        ("{inbound: {id: a}, operations: {create: {path: '/{% if %}'}}}", r"create\.path may hold"),
        (
            "{inbound: {id: a}, operations: {create: {path: /, method: FETCH}}}",
            r"create\.method must be one of",
        ),
        (
            "{inbound: {id: a}, operations: {create: {path: /, body: {x: '{{ a | nope }}'}}}}",
            r"create\.body.*nope",
        ),
        ("{inbound: {id: a}, operations: {create: {path: /, query: {x: '{{ a'}}}}", r"create\.query\.x"),
        (
            "{inbound: {id: a}, operations: {create: {path: /, success: [ok]}}}",
            r"success\[0\] must be a whole number",
        ),
        (
            "{inbound: {id: a}, operations: {create: {path: /, repeatable: maybe}}}",
            r"repeatable must be true or false",
        ),
        ("{inbound: {id: a}, operations: {delete: {path: /}}}", r"operations\.delete is not known"),
    ],
)
def test_wrong_declaration_names_its_key(text: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        declaration_from_text(text)


def test_broken_declaration_raises_only_when_used(api: Callable[..., Api]) -> None:
    desk = api((200, {}))
    adapter = desk.adapter("{}")

    outcome = adapter.check_credentials(desk.client)

    assert (outcome.result, outcome.failure) == (Result.NOT_SENT, Failure.CONFIGURATION)
    assert adapter.verify(command(), NOW, desk.client).found is Found.UNANSWERABLE
    with pytest.raises(Unreadable, match="inbound is missing"):
        adapter.read(received({}))
    with pytest.raises(Unrenderable, match="inbound is missing"):
        adapter.render(command())


def test_large_yaml_is_refused_quickly() -> None:
    with pytest.raises(DeclarationError, match="Shorten it"):
        declaration_from_text("x: " + "a" * 70_000)


def test_mapping_and_text_declare_the_same() -> None:
    mapping = {"inbound": {"id": "a"}, "times": "epoch", "attributes": {"title": "t"}}

    assert declaration_from_mapping(mapping) == declaration_from_text(json.dumps(mapping))


# Both ways


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS,
        "description": TEXTS,
        "status": st.sampled_from(["New", "Open", "Pending", "Solved"]),
        "priority": st.sampled_from(["Low", "Normal", "High", "Urgent"]),
        "labels": st.lists(TEXTS, max_size=4),
        "reporter": TEXTS,
        "partner_reference": TEXTS,
        "created_at": MOMENTS,
    },
)


@given(ATTRIBUTES)
def test_what_is_written_reads_back_the_same(attributes: dict[str, Any]) -> None:
    adapter = RestAdapter(endpoint())

    [step] = adapter.render(command(attributes=attributes)).steps
    stored = json.loads(json.dumps(step.body["ticket"]))
    message = adapter.read(received({**CREATED, "detail": {**stored, "id": 5}}))

    assert dict(message.attributes) == attributes


@given(st.sampled_from(["iso", "epoch", "epoch_ms", "%Y-%m-%dT%H:%M:%S%z"]), MOMENTS)
def test_times_survive_every_format(times: str, moment: datetime) -> None:
    declaration = json.dumps({"times": times, "attributes": {"due_at": "due"}, "inbound": {"id": "id"}})
    create = {"operations": {"create": {"path": "/", "body": "{{ fields }}"}}}
    adapter = RestAdapter(endpoint(json.dumps({**json.loads(declaration), **create})))

    [step] = adapter.render(command(attributes={"due_at": moment})).steps

    assert adapter.read(received({"id": 1, **step.body})).attributes["due_at"] == moment


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_id_stays_in_its_segment(external_id: str) -> None:
    order = replace(command(Action.UPDATE), target=Reference(external_id))

    path = RestAdapter(endpoint()).render(order).steps[0].path

    assert path.startswith("/api/v2/tickets/")
    assert path.endswith(".json")
    assert path.count("/") == 4
    assert not set(path) & set("?#\\ ")
