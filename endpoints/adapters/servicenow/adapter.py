"""The ServiceNow adapter: what it declares and how it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
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
    Package,
    Plan,
    Question,
    Received,
    Receiver,
    Setting,
    Step,
    Token,
)
from endpoints.adapters.exchange import Progress, Speaker
from endpoints.adapters.servicenow import fields, files, finding, lookup, oauth, reading, rendering
from endpoints.adapters.servicenow.rendering import READ_QUERY, TABLE_API
from endpoints.adapters.servicenow.update_set import update_set
from endpoints.canonical import Attachment, Attributes, CanonicalMessage, EntityKind
from endpoints.http import HttpClient
from endpoints.outcomes import Found, Outcome, RemoteItem, Verification

_TABLES = (
    ("incident", EntityKind.INCIDENT),
    ("problem", EntityKind.PROBLEM),
    ("change_request", EntityKind.CHANGE),
    ("sc_req_item", EntityKind.REQUEST),
    ("sc_task", EntityKind.TASK),
    ("cmdb_ci", EntityKind.CONFIGURATION_ITEM),
    ("em_event", EntityKind.EVENT),
)


class ServiceNowAdapter(Adapter):
    """One ServiceNow instance."""

    kind = "servicenow"
    label = "ServiceNow"
    capabilities = frozenset(Capability)
    settings = (
        Setting(
            "auth",
            "Authentication",
            "How we log in to ServiceNow. The integration user's time zone there must be this endpoint's "
            "timezone, and its date format must be the system's own.",
            required=True,
            default="basic",
            choices=(("basic", "User name and password"), ("oauth", "OAuth 2.0")),
        ),
        Setting(
            "username",
            "User name",
            "The integration user in ServiceNow. With OAuth it may be empty: the client then logs in itself.",
        ),
        Setting("password", "Password", "The integration user's password.", secret=True),
        Setting(
            "client_id",
            "Client ID",
            "From the Application Registry in ServiceNow.",
            only_if=("auth", "oauth"),
        ),
        Setting(
            "client_secret",
            "Client secret",
            "From the same entry of the Application Registry.",
            secret=True,
            only_if=("auth", "oauth"),
        ),
    )
    default_entities = tuple(EntityConfig(table, kind, table) for table, kind in _TABLES)
    arrivals = (
        Arrival(
            "Its REST message reaches us",
            "Import the update set, enter the password in its Basic auth profile “oneio receiver”, and "
            "choose Test in the HTTP method Test of the REST message oneio.",
        ),
        Arrival(
            "Its business rule sends tickets",
            "In the business rule “oneio: post incident” say which tickets take part, tick Active, then save "
            "such a ticket.",
            ticket=True,
        ),
    )
    address_goes_to = "REST message: endpoint"
    package_label = "update set"

    def __init__(self, endpoint: EndpointConfig) -> None:
        super().__init__(endpoint)
        self._oauth = endpoint.settings.get("auth") == "oauth"

    def read(self, received: Received) -> CanonicalMessage:
        """Translate what a business rule posted, or a record as the Table API gives it."""
        return reading.read(self.endpoint, received)

    def sample(self) -> Mapping[str, Any]:
        """What a REST message's Test sends: a record without a number, so no ticket."""
        return reading.sample(self.endpoint)

    def package(self, receiver: Receiver, now: datetime) -> Package:
        """An update set with REST message, script include and business rules."""
        return update_set(self.endpoint, receiver, now)

    def render(self, command: Command) -> Plan:
        """One Table API request: POST for a create, PATCH for everything else; or an upload."""
        if command.action is Action.ATTACH:
            return files.render(command)
        return rendering.render(self.endpoint, command)

    def send(self, plan: Plan, http: HttpClient) -> Outcome:
        """Carry out the plan; after a comment also find the id that ServiceNow gave to the entry."""
        speaker, progress = self._speaker(http), Progress.towards(plan.command.target)
        if plan.command.action is Action.ATTACH:
            return self._attach(plan, speaker, progress)
        for step in plan.steps:
            answer = speaker.ask(step, repeatable=plan.repeatable, complaint=_no_record)
            if not answer.confirmed:
                return progress.onto(answer.outcome)
            progress.add(answer.outcome)
            self._take(plan.command, answer.body["result"], progress)
        if plan.command.comment:
            _, _, entry = lookup.find_entry(plan.command.comment, progress.external_id, speaker)
            progress.items = _comment_item(entry)
        return progress.finished()

    def verify(self, command: Command, since: datetime, http: HttpClient) -> Verification:
        """Look a create up by its mark, a comment by its text among the entries made since."""
        if command.action is Action.ATTACH and command.target:
            return self._verify_file(command, since, self._speaker(http))
        if not fields.has_journal(command.entity.kind):
            return Verification.unanswerable()
        if command.action is Action.CREATE:
            return self._verify_create(command, self._speaker(http))
        if command.action is Action.COMMENT and command.comment and command.target:
            return self._verify_comment(command, since, self._speaker(http))
        return Verification.unanswerable()

    def uses_token(self) -> bool:
        """Only with OAuth."""
        return self._oauth

    def acquire_token(self, http: HttpClient) -> Token | Outcome:
        """An OAuth access token: password grant with a user name, client credentials without."""
        speaker = Speaker(self.endpoint, http, _explain, read_timeout=self.read_timeout)
        return oauth.acquire(self.endpoint, speaker)

    def fetch(self, entity: EntityConfig, external_id: str, http: HttpClient) -> CanonicalMessage | Outcome:
        """The record as it is now."""
        step = Step(
            "fetch", "GET", f"{TABLE_API}/{entity.remote_name}/{quote(external_id, safe='')}", READ_QUERY
        )
        answer = self._speaker(http).ask(step, complaint=_no_record)
        if not answer.confirmed:
            return answer.outcome
        body = {"entity_type": entity.selector, "operation": "update", "record": answer.body["result"]}
        return self.read(Received(body, {}, {}, datetime.now(UTC)))

    def find(self, question: Question, http: HttpClient) -> Sequence[Attributes] | Outcome:
        """Records of any table, by the columns' values."""
        return finding.find(question, self._speaker(http))

    def download(
        self, file: Attachment, http: HttpClient, take: Callable[[Iterator[bytes]], None], longest: int
    ) -> Outcome:
        """The bytes of a record's file."""
        return files.download(file, self._speaker(http), take, longest)

    def describe(self, entity: EntityConfig) -> Sequence[FieldDescription]:
        """The columns of the standard table."""
        return fields.describe(entity.kind)

    def check_credentials(self, http: HttpClient) -> Outcome:
        """Read one id from the first active entity type's table; with OAuth fetch a token first if needed."""
        token = self.acquire_token(http) if self._oauth and not self.endpoint.token else None
        if isinstance(token, Outcome):
            return token
        speaker = self._speaker(http, token.value if token else self.endpoint.token)
        table = next((entity.remote_name for entity in self.endpoint.entities if entity.active), "sys_user")
        query = {"sysparm_limit": "1", "sysparm_fields": "sys_id"}
        return speaker.ask(
            Step("check", "GET", f"{TABLE_API}/{table}", query), complaint=lookup.no_list
        ).outcome

    def attribute_name(self, native_name: str) -> str:
        """The attribute of a column; its own name where tables differ (`describe` knows the table)."""
        return fields.common_attribute_of(native_name)

    def _speaker(self, http: HttpClient, token: str | None = None) -> Speaker:
        if self._oauth:
            headers = {"Authorization": f"Bearer {self.endpoint.token if token is None else token}"}
            return Speaker(self.endpoint, http, _explain, headers, read_timeout=self.read_timeout)
        login = str(self.endpoint.settings.get("username", "")), self.endpoint.secrets.get("password", "")
        return Speaker(self.endpoint, http, _explain, auth=login, read_timeout=self.read_timeout)

    def _take(self, command: Command, record: Mapping[str, Any], progress: Progress) -> None:
        """Note what ServiceNow answered: the record as it is now, in what the command asked for."""
        progress.external_id = reading.cell_of(record.get("sys_id")).value
        progress.number = reading.cell_of(record.get("number")).value
        progress.link = reading.link_to(self.endpoint, command.entity, progress.external_id)
        wanted = set(command.attributes)
        if command.action in (Action.CREATE, Action.WRITE_BACK) and command.partner:
            wanted.add("partner_reference")
        attributes, _ = reading.attributes_of(command.entity.kind, record)
        progress.note({name: value for name, value in attributes.items() if name in wanted})

    def _attach(self, plan: Plan, speaker: Speaker, progress: Progress) -> Outcome:
        answer = speaker.ask(plan.steps[0], repeatable=False)
        if not answer.confirmed:
            return progress.onto(answer.outcome)
        progress.add(answer.outcome)
        progress.items = files.item_of(answer)
        return progress.finished()

    def _verify_file(self, command: Command, since: datetime, speaker: Speaker) -> Verification:
        progress = Progress.towards(command.target)
        found, answer, items = files.find(command, since, speaker)
        if found is not Found.YES:
            return Verification(found, answer.outcome if found is Found.FAILED else None)
        progress.add(answer.outcome)
        progress.items = items
        return Verification(Found.YES, progress.finished())

    def _verify_create(self, command: Command, speaker: Speaker) -> Verification:
        table, key = command.entity.remote_name, command.effect_key
        found, answer, record = lookup.find_record(table, key, speaker)
        if found is not Found.YES:
            return Verification(found, answer.outcome if found is Found.FAILED else None)
        progress = Progress()
        progress.add(answer.outcome)
        self._take(command, record, progress)
        return Verification(Found.YES, progress.finished())

    def _verify_comment(self, command: Command, since: datetime, speaker: Speaker) -> Verification:
        progress = Progress.towards(command.target)
        assert command.comment
        found, answer, entry = lookup.find_entry(command.comment, progress.external_id, speaker, since)
        if found is not Found.YES:
            return Verification(found, answer.outcome if found is Found.FAILED else None)
        progress.add(answer.outcome)
        progress.items = _comment_item(entry)
        return Verification(Found.YES, progress.finished())


def _comment_item(entry: Mapping[str, Any]) -> tuple[RemoteItem, ...]:
    sys_id = reading.cell_of(entry.get("sys_id")).value
    return (RemoteItem("comment", sys_id),) if sys_id else ()


def _no_record(body: Any) -> str | None:
    """Complains about an answer without a record: a failure with status 200, or a page instead of JSON."""
    record = body.get("result") if isinstance(body, Mapping) else None
    if isinstance(record, Mapping) and reading.cell_of(record.get("sys_id")).value:
        return None
    return "ServiceNow answered without a record; a sleeping or restarting instance does that."


def _explain(body: Any) -> str:
    """ServiceNow's own words in an error body."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):
        return ": ".join(str(error[name]) for name in ("message", "detail") if error.get(name))
    described = body.get("error_description") if isinstance(body, Mapping) else None
    return ": ".join(str(part) for part in (error, described) if part)
