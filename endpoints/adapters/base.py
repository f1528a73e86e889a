"""What every adapter is: a declaration and a few verbs between one system's format and the canonical one.

An adapter never retries, sleeps, touches the database or decides what is final. It translates, speaks
once, and reports what happened in the words of `endpoints.outcomes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from endpoints.canonical import (
    Attachment,
    Attributes,
    AttributeType,
    CanonicalMessage,
    Comment,
    EntityKind,
)
from endpoints.http import HttpClient
from endpoints.outcomes import Outcome, Verification


class Capability(StrEnum):
    """What an adapter may say it can do beyond reading, rendering and sending."""

    VERIFY = "verify"
    """Finds its own earlier create or comment by the effect key."""
    WRITE_BACK = "write_back"
    """Writes the partner's ticket number onto its own ticket."""
    TOKEN = "token"  # noqa: S105 (the name of a capability)
    """Needs an access token that it fetches itself."""
    FETCH = "fetch"
    """Reads one ticket by its id."""
    ATTACH = "attach"
    """Takes files for its tickets."""
    DOWNLOAD = "download"
    """Hands out the files that its messages speak of."""
    LOOKUP = "lookup"
    """Answers questions for records that fit some criteria."""


class Action(StrEnum):
    """What is asked of the target system."""

    CREATE = "create"
    UPDATE = "update"
    COMMENT = "comment"
    WRITE_BACK = "write_back"
    ATTACH = "attach"


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of an adapter's settings form, as a person fills it in.

    `secret` settings are stored encrypted and never shown again. `default` is used when left empty.
    """

    name: str
    label: str
    help: str
    secret: bool = False
    required: bool = False
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    multiline: bool = False
    only_if: tuple[str, str] | None = None
    """(setting, value): asked for only when that other setting has this value."""


@dataclass(frozen=True, slots=True)
class EntityConfig:
    """One entity type of an endpoint. `name` is how rules call it, `remote_name` how the system does
    (table, issue type); `resolving_value` is what selects it in a payload, `remote_name` if empty."""

    name: str
    kind: EntityKind
    remote_name: str
    resolving_value: str = ""
    active: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def selector(self) -> str:
        """The payload value that selects this entity type."""
        return self.resolving_value or self.remote_name


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """All that an adapter may know of its endpoint: values only, safe to hand to another thread."""

    id: int
    name: str
    base_url: str
    timezone: ZoneInfo
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    entities: tuple[EntityConfig, ...]
    success_codes: frozenset[int] = frozenset()
    unrecoverable_codes: frozenset[int] = frozenset()
    token: str = field(default="", repr=False)
    """The access token in use, empty when there is none yet."""

    def entity_selected_by(self, selector: str) -> EntityConfig | None:
        """The active entity type whose resolving value equals `selector`, ignoring case."""
        folded = selector.casefold()
        return next((e for e in self.entities if e.active and e.selector.casefold() == folded), None)

    @property
    def first_selector(self) -> str:
        """What selects the first active entity type, empty when there is none."""
        return next((entity.selector for entity in self.entities if entity.active), "")

    def entity(self, name: str) -> EntityConfig | None:
        """The entity type that rules call `name`."""
        return next((entity for entity in self.entities if entity.name == name), None)


@dataclass(frozen=True, slots=True)
class Received:
    """An inbound message as it came in: `body` parsed (JSON object or XML as nested mapping)."""

    body: Mapping[str, Any]
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names; never credentials."""
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Reference:
    """A ticket at some system: its id, the number people use, and a link for a browser."""

    external_id: str
    number: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file to be handed on. `pieces` reads it from its beginning, each time it is called; together they
    are exactly `size` bytes."""

    name: str = field(repr=False)
    content_type: str
    size: int
    pieces: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be done at the target, in canonical words.

    `target` is the ticket there (None exactly for a create); `partner` the ticket it came from.
    """

    action: Action
    entity: EntityConfig
    effect_key: str
    target: Reference | None = None
    attributes: Attributes = field(default_factory=dict)
    comment: Comment | None = None
    partner: Reference | None = None
    message_type: str = ""
    file: OutgoingFile | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One request as it will be sent: what a person sees as preview. Holds no credentials.

    `body` is JSON-ready (mapping or list), or text for other content types, or None. `purpose` names
    the step for the adapter itself (`create`, `fields`, `status` …).
    """

    purpose: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    upload: Upload | None = None
    shown: Any = None
    """What people see instead of the body."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a request's body: as it is, or, where `part` names it, as that part of a form."""

    file: OutgoingFile
    part: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A rendered command. `repeatable`: doing it twice leaves the same as doing it once."""

    command: Command
    steps: tuple[Step, ...]
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Question:
    """Which records a rule asks for: of an entity type or, where that is None, of what the system calls
    `record` (a table, an object). All `criteria`, name → text, must equal; an empty `attributes` asks for
    all. Names of an entity type's attributes are the canonical ones, others the system's own."""

    entity: EntityConfig | None
    record: str
    criteria: Mapping[str, str] = field(repr=False)
    attributes: tuple[str, ...] = ()
    limit: int = 1


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One field that an entity type has at its system, for the mapping editor."""

    name: str
    label: str
    type: AttributeType
    mandatory: bool = False
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and how many seconds it is good for."""

    value: str = field(repr=False)
    expires_in: float


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where and as whom a system posts to us; never the password, which only the person knows."""

    root: str
    """The address without its last part, such as https://oneio.example.com/qa/api/v1."""
    username: str

    @property
    def messages(self) -> str:
        """Where tickets are posted."""
        return f"{self.root}/messages"

    @property
    def test(self) -> str:
        """Where a message is posted that only tries the connection: it is taken in, and nothing follows."""
        return f"{self.messages}?test=true"

    @property
    def files(self) -> str:
        """Where files are posted."""
        return f"{self.root}/attachments"


@dataclass(frozen=True, slots=True)
class Package:
    """A file to be loaded into a system, after which it can post to us."""

    file_name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """A step of a system's own set-up, after which it posts to us; `ticket`: only a real ticket proves it."""

    title: str
    to_do: str
    ticket: bool = False


class Unreadable(Exception):
    """A received message cannot be understood. The text says what is wrong and what to do."""


class Unrenderable(Exception):
    """A command cannot be turned into this system's request. The text says what is wrong and what to do."""


class Adapter(ABC):
    """One endpoint type, bound to one endpoint's configuration."""

    kind: ClassVar[str]
    label: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]] = ()
    capabilities: frozenset[Capability] = frozenset()
    """Of the class what it can do at best; of an instance what it can do as configured."""
    default_entities: ClassVar[tuple[EntityConfig, ...]] = ()
    """What guided creation offers."""
    verify_settles_in: timedelta = timedelta(0)
    """How long a lookup may still miss what was done."""
    read_timeout: float = 70.0
    """Seconds to wait for an answer; longer than the system's own cap."""
    throttle_answer: ClassVar[Literal[429, 503]] = 429
    """The status by which this sender is told to come back later."""
    arrivals: ClassVar[tuple[Arrival, ...]] = (
        Arrival("It reaches us", "Let it post to the receiver address, then change a ticket there."),
    )
    """What is to be done at the system so that it posts to us."""
    package_label: ClassVar[str] = ""
    """What the system calls the file of `package`, empty where there is none."""
    address_goes_to: ClassVar[str] = "Address"
    """What the system calls the place where our receiver address is entered."""

    def __init__(self, endpoint: EndpointConfig) -> None:
        self.endpoint = endpoint

    @abstractmethod
    def read(self, received: Received) -> CanonicalMessage:
        """Native to canonical. Raises Unreadable."""

    def sample(self) -> Mapping[str, Any]:
        """The body of a first message to try the connection with, such as `read` understands."""
        return {}

    def package(self, receiver: Receiver, now: datetime) -> Package:
        """The file that brings the system what posts to `receiver`."""
        raise TypeError(f"{self.label} does not declare that there is such a file.")

    @abstractmethod
    def render(self, command: Command) -> Plan:
        """Canonical to native: the same command always gives the same plan. Raises Unrenderable."""

    @abstractmethod
    def send(self, plan: Plan, http: HttpClient) -> Outcome:
        """Carry out the plan, once. Never raises for what the remote system or the network does."""

    def verify(self, command: Command, since: datetime, http: HttpClient) -> Verification:
        """Did an earlier attempt of `command`, begun at `since`, arrive? Default: this system cannot say."""
        return Verification.unanswerable()

    def uses_token(self) -> bool:
        """Whether this endpoint, as configured, authenticates by a token from `acquire_token`."""
        return Capability.TOKEN in self.capabilities

    def acquire_token(self, http: HttpClient) -> Token | Outcome:
        """A fresh access token, or the outcome that says why there is none."""
        raise TypeError(f"{self.label} needs no access token.")

    def fetch(self, entity: EntityConfig, external_id: str, http: HttpClient) -> CanonicalMessage | Outcome:
        """The ticket as it is now at its system."""
        raise TypeError(f"{self.label} does not declare that it can read tickets.")

    def find(self, question: Question, http: HttpClient) -> Sequence[Attributes] | Outcome:
        """The records asked for, newest first where the system can tell, each with `id` and, if it has
        them, `number` and `codes`; or the outcome that says why there is no answer."""
        raise TypeError(f"{self.label} does not declare that it can be asked for records.")

    def download(
        self, file: Attachment, http: HttpClient, take: Callable[[Iterator[bytes]], None], longest: int
    ) -> Outcome:
        """Hand the bytes of a file that a message spoke of to `take` as they arrive, `longest` at most."""
        raise TypeError(f"{self.label} does not declare that its files can be fetched.")

    def describe(self, entity: EntityConfig) -> Sequence[FieldDescription]:
        """The fields known for an entity type without asking the system."""
        return ()

    @abstractmethod
    def check_credentials(self, http: HttpClient) -> Outcome:
        """Ask the system for something harmless that needs the outbound credentials."""

    def attribute_name(self, native_name: str) -> str:
        """The canonical name of a native field: itself where there is no documented one."""
        return native_name
