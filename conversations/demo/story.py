"""The story: one incident's way to Jira and back, each step seen at the systems themselves."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.db import Error, connections

from conversations.demo.display import Display, Line
from conversations.demo.systems import CALLER, MARK, Jira, Oneio, ServiceNow, Unanswered
from conversations.models import Delivery
from endpoints.http import HttpFailure

T = TypeVar("T")

STEP_SECONDS = 60.0
DOUBT_SECONDS = 240.0
"""How long a step may take while oneio finds out whether a request arrived before a crash."""
POLL_SECONDS = 0.1
SHOWN = 45
UNDER_WAY = frozenset({"delayed", "queued", "sending", "verifying", "delivered"})
IN_DOUBT = frozenset({"sending", "verifying"})

INCIDENT = {
    "short_description": "Mail gateway rejects messages from partners",
    "impact": "1",
    "urgency": "2",
    "assignment_group": "Vendor Support",
    "caller_id": "Beth Anglin",
    "cmdb_ci": "mail-gw-01",
}
PRIORITY = "High"
QUESTION = "Two more partners report it. Is the gateway back?"
ANSWER = "The queue was full. I am emptying it now."


class StepFailed(Exception):
    """A step did not come about; the text says which, why, and where to look."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The systems and where their logs are."""

    servicenow: ServiceNow
    jira: Jira
    oneio: Oneio
    servicenow_log: Path
    jira_log: Path
    web_log: Path
    workers_log: Path


@dataclass(slots=True)
class Ticket:
    """What is known of the ticket so far."""

    mark: str
    sys_id: str = ""
    number: str = ""
    response_id: str = ""
    key: str = ""


class Story:
    """Plays the story once. `seconds`: how long each step may take."""

    def __init__(self, scene: Scene, display: Display, seconds: float = STEP_SECONDS) -> None:
        self.scene = scene
        self.display = display
        self.seconds = seconds
        self.ticket = Ticket(mark=f"demo-{secrets.token_hex(4)}")

    def play(self) -> Ticket:
        """All steps in order; the ticket at the end. Raises StepFailed."""
        self.open_incident()
        self.accept()
        self.route()
        self.create_issue()
        self.write_back()
        self.ask_in_servicenow()
        self.answer_in_jira()
        self.start_work()
        self.resolve()
        self.verify()
        return self.ticket

    def open_incident(self) -> None:
        """Abel opens an incident in ServiceNow."""
        fields = INCIDENT | {"description": f"Bounces since this morning. ({self.ticket.mark})"}
        with self._step("Incident opened in ServiceNow", self.scene.servicenow_log) as line:
            incident = self._until(lambda: self.scene.servicenow.open_incident(fields, self.ticket.mark))
            self.ticket.sys_id, self.ticket.number = incident["sys_id"], incident["number"]
            line.tell(f"{self.ticket.number} by {CALLER}")

    def accept(self) -> None:
        """ServiceNow's business rule posts it to oneio."""
        with self._step("Accepted by oneio", self.scene.web_log) as line:
            self.ticket.response_id, status = self._until(self._first_answer)
            line.tell(f"{status}, Response ID {self.ticket.response_id}")

    def route(self) -> None:
        """oneio opens a conversation and finds a rule."""
        with self._step("Conversation opened, rule matched", self.scene.workers_log) as line:
            rule = self._until(self._matched_rule)
            line.tell(rule)

    def create_issue(self) -> None:
        """Jira gets an issue."""
        with self._step("Issue created in Jira", self.scene.workers_log) as line:
            self.ticket.key = self._until(lambda: self._delivered_as(line))
            issue = self._until(lambda: self.scene.jira.issue(self.ticket.key))
            _expect(issue["summary"] == INCIDENT["short_description"], "the issue has another summary")
            _expect(issue["priority"]["name"] == PRIORITY, "the issue's priority was not translated")
            line.tell(f"{self.ticket.key}, priority {PRIORITY}")

    def write_back(self) -> None:
        """The issue's key is written onto the incident."""
        with self._step("Key written back to the incident", self.scene.workers_log) as line:
            self._until(lambda: self._incident("correlation_id") == self.ticket.key)
            line.tell(f"correlation_id {self.ticket.key}")

    def ask_in_servicenow(self) -> None:
        """A comment goes from ServiceNow to Jira."""
        with self._step("Comment arrives in Jira", self.scene.workers_log) as line:
            self._do(lambda: self.scene.servicenow.comment(self.ticket.sys_id, QUESTION))
            text = self._until(lambda: _one_with(QUESTION, self.scene.jira.comments(self.ticket.key)))
            line.tell(_short(text))

    def answer_in_jira(self) -> None:
        """A comment goes from Jira to ServiceNow."""
        with self._step("Answer arrives on the incident", self.scene.workers_log) as line:
            self._do(lambda: self.scene.jira.comment(self.ticket.key, ANSWER))
            text = self._until(lambda: _one_with(ANSWER, self._journal()))
            line.tell(_short(text))

    def start_work(self) -> None:
        """A status goes from Jira to ServiceNow."""
        with self._step("Status in Jira moves the incident", self.scene.workers_log) as line:
            self._do(lambda: self.scene.jira.move(self.ticket.key, "In Progress"))
            line.tell(self._until(lambda: self._has_state("In Progress")))

    def resolve(self) -> None:
        """Status and resolution go from Jira to ServiceNow."""
        with self._step("Done in Jira resolves the incident", self.scene.workers_log) as line:
            self._do(lambda: self.scene.jira.move(self.ticket.key, "Done", "Done"))
            state = self._until(lambda: self._has_state("Resolved"))
            line.tell(f"{state}, {self._until(lambda: self._incident('close_code'))}")

    def verify(self) -> None:
        """One issue, each comment once, each knows the other."""
        with self._step("Verified at both systems", self.scene.workers_log) as line:
            self._do(self._check)
            line.tell("one issue, each comment once")

    def _check(self) -> None:
        issues = self.scene.jira.issues_about(self.ticket.number)
        _expect(len(issues) == 1, f"Jira has {len(issues)} issues for {self.ticket.number} and not one")
        labels = issues[0]["fields"]["labels"]
        _expect(sum(label.startswith(MARK) for label in labels) == 1, "the issue does not carry oneio's mark")
        comments = self.scene.jira.comments(self.ticket.key)
        _expect(len(comments) == 2, f"the issue has {len(comments)} comments and not two")
        journal = self._journal()
        _expect(len(journal) == 2, f"the incident has {len(journal)} comments and not two")
        correlation = self._incident("correlation_id")
        _expect(correlation == issues[0]["key"], f"the incident's correlation_id is {correlation}")

    def _first_answer(self) -> tuple[str, int] | None:
        posts = self.scene.servicenow.posted(self.ticket.sys_id)
        _expect(bool(posts), "ServiceNow's business rule posted nothing")
        first = posts[0]
        _expect(first["state"] != "failed", f"oneio answered {first['status']}")
        if first["state"] == "waiting":
            raise Unanswered(
                f"oneio has not accepted it yet ({first['status'] or first['error'] or 'no answer'})"
            )
        return str(first["answer"]["response_id"]), int(first["status"])

    def _matched_rule(self) -> str | None:
        self._routed()
        message = UUID(self.ticket.response_id)
        return Delivery.objects.filter(message__body_id=message).values_list("rule__name", flat=True).first()

    def _routed(self) -> dict[str, Any]:
        """The message's status once it is routed."""
        status = self.scene.oneio.status(self.ticket.response_id)
        if status["state"] == "received":
            raise Unanswered("the message waits to be routed")
        reason = f" ({status['reason']})" if status["reason"] else ""
        _expect(status["state"] == "routed", f"the message is {status['state']}{reason}")
        return status

    def _delivered_as(self, line: Line) -> str | None:
        delivery = self._routed()["deliveries"][0]
        state = str(delivery["state"])
        _expect(state in UNDER_WAY, f"the delivery to Jira is {state}; oneio's Deliveries page says why")
        if state == "delivered":
            return str(delivery["number"])
        if state in IN_DOUBT:
            line.tell("oneio makes sure that there will be one only …")
            raise InDoubt(f"the delivery is {state}")
        raise Unanswered(f"the delivery is {state}")

    def _incident(self, field: str) -> str:
        return str(self.scene.servicenow.incident(self.ticket.sys_id)[field])

    def _has_state(self, wanted: str) -> str | None:
        state = self._incident("state")
        if state != wanted:
            raise Unanswered(f"the incident is {state}")
        return state

    def _journal(self) -> list[str]:
        return [str(entry["value"]) for entry in self.scene.servicenow.journal(self.ticket.sys_id)]

    @contextmanager
    def _step(self, title: str, log: Path) -> Iterator[Line]:
        try:
            with self.display.step(title) as line:
                yield line
        except (NotSo, TookTooLong) as problem:
            raise StepFailed(f"“{title}” failed: {problem}. Look at {log}") from problem

    def _do(self, action: Callable[[], None]) -> None:
        """Do something once a system lets us; it must bear repetition."""

        def done() -> bool:
            action()
            return True

        self._until(done)

    def _until(self, ask: Callable[[], T | None]) -> T:
        """The first answer that `ask` gives; a system that does not answer now is asked again."""
        began = time.monotonic()
        while True:
            patience = self.seconds
            try:
                if answer := ask():
                    return answer
                seen = "nothing arrived"
            except InDoubt as doubt:
                seen, patience = str(doubt), max(self.seconds, DOUBT_SECONDS)
            except HttpFailure as failure:
                seen = failure.message.rstrip(".")
            except Unanswered as state:
                seen = str(state)
            except Error:
                connections.close_all()
                seen = "the database does not answer"
            if time.monotonic() - began > patience:
                raise TookTooLong(f"after {patience:.0f} s {seen}")
            time.sleep(POLL_SECONDS)


class InDoubt(Unanswered):
    """A request may have arrived: oneio finds that out before it sends again, which takes its time."""


class NotSo(Exception):
    """Something is otherwise than it must be, and waiting will not change it."""


class TookTooLong(Exception):
    """Something has not come about in time."""


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise NotSo(otherwise)


def _one_with(text: str, texts: list[str]) -> str | None:
    found = [each for each in texts if text in each]
    _expect(len(found) <= 1, f"the comment arrived {len(found)} times")
    return found[0] if found else None


def _short(text: str) -> str:
    first = text.splitlines()[0]
    return first if len(first) <= SHOWN else f"{first[: SHOWN - 1]}…"
