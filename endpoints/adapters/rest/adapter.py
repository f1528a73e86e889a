"""The generic REST adapter: any JSON ticket system, told by a declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from endpoints.adapters.base import (
    Action,
    Adapter,
    Capability,
    Command,
    EndpointConfig,
    EntityConfig,
    FieldDescription,
    Plan,
    Question,
    Received,
    Setting,
    Token,
    Unreadable,
    Unrenderable,
)
from endpoints.adapters.exchange import Exchange
from endpoints.adapters.rest import finding, reading, rendering, speaking
from endpoints.adapters.rest.declaration import AuthKind, Lookup, Request, RestDeclaration
from endpoints.adapters.rest.loading import DeclarationError, declaration_from_text
from endpoints.adapters.rest.templates import TemplateError, fill
from endpoints.canonical import Attachment, Attributes, AttributeType, CanonicalMessage, EntityKind
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Found, Outcome, RemoteItem, Result, Verification
from oneio.paths import MISSING, compile_path

STATIC_TOKEN_LIFETIME = 86400.0


class RestAdapter(Adapter):
    """One REST system. A subclass that sets `declaration` is an endpoint type of its own."""

    kind = "rest"
    label = "REST"
    capabilities = frozenset(Capability)
    default_entities = (EntityConfig("ticket", EntityKind.INCIDENT, "ticket"),)
    declaration: ClassVar[RestDeclaration | None] = None
    settings = (
        Setting(
            "declaration",
            "Declaration",
            "How this system is asked and how its messages are read, as YAML. "
            "The documentation of the REST endpoint type has examples to start from.",
            required=True,
            multiline=True,
        ),
        Setting("username", "User name", "For basic authentication."),
        Setting("password", "Password", "For basic authentication.", secret=True),
        Setting("api_key", "API key or token", "For bearer, header and query authentication.", secret=True),
        Setting("client_id", "Client ID", "For OAuth 2.0."),
        Setting("client_secret", "Client secret", "For OAuth 2.0.", secret=True),
    )

    def __init__(self, endpoint: EndpointConfig) -> None:
        super().__init__(endpoint)
        self._fault: DeclarationError | None = None
        self._names: dict[str, str] = {}
        try:
            self._rest = self.declaration or declaration_from_text(
                str(endpoint.settings.get("declaration", ""))
            )
        except DeclarationError as fault:
            self._fault = fault
            # Able to do nothing: each delivery is held with what is wrong, and no credentials are suspected.
            vars(self)["capabilities"] = frozenset()
            return
        # What the class may do depends, for one endpoint, on what its declaration has.
        vars(self)["capabilities"] = _capabilities(self._rest)
        for name, field in self._rest.attributes.items():
            self._names.setdefault(field.native, name)
        self._carried: dict[Action, rendering.Carried] = {}
        lookup = self._rest.operations.lookup
        vars(self)["verify_settles_in"] = timedelta(seconds=lookup.settles_in if lookup else 0)

    def read(self, received: Received) -> CanonicalMessage:
        """Translate a message by the declaration's `inbound`."""
        return reading.read(self.endpoint, self._declared(), received)

    def sample(self) -> Mapping[str, Any]:
        """A body with what `inbound` looks for in it; empty while the declaration has a fault."""
        return {} if self._fault else reading.sample(self.endpoint, self._rest.inbound)

    def render(self, command: Command) -> Plan:
        """One request, by the declaration's `operations`."""
        return rendering.render(self.endpoint, self._declared(), command)

    def send(self, plan: Plan, http: HttpClient) -> Outcome:
        """Send the request and take the id, number and link out of its answer."""
        command = plan.command
        request = rendering.request_for(self._declared(), command.action)
        answer = self._speaker(request, http).ask(
            plan.steps[0], repeatable=plan.repeatable, complaint=self._complaint(request)
        )
        if not answer.confirmed:
            return _on_target(command, answer.outcome)
        return self._result(command, request, answer)

    def verify(self, command: Command, since: datetime, http: HttpClient) -> Verification:
        """Ask the declared lookup for what carries the effect key."""
        lookups = {
            Action.CREATE: "lookup",
            Action.COMMENT: "lookup_comment",
            Action.ATTACH: "lookup_file",
        }
        name = lookups.get(command.action)
        lookup: Lookup | None = getattr(self._rest.operations, name) if name and not self._fault else None
        if name is None or lookup is None:
            return Verification.unanswerable()
        try:
            step = rendering.step_of(lookup, name, rendering.values_of(self.endpoint, self._rest, command))
        except Unrenderable as fault:
            return Verification(Found.FAILED, _misdeclared(str(fault)))
        answer = self._speaker(lookup, http).ask(step, complaint=self._complaint(lookup))
        if answer.outcome.status in lookup.none:
            return Verification(Found.NO)
        if not answer.confirmed:
            return Verification(Found.FAILED, answer.outcome)
        return self._found(command, lookup, answer)

    def acquire_token(self, http: HttpClient) -> Token | Outcome:
        """An OAuth access token. Without OAuth there is nothing to fetch: the token is then empty."""
        try:
            auth = self._declared().auth
        except DeclarationError as fault:
            return _misdeclared(str(fault))
        if auth.kind is not AuthKind.OAUTH2:
            return Token("", STATIC_TOKEN_LIFETIME)
        return speaking.acquire_token(self.endpoint, auth, http, self.read_timeout)

    def fetch(self, entity: EntityConfig, external_id: str, http: HttpClient) -> CanonicalMessage | Outcome:
        """The ticket as it is now, by the declared `fetch`. Raises Unreadable."""
        fetch = self._declared().operations.fetch
        if fetch is None:
            return _misdeclared("The declaration has no operations.fetch, so tickets cannot be read.")
        values = {**rendering.entity_values(self.endpoint, entity), "target": {"id": external_id}}
        step = rendering.step_of(fetch, "fetch", values)
        answer = self._speaker(fetch, http).ask(step, complaint=self._complaint(fetch))
        if not answer.confirmed:
            return answer.outcome
        received = _received(fetch.document, {**values, "answer": answer.body})
        return reading.read(self.endpoint, self._declared(), received, entity)

    def find(self, question: Question, http: HttpClient) -> Sequence[Attributes] | Outcome:
        """Records, by the declared `find`."""
        find = None if self._fault else self._rest.operations.find
        if find is None:
            return _misdeclared(
                str(self._fault or "The declaration has no operations.find: it cannot be asked for records.")
            )
        try:
            step = finding.step_for(self.endpoint, find, question)
        except Unrenderable as fault:
            return _misdeclared(str(fault))
        answer = self._speaker(find, http).ask(step, complaint=self._complaint(find))
        return finding.records_in(answer, find, question, self.endpoint, self._rest)

    def download(
        self, file: Attachment, http: HttpClient, take: Callable[[Iterator[bytes]], None], longest: int
    ) -> Outcome:
        """The bytes of a file, by the declared `download`."""
        download = None if self._fault else self._rest.operations.download
        if download is None:
            return _misdeclared("The declaration has no operations.download, so its files cannot be fetched.")
        values = {"file": {"id": file.id, "name": file.file_name, "url": file.url}}
        try:
            step = rendering.step_of(download, "download", values)
        except Unrenderable as fault:
            return _misdeclared(str(fault))
        anything = replace(step, headers={"Accept": "*/*", **step.headers})
        return self._speaker(download, http).take_file(anything, take, longest)

    def describe(self, entity: EntityConfig) -> Sequence[FieldDescription]:
        """The declared fields."""
        return [
            FieldDescription(
                name=field.native,
                label=name.replace("_", " ").capitalize(),
                type=field.type or (AttributeType.CHOICE if field.values else AttributeType.TEXT),
                choices=tuple((str(code), shown) for code, shown in field.values.items()),
            )
            for name, field in self._declared().attributes.items()
        ]

    def check_credentials(self, http: HttpClient) -> Outcome:
        """Send the declared `check`; with OAuth fetch a token first if there is none."""
        check = None if self._fault else self._rest.operations.check
        if check is None:
            return _misdeclared(str(self._fault or "The declaration has no operations.check to try."))
        token = self.acquire_token(http) if not self.endpoint.token else Token(self.endpoint.token, 0)
        if isinstance(token, Outcome):
            return token
        try:
            step = rendering.step_of(check, "check", {"settings": self.endpoint.settings})
        except Unrenderable as fault:
            return _misdeclared(str(fault))
        speaker = self._speaker(check, http, replace(self.endpoint, token=token.value))
        return speaker.ask(step, complaint=self._complaint(check)).outcome

    def attribute_name(self, native_name: str) -> str:
        """The attribute that the declaration has for a native field."""
        return self._names.get(native_name, native_name)

    def _declared(self) -> RestDeclaration:
        if self._fault:
            raise self._fault
        return self._rest

    def _speaker(
        self, request: Request, http: HttpClient, endpoint: EndpointConfig | None = None
    ) -> speaking.RestSpeaker:
        endpoint = endpoint or self.endpoint
        return speaking.speaker_for(endpoint, self._rest, request, http, self.read_timeout)

    def _complaint(self, request: Request) -> Callable[[Any], str | None]:
        return lambda body: speaking.complaint_of(request, self._rest, body)

    def _result(self, command: Command, request: Request, answer: Exchange) -> Outcome:
        """The confirmed outcome, with the ids that the answer holds."""
        written = self._carried_by(command.action, request).of(command.attributes)
        outcome = _on_target(command, answer.outcome)
        remote_id = reading.text_at(request.id, answer.body, answer.headers, {})
        if command.action in _ITEMS:
            return replace(outcome, written=written, items=_item(command.action, remote_id))
        if command.action is Action.CREATE and not remote_id:
            return replace(_without_id(outcome), written=written)
        return self._named(outcome, request, answer.body, answer, remote_id, written)

    def _carried_by(self, action: Action, request: Request) -> rendering.Carried:
        if action not in self._carried:
            self._carried[action] = rendering.Carried(request, self._rest)
        return self._carried[action]

    def _named(
        self,
        outcome: Outcome,
        request: Request,
        document: Any,
        answer: Exchange,
        remote_id: str,
        written: Attributes | None = None,
    ) -> Outcome:
        external_id = remote_id or outcome.external_id
        number = reading.text_at(request.number, document, answer.headers, {}) or outcome.number
        link = reading.text_at(request.link, document, answer.headers, {}) or outcome.link
        link = link or reading.link_to(self.endpoint, self._rest, external_id, number)
        written = outcome.written if written is None else written
        return replace(outcome, external_id=external_id, number=number, link=link, written=written)

    def _found(self, command: Command, lookup: Lookup, answer: Exchange) -> Verification:
        found = compile_path(lookup.items).first(answer.body)
        items = found if isinstance(found, list) else [] if found is MISSING or found is None else [found]
        item = next((item for item in items if _carries(item, lookup.key, command.effect_key)), None)
        if item is None:
            return Verification(Found.NO)
        remote_id = reading.text_at(lookup.id, item, answer.headers, {})
        outcome = _on_target(command, answer.outcome)
        if command.action in _ITEMS:
            return Verification(Found.YES, replace(outcome, items=_item(command.action, remote_id)))
        if not remote_id:
            return Verification(Found.FAILED, _without_id(outcome))
        return Verification(Found.YES, self._named(outcome, lookup, item, answer, remote_id))


def _capabilities(declaration: RestDeclaration) -> frozenset[Capability]:
    operations = declaration.operations
    has = {
        Capability.VERIFY: operations.lookup or operations.lookup_comment or operations.lookup_file,
        Capability.ATTACH: operations.attach,
        Capability.DOWNLOAD: operations.download,
        Capability.WRITE_BACK: operations.write_back,
        Capability.FETCH: operations.fetch,
        Capability.LOOKUP: operations.find,
        Capability.TOKEN: declaration.auth.kind is AuthKind.OAUTH2,
    }
    return frozenset(capability for capability, declared in has.items() if declared)


_ITEMS = {Action.COMMENT: "comment", Action.ATTACH: "attachment"}
"""What an action leaves on the ticket, with an id of its own."""


def _item(action: Action, remote_id: str) -> tuple[RemoteItem, ...]:
    return (RemoteItem(_ITEMS[action], remote_id),) if remote_id else ()


def _on_target(command: Command, outcome: Outcome) -> Outcome:
    target = command.target
    if target is None:
        return outcome
    return replace(outcome, external_id=target.external_id, number=target.number, link=target.link)


def _without_id(outcome: Outcome) -> Outcome:
    """Made, but nobody knows where: only a lookup can tell."""
    return replace(
        outcome,
        result=Result.UNKNOWN,
        failure=Failure.UNKNOWN,
        code="no_id",
        detail="The answer holds no id where the declaration says. Correct the id of that operation.",
    )


def _misdeclared(why: str) -> Outcome:
    return Outcome(Result.NOT_SENT, Failure.CONFIGURATION, code="declaration", detail=why)


def _carries(item: Any, key: str, effect_key: str) -> bool:
    if not key:
        return True
    found = compile_path(key).all(item)
    texts = (text for value in found for text in (value if isinstance(value, list) else [value]))
    return any(isinstance(text, str) and effect_key in text for text in texts)


def _received(document: Any, values: dict[str, Any]) -> Received:
    try:
        body = fill(document, values)
    except TemplateError as error:
        raise Unreadable(f"operations.fetch.document: {error}") from None
    if not isinstance(body, dict):
        raise Unreadable("The answer to operations.fetch is not a JSON object. Correct its document.")
    return Received(body, {}, {}, datetime.now(UTC))
