"""Lookups: asked ahead of routing over real HTTP, once, and never in the way of anything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from conversations.asking import Asker, Errand
from conversations.models import Delivery, LookupAnswer, Message
from conversations.retention import run as retain
from conversations.router import route_next
from endpoints import gates
from endpoints.configs import EndpointConfigs
from endpoints.http import HttpClient
from endpoints.models import EndpointGate
from endpoints.network import NetworkPolicy
from oneio.statements import one
from routing.rules import RuleBook
from tests.conversations.world import Line, publish
from tests.factories import make_endpoint
from tests.faults.installation import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
BETH = "beth.anglin@example.com"
CALLER = {"kind": "template", "template": "For {{ lookups.caller.name }}", "target": "description"}
TITLE = {"source": "title", "target": "title"}


class Unhurried(Asker):
    """Takes every question and never brings an answer: as if its process had been killed."""

    def __init__(self) -> None:
        super().__init__(HttpClient(NetworkPolicy(True, False)), lambda: None)
        self.taken: list[Errand] = []

    def send(self, errand: Errand) -> None:
        self.taken.append(errand)


@pytest.fixture
def killed() -> Iterator[Unhurried]:
    asker = Unhurried()
    yield asker
    asker.close()
    asker._http.close()


def asking(line: Line, **fields: Any) -> None:
    """A rule that looks the caller up in ServiceNow by the address that the ticket tells."""
    lookup = {
        "name": "caller",
        "endpoint": line.snow,
        "record": "sys_user",
        "criteria": [{"attribute": "email", "template": "{{ u_mail }}"}],
    }
    publish(line.snow, line.jira_endpoint, [TITLE, CALLER], lookups=[lookup | fields])


def route(asker: Asker | None) -> None:
    while route_next(RuleBook(), EndpointConfigs(), asker):
        pass


def state_of(message: Message) -> str:
    message.refresh_from_db()
    return message.state


def records() -> list[Delivery]:
    """The deliveries of tickets themselves, oldest first."""
    return list(Delivery.objects.filter(part="record").select_related("content").order_by("id"))


def problem_of(message: Message) -> str:
    return str(Message.objects.select_related("body").get(pk=message.pk).body.problem)


def later(seconds: float) -> None:
    """Let the database see waiting messages as waiting since `seconds` ago."""
    for message in Message.objects.select_related("body"):
        if told := (message.body.trace or {}).get("waiting_since"):
            since = message.received_at.fromisoformat(told) - timedelta(seconds=seconds)
            message.body.trace = {"waiting_since": since.isoformat()}
            message.body.save(update_fields=["trace"])
    Message.objects.exclude(wake_at=None).update(wake_at=Now())


def test_ticket_carries_what_was_looked_up(line: Line, work: Callable[..., None]) -> None:
    asking(line)
    message = line.incident(u_mail=BETH)

    work(1.5)

    assert state_of(message) == "routed"
    assert line.issue["fields"]["description"] == "For Beth Anglin"
    assert problem_of(message) == "None"


def test_fifty_messages_ask_once(line: Line, work: Callable[..., None]) -> None:
    line.servicenow.fault(path="sys_user", times=100)
    asking(line)
    messages = [line.incident(f"{number:032x}", u_mail=BETH) for number in range(50)]

    work(1.5)

    [fault] = line.servicenow.call("GET", "/_sandbox/faults")
    snapshots = [delivery.content.snapshot for delivery in records()]
    assert fault["times"] == 99
    assert len(snapshots) == len(messages)
    assert {snapshot["lookups"]["caller"]["$object"]["name"] for snapshot in snapshots} == {"Beth Anglin"}


def test_slow_answer_only_reduces_the_context(line: Line, work: Callable[..., None]) -> None:
    line.servicenow.fault(path="sys_user", delay=4)
    asking(line, timeout_seconds=1)
    message = line.incident(u_mail=BETH)

    work(1.2)

    assert state_of(message) == "routed"
    assert line.issue["fields"]["description"].strip() == "For"
    assert "lookup caller" in problem_of(message)


def test_wrong_credentials_hold_nothing_up(line: Line, work: Callable[..., None]) -> None:
    other = make_endpoint(
        "servicenow",
        line.snow.environment,
        base_url=line.servicenow.url,
        settings={"auth": "basic", "username": "oneio"},
        secrets={"password": "wrong"},
    )
    asking(line, endpoint=other)
    message = line.incident(u_mail=BETH)

    work(1.5)

    assert state_of(message) == "routed"
    assert f"lookup caller: {other.name} gave no answer" in problem_of(message)
    assert EndpointGate.objects.get(pk=other.pk).paused_at is None


def test_paused_endpoint_is_not_asked(line: Line, killed: Unhurried) -> None:
    asking(line)
    gates.pause_for_credentials(line.snow.pk)
    message = line.incident(u_mail=BETH)

    route(killed)

    assert (state_of(message), killed.taken) == ("routed", [])
    assert "is paused or does not answer" in problem_of(message)


def test_message_that_lacks_the_value_asks_nothing(line: Line, killed: Unhurried) -> None:
    asking(line)
    message = line.incident()

    route(killed)

    assert (state_of(message), killed.taken) == ("routed", [])
    assert problem_of(message) == "None"


def test_only_later_messages_of_the_ticket_wait(line: Line, killed: Unhurried) -> None:
    asking(line)
    first = line.incident("a" * 32, u_mail=BETH)
    second = line.incident("a" * 32, "update", short_description="Better")
    other = line.incident("b" * 32)

    route(killed)
    third = line.incident("a" * 32, "update", short_description="Best")
    route(killed)

    assert [state_of(one) for one in (first, second, third)] == ["received"] * 3
    assert state_of(other) == "routed"


def test_waiting_messages_go_on_in_their_order(line: Line, work: Callable[..., None]) -> None:
    line.servicenow.fault(path="sys_user", delay=0.7)
    asking(line)
    first = line.incident("a" * 32, u_mail=BETH)
    second = line.incident("a" * 32, "update", short_description="Better")

    work(2.5)

    assert (state_of(first), state_of(second)) == ("routed", "routed")
    assert [delivery.message_id for delivery in records()] == [first.pk, second.pk]


def test_killed_asker_only_delays(line: Line, killed: Unhurried) -> None:
    asking(line)
    message = line.incident(u_mail=BETH)
    route(killed)
    assert (state_of(message), len(killed.taken)) == ("received", 1)

    later(11)
    route(killed)

    assert state_of(message) == "routed"
    assert "lookup caller: no answer in 10 s" in problem_of(message)


def test_question_of_a_killed_asker_is_asked_again(
    line: Line, killed: Unhurried, work: Callable[..., None]
) -> None:
    asking(line)
    message = line.incident(u_mail=BETH)
    route(killed)

    LookupAnswer.objects.update(asked_until=Now())
    work(2.5)

    assert state_of(message) == "routed"
    assert line.issue["fields"]["description"] == "For Beth Anglin"


def asks_elsewhere() -> int:
    """A process of its own that routes what waits, and asks. Its id."""
    if child := os.fork():
        return child
    try:
        connection.connection = None  # the parent's
        asker = Asker(HttpClient(NetworkPolicy(True, False)), lambda: None)
        route(asker)
        time.sleep(60)
    finally:
        os._exit(0)


def test_flow_goes_on_when_the_asking_process_is_killed(line: Line, work: Callable[..., None]) -> None:
    asking(line, timeout_seconds=4)
    line.servicenow.fault(path="sys_user", delay=8, times=1)
    message = line.incident("a" * 32, u_mail=BETH)
    child = asks_elsewhere()
    try:
        wait_until(lambda: line.servicenow.call("GET", "/_sandbox/faults")[0]["times"] == 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert LookupAnswer.objects.get().asked_until is not None

    work(6)
    assert state_of(message) == "routed"
    assert "lookup caller: no answer in 4 s" in problem_of(message)

    wait_until(lambda: LookupAnswer.objects.filter(asked_until__lte=Now()).exists())
    line.incident("b" * 32, u_mail=BETH)
    work(1.5)

    found = [delivery.content.snapshot["lookups"] for delivery in records()]
    assert found[0]["caller"]["$object"] == {}
    assert found[1]["caller"]["$object"]["name"] == "Beth Anglin"


def test_question_under_way_is_not_asked_twice(line: Line, killed: Unhurried) -> None:
    asking(line)
    for ticket in "abc":
        line.incident(ticket * 32, u_mail=BETH)
        route(killed)

    assert len(killed.taken) == 1


def test_old_answer_is_asked_for_anew(line: Line, work: Callable[..., None], killed: Unhurried) -> None:
    asking(line, cache_seconds=60)
    line.incident("a" * 32, u_mail=BETH)
    work(1.5)
    LookupAnswer.objects.update(answered_at=Now() - timedelta(seconds=61))

    message = line.incident("b" * 32, u_mail=BETH)
    route(killed)

    assert (state_of(message), len(killed.taken)) == ("received", 1)


def test_conditions_may_ask_for_what_was_found(line: Line, work: Callable[..., None]) -> None:
    lookup = {
        "name": "caller",
        "endpoint": line.snow,
        "record": "sys_user",
        "criteria": [{"attribute": "email", "template": "{{ u_mail }}"}],
    }
    vip = {"path": "lookups.caller.name", "operator": "equals", "value": "beth anglin"}
    publish(line.snow, line.jira_endpoint, [TITLE], [vip], lookups=[lookup])
    messages = [line.incident(u_mail=mail) for mail in (BETH, "abel.tuter@example.com")]

    work(1.5)

    assert [state_of(message) for message in messages] == ["routed", "unmatched"]


def test_endpoint_that_hangs_keeps_its_share() -> None:
    asker = Unhurried()

    asker.under_way.update({1: 8})

    assert not asker.has_room(1)
    assert asker.has_room(2)
    assert not asker.has_room(2, promised=8)
    asker.close()
    asker._http.close()


def test_answers_are_kept_encrypted_and_not_for_ever(
    line: Line, work: Callable[..., None], settings: Any
) -> None:
    asking(line)
    line.incident(u_mail=BETH)
    work(1.5)

    stored = one("SELECT answer FROM conversations_lookupanswer")[0]
    assert b"Beth" not in bytes(stored)
    settings.RETENTION_CONTENT_DAYS = 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_lookupanswer SET id = '00000000-0000-7000-8000-000000000000'")
    assert retain()["answers to lookups"] == 1
    assert not LookupAnswer.objects.exists()
