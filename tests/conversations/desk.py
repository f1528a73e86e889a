"""A help desk in memory behind a real adapter: tests see what it holds and script its troubles."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest

from conversations import deliveries, sender
from conversations.files import FileStore
from conversations.models import Delivery, Message
from conversations.router import route_next
from conversations.sender import Done
from endpoints import adapters
from endpoints.adapters.base import (
    Action,
    Adapter,
    Capability,
    Command,
    EntityConfig,
    Plan,
    Received,
    Step,
    Unreadable,
    Unrenderable,
)
from endpoints.canonical import CanonicalMessage, Comment, Operation, comment_from_json
from endpoints.configs import EndpointConfigs
from endpoints.http import HttpClient
from endpoints.models import Endpoint
from endpoints.network import NetworkPolicy
from endpoints.outcomes import Failure, Found, Outcome, RemoteItem, Result, Verification
from routing.models import RoutingRule
from routing.rules import RuleBook
from tests.conversations.workers import take
from tests.conversations.world import publish
from tests.factories import make_endpoint, make_environment, make_message

TITLE = {"source": "title", "target": "title"}
LOST = Outcome(Result.UNKNOWN, Failure.UNKNOWN, code="read_timeout")
BUSY = Outcome(Result.NOT_SENT, Failure.TRANSIENT, code="refused")
BAD_DATA = Outcome(Result.REJECTED, Failure.DATA, status=400, detail="No such priority.")


class Desk:
    """What the system holds, in order, and how it will answer the next requests."""

    def __init__(self) -> None:
        self.tickets: dict[str, dict[str, Any]] = {}
        self.marks: dict[str, str] = {}
        self.comments: list[str] = []
        self.files: list[tuple[str, str]] = []
        """Ticket and name of each file."""
        self.requests: list[Action] = []
        self.answers: deque[Outcome] = deque()
        self.look_ups: deque[Found] = deque()
        self.loses_answers = False
        self.answerable = True
        self.settles_in = timedelta(0)
        self._numbers = count(1)

    def carry_out(self, plan: Plan) -> Outcome:
        """Do what is asked, unless an answer is scripted; the answer may get lost after the deed."""
        command = plan.command
        self.requests.append(command.action)
        if self.answers:
            return self.answers.popleft()
        outcome = self._apply(command)
        return LOST if self.loses_answers else outcome

    def find(self, command: Command) -> Verification:
        """Whether something bears the mark of this command."""
        if not self.answerable:
            return Verification.unanswerable()
        if self.look_ups:
            return Verification(self.look_ups.popleft())
        if command.effect_key not in self.marks:
            return Verification(Found.NO)
        ticket = self.marks[command.effect_key]
        return Verification(Found.YES, Outcome(Result.CONFIRMED, external_id=ticket, number=f"T-{ticket}"))

    def _apply(self, command: Command) -> Outcome:
        items: tuple[RemoteItem, ...] = ()
        ticket = command.target.external_id if command.target else str(next(self._numbers))
        self.marks[command.effect_key] = ticket
        self.tickets.setdefault(ticket, {}).update(command.attributes)
        if command.action is Action.WRITE_BACK and command.partner:
            self.tickets[ticket]["partner"] = command.partner.number
        if command.file:
            self.files.append((ticket, command.file.name))
        if command.comment:
            self.comments.append(command.comment.text)
            items = (RemoteItem("comment", f"ours-{len(self.comments)}"),)
        return Outcome(Result.CONFIRMED, status=200, external_id=ticket, number=f"T-{ticket}", items=items)


def _comment(told: str | dict[str, Any]) -> Comment:
    """A comment that is its own id, or one with author, time and visibility (where the desk tells it)."""
    if isinstance(told, str):
        return Comment(id=told, text=told)
    return comment_from_json({"id": told["text"], "author": {}, "at": None, "visibility": "internal"} | told)


class DeskAdapter(Adapter):
    """Speaks to `desk`, whatever its address."""

    kind = "desk"
    label = "Desk"
    capabilities = frozenset({Capability.VERIFY, Capability.WRITE_BACK})
    desk: ClassVar[Desk]

    @property
    def verify_settles_in(self) -> timedelta:  # type: ignore[override]
        return self.desk.settles_in

    def read(self, received: Received) -> CanonicalMessage:
        body = received.body
        if "breaks" in body:
            raise ZeroDivisionError(body["breaks"])
        if "id" not in body:
            raise Unreadable("The message has no id. Send one.")
        entity = self.endpoint.entities[0]
        return CanonicalMessage(
            entity_type=entity.name,
            kind=entity.kind,
            operation=Operation(body.get("operation", "update")),
            external_id=body["id"],
            number=f"D-{body['id']}",
            attributes={name: body[name] for name in ("title", "priority") if name in body},
            comments=tuple(_comment(one) for one in body.get("comments", [])),
            native=body,
            event_id=body.get("event", ""),
            effect_key=body.get("mark", ""),
        )

    def render(self, command: Command) -> Plan:
        if command.attributes.get("priority") == "unrenderable":
            raise Unrenderable("The desk has no such priority. Map another one.")
        repeatable = command.action in {Action.UPDATE, Action.WRITE_BACK}
        step = Step(command.action.value, "POST", "/tickets", body=dict(command.attributes))
        return Plan(command, (step,), repeatable)

    def send(self, plan: Plan, http: HttpClient) -> Outcome:
        return self.desk.carry_out(plan)

    def verify(self, command: Command, since: datetime, http: HttpClient) -> Verification:
        return self.desk.find(command)

    def check_credentials(self, http: HttpClient) -> Outcome:
        return Outcome(Result.CONFIRMED)

    def describe(self, entity: EntityConfig) -> tuple[()]:
        return ()


class Silent(DeskAdapter):
    """A desk whose numbers nobody wants to have written back."""

    kind = "silent"
    capabilities = frozenset({Capability.VERIFY})


class Office:
    """Two endpoints of one environment, `source` and `target`; the desk stands behind the target."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.environment = make_environment()
        self.source = make_endpoint("desk", self.environment)
        self.target = make_endpoint("desk", self.environment)
        self.book, self.configs = RuleBook(), EndpointConfigs()
        self.http = HttpClient(NetworkPolicy(allow_loopback=False, allow_private=False))
        self.under_way: list[Done] = []

    def rule(self, *mappings: dict[str, Any], **fields: Any) -> RoutingRule:
        """A published rule from source to target."""
        target = fields.pop("target", self.target)
        return publish(self.source, target, list(mappings) or [TITLE], **fields)

    def say(self, ticket: str = "a", endpoint: Endpoint | None = None, **body: Any) -> Message:
        """A message that the source (or `endpoint`) has sent, not routed yet."""
        body = {"id": ticket, "operation": "create", "title": "Down"} | body
        return make_message(endpoint or self.source, json.dumps(body).encode())

    def route(self) -> None:
        """Route until nothing waits."""
        for _ in range(50):
            if not route_next(self.book, self.configs):
                return
        raise AssertionError("Routing does not come to an end.")

    def perform(self, endpoint: Endpoint | None = None) -> list[Done]:
        """Claim and carry out what is due for the target; not recorded yet."""
        due = take((endpoint or self.target).pk)
        return [sender.perform(job, self.http, FileStore()) for job in due]

    def deliver(self, endpoint: Endpoint | None = None) -> list[Done]:
        """Claim, carry out and record what is due for the target."""
        done = self.perform(endpoint)
        deliveries.finish(done, self.configs)
        return done

    def first(self, **body: Any) -> Delivery:
        """The delivery of one routed message."""
        self.say(**body)
        self.route()
        return Delivery.objects.latest("id")


@contextmanager
def office() -> Iterator[Office]:
    """An empty desk and its two endpoints, its adapters registered meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk()
        patch.setattr(DeskAdapter, "desk", desk, raising=False)
        for adapter in (DeskAdapter, Silent):
            patch.setitem(adapters.ADAPTERS, adapter.kind, adapter)  # type: ignore[arg-type]
        place = Office(desk)
        yield place
        place.http.close()
