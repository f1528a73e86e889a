"""The Jira adapter: what it declares and how it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from endpoints.adapters.base import (
    Action,
    Adapter,
    Arrival,
    Capability,
    Command,
    EndpointConfig,
    EntityConfig,
    FieldDescription,
    Plan,
    Question,
    Received,
    Step,
)
from endpoints.adapters.exchange import Progress, Speaker
from endpoints.adapters.jira import fields, files, finding, lookup, reading, rendering, workflow
from endpoints.adapters.jira.options import SETTINGS, options_of
from endpoints.canonical import Attachment, Attributes, CanonicalMessage, EntityKind
from endpoints.http import HttpAnswer, HttpClient
from endpoints.outcomes import Found, Outcome, RemoteItem, Verification

_LOGIN_REFUSED = ("AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED")
_ISSUE_TYPES = (
    ("incident", EntityKind.INCIDENT, "Incident"),
    ("problem", EntityKind.PROBLEM, "Problem"),
    ("change", EntityKind.CHANGE, "Change"),
    ("request", EntityKind.REQUEST, "Service Request"),
    ("task", EntityKind.TASK, "Task"),
)


class JiraAdapter(Adapter):
    """One Jira site."""

    kind = "jira"
    label = "Jira"
    settings = SETTINGS
    capabilities = frozenset(Capability) - {Capability.TOKEN}
    default_entities = tuple(EntityConfig(name, kind, type_) for name, kind, type_ in _ISSUE_TYPES)
    verify_settles_in = timedelta(minutes=3)
    arrivals = (Arrival("Jira reaches us", "Add the webhook in Jira, then change a ticket there."),)
    address_goes_to = "Webhook URL"

    def __init__(self, endpoint: EndpointConfig) -> None:
        super().__init__(endpoint)
        self._options = options_of(endpoint)

    def read(self, received: Received) -> CanonicalMessage:
        """Translate a webhook."""
        return reading.read(self.endpoint, received)

    def sample(self) -> Mapping[str, Any]:
        """A webhook of an issue's update."""
        return reading.sample(self.endpoint)

    def render(self, command: Command) -> Plan:
        """Requests for fields, status and comment, as far as the command has them; or an upload."""
        if command.action is Action.ATTACH:
            return files.render(self._options, command)
        return rendering.render(self.endpoint, self._options, command)

    def send(self, plan: Plan, http: HttpClient) -> Outcome:
        """Carry out the steps in order up to the first that is not confirmed."""
        speaker, progress = self._speaker(http), Progress.towards(plan.command.target)
        for step in plan.steps:
            path = step.path.replace(rendering.NEW_ISSUE, quote(progress.external_id, safe=""))
            outcome = self._carry_out(replace(step, path=path), plan.command, progress, speaker)
            if not outcome.confirmed:
                return progress.onto(outcome)
        return progress.finished()

    def verify(self, command: Command, since: datetime, http: HttpClient) -> Verification:
        """Look a create up by its mark, a comment by its property."""
        if command.action is Action.CREATE:
            return self._verify_create(command, self._speaker(http))
        if command.action is Action.COMMENT and command.target:
            return self._verify_comment(command, since, self._speaker(http))
        if command.action is Action.ATTACH and command.target:
            return self._verify_file(command, since, self._speaker(http))
        return Verification.unanswerable()

    def fetch(self, entity: EntityConfig, external_id: str, http: HttpClient) -> CanonicalMessage | Outcome:
        """The issue as it is now."""
        step = Step("fetch", "GET", f"{self._options.api}/issue/{quote(external_id, safe='')}")
        answer = self._speaker(http).ask(step, complaint=_no_issue)
        if not answer.confirmed:
            return answer.outcome
        body = {"webhookEvent": "jira:issue_updated", "issue": answer.body}
        return self.read(Received(body, {}, {}, datetime.now(UTC)))

    def find(self, question: Question, http: HttpClient) -> Sequence[Attributes] | Outcome:
        """Issues by their fields, or users."""
        return finding.find(question, self._options, self.endpoint.timezone, self._speaker(http))

    def download(
        self, file: Attachment, http: HttpClient, take: Callable[[Iterator[bytes]], None], longest: int
    ) -> Outcome:
        """The bytes of an issue's file."""
        return files.download(self.endpoint, self._options, file, self._speaker(http), take, longest)

    def describe(self, entity: EntityConfig) -> Sequence[FieldDescription]:
        """The fields that every project has."""
        return fields.describe(entity.kind)

    def check_credentials(self, http: HttpClient) -> Outcome:
        """Ask who we are."""
        return self._speaker(http).ask(Step("check", "GET", f"{self._options.api}/myself")).outcome

    def attribute_name(self, native_name: str) -> str:
        """The attribute of a field."""
        return fields.NAMES.get(native_name, native_name)

    def _speaker(self, http: HttpClient) -> Speaker:
        token = self.endpoint.secrets.get("api_token", "")
        headers = {"Authorization": f"Bearer {token}"} if self._options.bearer else {}
        auth = None if self._options.bearer else (self._options.email, token)
        return Speaker(self.endpoint, http, _explain, headers, auth, self.read_timeout, _status_of)

    def _carry_out(self, step: Step, command: Command, progress: Progress, speaker: Speaker) -> Outcome:
        if step.purpose == "status":
            moved = workflow.move(step, speaker)
            progress.detail = moved.outcome.detail if moved.outcome.confirmed else ""
            progress.note(moved.written)
            return progress.add(moved.outcome)
        if step.purpose == "fields":
            kept = self._with_our_labels(step, speaker)
            if isinstance(kept, Outcome):
                return kept
            step = kept
        complaint = _COMPLAINTS.get(step.purpose, _anything)
        answer = speaker.ask(step, repeatable=step.purpose not in _COMPLAINTS, complaint=complaint)
        if answer.confirmed:
            self._take(step, command, answer.body, progress)
            self._look_up_names(step, command, progress, speaker)
        return progress.add(answer.outcome)

    def _take(self, step: Step, command: Command, body: Any, progress: Progress) -> None:
        """Note what a confirmed step has done."""
        if step.purpose == "create":
            self._name(body, progress)
        if step.purpose == "comment":
            progress.items = (*progress.items, RemoteItem("comment", str(body["id"])))
        if step.purpose == "attach":
            progress.items = files.items_of(body)
        if step.purpose in ("create", "fields"):
            self._note(step.body["fields"], command, progress)

    def _name(self, issue: Mapping[str, Any], progress: Progress) -> None:
        progress.external_id, progress.number = str(issue["id"]), str(issue.get("key", ""))
        progress.link = reading.link_to(self.endpoint, progress.number)

    def _note(self, sent: Mapping[str, Any], command: Command, progress: Progress) -> None:
        """What was written, in the words in which a webhook will tell it."""
        wanted = {fields.field_of(name): name for name in command.attributes}
        zone = self.endpoint.timezone
        progress.note(
            {
                wanted[field]: fields.value_of(field, raw, zone)
                for field, raw in sent.items()
                if field in wanted
            }
        )

    def _look_up_names(self, step: Step, command: Command, progress: Progress, speaker: Speaker) -> None:
        """People and choices that were written by id: ask what they are called, as webhooks will say it."""
        sent = step.body.get("fields", {}) if step.body else {}
        wanted = {fields.field_of(name) for name in command.attributes}
        by_id = sorted(field for field in wanted & sent.keys() if _is_id(field, sent[field]))
        if not by_id:
            return
        path = f"{self._options.api}/issue/{quote(progress.external_id, safe='')}"
        answer = speaker.ask(Step("names", "GET", path, {"fields": ",".join(by_id)}), complaint=_no_issue)
        if answer.confirmed:
            told = {field: raw for field, raw in answer.body["fields"].items() if field in by_id}
            self._note(told, command, progress)

    def _with_our_labels(self, step: Step, speaker: Speaker) -> Step | Outcome:
        """Writing labels replaces all of them, so the mark of the create is put back among them."""
        sent = step.body["fields"]
        if "labels" not in sent or self._options.reference_field:
            return step
        answer = speaker.ask(Step("labels_now", "GET", step.path, {"fields": "labels"}), complaint=_no_issue)
        if not answer.confirmed:
            return answer.outcome
        marks = [
            label
            for label in answer.body["fields"].get("labels") or []
            if str(label).startswith(fields.LABEL_MARK) and label not in sent["labels"]
        ]
        return replace(step, body={"fields": {**sent, "labels": [*sent["labels"], *marks]}})

    def _verify_create(self, command: Command, speaker: Speaker) -> Verification:
        found, answer, issue = lookup.find_issue(self.endpoint, self._options, command, speaker)
        if found is not Found.YES:
            return Verification(found, answer.outcome if found is Found.FAILED else None)
        progress = Progress()
        progress.add(answer.outcome)
        self._name(issue, progress)
        self._note(issue["fields"], command, progress)
        return Verification(Found.YES, progress.finished())

    def _verify_comment(self, command: Command, since: datetime, speaker: Speaker) -> Verification:
        progress = Progress.towards(command.target)
        found, answer, comment = lookup.find_comment(
            self._options, progress.external_id, command.effect_key, since, speaker
        )
        if found is not Found.YES:
            return Verification(found, answer.outcome if found is Found.FAILED else None)
        progress.add(answer.outcome)
        progress.items = (RemoteItem("comment", str(comment["id"])),)
        return Verification(Found.YES, progress.finished())

    def _verify_file(self, command: Command, since: datetime, speaker: Speaker) -> Verification:
        progress = Progress.towards(command.target)
        found, answer, items = files.find(self._options, command, since, speaker)
        if found is not Found.YES:
            return Verification(found, answer.outcome if found is Found.FAILED else None)
        progress.add(answer.outcome)
        progress.items = items
        return Verification(Found.YES, progress.finished())


def _is_id(field: str, raw: Any) -> bool:
    """Whether a written value does not say what people will see."""
    return isinstance(raw, Mapping) and (field in rendering.PEOPLE or raw.keys() <= {"id", "accountId"})


def _anything(body: Any) -> str | None:
    return None


def _no_id(body: Any) -> str | None:
    """Complains about an answer to a create that names nothing."""
    if isinstance(body, Mapping) and body.get("id"):
        return None
    return "Jira answered without the id of what it created."


_COMPLAINTS: Mapping[str, Callable[[Any], str | None]] = {
    "create": _no_id,
    "comment": _no_id,
    "attach": files.no_file,
}
"""Steps that must not be done twice, and what their answers must hold."""


def _no_issue(body: Any) -> str | None:
    if isinstance(body, Mapping) and body.get("id") and isinstance(body.get("fields"), Mapping):
        return None
    return "Jira answered without the issue."


def _status_of(answer: HttpAnswer) -> int:
    """The status that Jira means: a refused login may come as a page for anonymous users or as 403."""
    refused = answer.headers.get("X-Seraph-LoginReason", "")
    return 401 if any(reason in refused for reason in _LOGIN_REFUSED) else answer.status


def _explain(body: Any) -> str:
    """Jira's own words in an error body."""
    if not isinstance(body, Mapping):
        return ""
    messages, errors = body.get("errorMessages"), body.get("errors")
    told = [str(message) for message in messages] if isinstance(messages, list) else []
    if isinstance(errors, Mapping):
        told += [f"{field}: {message}" for field, message in errors.items()]
    return " ".join(told) or str(body.get("message") or "")
