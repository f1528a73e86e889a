"""What an administrator set up in this Jira: people, projects, issue types, workflow and fields."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

TIME_ZONE = ZoneInfo("Europe/Berlin")


class Named(Protocol):
    """Anything that has an id and a name."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def by_id(entries: Iterable[N], wanted: str) -> N | None:
    """Return the entry with this id, None when there is none."""
    return next((entry for entry in entries if entry.id == wanted), None)


def by_name(entries: Iterable[N], wanted: str) -> N | None:
    """Return the entry with this name, whatever its case; None when there is none."""
    return next((entry for entry in entries if entry.name.casefold() == wanted.casefold()), None)


@dataclass(frozen=True)
class User:
    """A person or app; `id` is the accountId, `login` the user name on Server."""

    id: str
    name: str
    email: str
    login: str
    account_type: str = "atlassian"


ADA = User("712020:0b7c1e52-ada0-4c1d-9a51-6f1f3b8c0001", "Ada Lovelace", "ada@example.com", "ada")
GRACE = User("712020:0b7c1e52-ada0-4c1d-9a51-6f1f3b8c0002", "Grace Hopper", "grace@example.com", "grace")
ALAN = User("712020:0b7c1e52-ada0-4c1d-9a51-6f1f3b8c0003", "Alan Turing", "alan@example.com", "alan")
INTEGRATION = User(
    "712020:0b7c1e52-ada0-4c1d-9a51-6f1f3b8c0009",
    "Integration User",
    "integration@example.com",
    "integration",
)
AUTOMATION = User(
    "557058:f58131cb-0000-4000-8000-30d6b58d40bd", "Automation for Jira", "", "automation", "app"
)
USERS = (ADA, GRACE, ALAN, INTEGRATION, AUTOMATION)
PEOPLE = (ADA, GRACE, ALAN)
PEOPLE_AND_INTEGRATION = (*PEOPLE, INTEGRATION)


@dataclass(frozen=True)
class Project:
    """A project; `id` is numeric text, `key` the prefix of its issues."""

    id: str
    key: str
    name: str


PROJECTS = (Project("10000", "OPS", "IT Operations"), Project("10001", "SUP", "Customer Support"))


@dataclass(frozen=True)
class IssueType:
    """A kind of issue."""

    id: str
    name: str
    description: str
    subtask: bool = False


ISSUE_TYPES = (
    IssueType("10004", "Incident", "An unplanned interruption or loss of quality of a service."),
    IssueType("10001", "Task", "A small, distinct piece of work."),
    IssueType("10002", "Bug", "A problem or error."),
    IssueType("10003", "Story", "Functionality expressed as a user goal."),
    IssueType("10005", "Sub-task", "A small piece of work that is part of a larger one.", subtask=True),
)


@dataclass(frozen=True)
class Priority:
    """How urgent an issue is; listed from most to least urgent."""

    id: str
    name: str
    color: str


PRIORITIES = (
    Priority("1", "Highest", "#d04437"),
    Priority("2", "High", "#f15c75"),
    Priority("3", "Medium", "#f79232"),
    Priority("4", "Low", "#707070"),
    Priority("5", "Lowest", "#999999"),
)
DEFAULT_PRIORITY = PRIORITIES[2]


@dataclass(frozen=True)
class StatusCategory:
    """One of the three groups every status belongs to."""

    id: int
    key: str
    color: str
    name: str


NEW = StatusCategory(2, "new", "blue-gray", "To Do")
MOVING = StatusCategory(4, "indeterminate", "yellow", "In Progress")
FINISHED = StatusCategory(3, "done", "green", "Done")


@dataclass(frozen=True)
class Status:
    """A state of the workflow."""

    id: str
    name: str
    category: StatusCategory


TO_DO = Status("10000", "To Do", NEW)
IN_PROGRESS = Status("3", "In Progress", MOVING)
IN_REVIEW = Status("10001", "In Review", MOVING)
DONE = Status("10002", "Done", FINISHED)
STATUSES = (TO_DO, IN_PROGRESS, IN_REVIEW, DONE)


@dataclass(frozen=True)
class Transition:
    """A step of the workflow, available only in the statuses it starts from."""

    id: str
    name: str
    sources: tuple[Status, ...]
    target: Status

    @property
    def resolves(self) -> bool:
        """Say whether the step ends the issue, asks for a resolution and sets one."""
        return self.target.category is FINISHED


TRANSITIONS = (
    Transition("11", "Start progress", (TO_DO,), IN_PROGRESS),
    Transition("21", "Request review", (IN_PROGRESS,), IN_REVIEW),
    Transition("31", "Done", (IN_PROGRESS, IN_REVIEW), DONE),
    Transition("41", "Back to work", (IN_REVIEW,), IN_PROGRESS),
    Transition("51", "Stop progress", (IN_PROGRESS,), TO_DO),
    Transition("61", "Reopen", (DONE,), TO_DO),
)


@dataclass(frozen=True)
class Resolution:
    """How an issue ended."""

    id: str
    name: str


RESOLUTIONS = (
    Resolution("10000", "Done"),
    Resolution("10001", "Won't Do"),
    Resolution("10002", "Duplicate"),
    Resolution("10003", "Cannot Reproduce"),
)


@dataclass(frozen=True)
class Option:
    """A choice of the select field; `name` is what people read."""

    id: str
    name: str


OPTIONS = (
    Option("10020", "1 - Critical"),
    Option("10021", "2 - High"),
    Option("10022", "3 - Moderate"),
    Option("10023", "4 - Low"),
)


@dataclass(frozen=True)
class Field:
    """A field of an issue.

    `kind` decides how its values are checked, stored and shown. `create` and `edit` say on which screens it
    stands: anywhere else it cannot be set. `clauses` are its names in JQL.
    """

    id: str
    name: str
    kind: str
    clauses: tuple[str, ...]
    create: bool = True
    edit: bool = True
    required: bool = False

    @property
    def custom_id(self) -> int | None:
        """The number of a custom field, None for a system field."""
        return int(self.id.removeprefix("customfield_")) if self.id.startswith("customfield_") else None

    @property
    def operations(self) -> list[str]:
        """What `update` can do with it."""
        return ["add", "set", "remove"] if self.kind == "labels" else ["set"]


EXTERNAL_REFERENCE = Field(
    "customfield_10050", "External reference", "line", ("cf[10050]", "External reference")
)
IMPACT = Field("customfield_10051", "Impact level", "option", ("cf[10051]", "Impact level"))
AFFECTED_USERS = Field("customfield_10052", "Affected users", "number", ("cf[10052]", "Affected users"))

FIELDS = (
    Field("summary", "Summary", "line", ("summary",), required=True),
    Field("issuetype", "Issue Type", "issuetype", ("issuetype", "type"), required=True),
    Field("project", "Project", "project", ("project",), edit=False, required=True),
    Field("description", "Description", "document", ("description",)),
    Field("priority", "Priority", "priority", ("priority",)),
    Field("labels", "Labels", "labels", ("labels",)),
    Field("assignee", "Assignee", "user", ("assignee",)),
    Field("reporter", "Reporter", "user", ("reporter",)),
    Field("duedate", "Due date", "date", ("due", "duedate")),
    Field("environment", "Environment", "document", ("environment",)),
    Field("parent", "Parent", "parent", ("parent",), edit=False),
    EXTERNAL_REFERENCE,
    IMPACT,
    AFFECTED_USERS,
    Field("status", "Status", "status", ("status",), create=False, edit=False),
    Field("resolution", "Resolution", "resolution", ("resolution",), create=False, edit=False),
    Field("creator", "Creator", "user", ("creator",), create=False, edit=False),
    Field("created", "Created", "time", ("created", "createdDate"), create=False, edit=False),
    Field("updated", "Updated", "time", ("updated", "updatedDate"), create=False, edit=False),
    Field("resolutiondate", "Resolved", "time", ("resolved", "resolutiondate"), create=False, edit=False),
    Field("comment", "Comment", "comments", ("comment",), create=False, edit=False),
    Field("attachment", "Attachment", "attachments", ("attachments",), create=False, edit=False),
    Field("subtasks", "Sub-tasks", "subtasks", ("subtasks",), create=False, edit=False),
)


def find_project(key_or_id: str) -> Project | None:
    """Return a project by key or id."""
    return next((each for each in PROJECTS if key_or_id.upper() == each.key or key_or_id == each.id), None)


def find_user(text: str) -> User | None:
    """Return a user by accountId, email, login or full name."""
    wanted = text.casefold()
    return next(
        (each for each in USERS if wanted in (each.id, each.email, each.login, each.name.casefold())), None
    )


def status_of(status_id: str) -> Status:
    """Return the status with this id."""
    return next(each for each in STATUSES if each.id == status_id)


def transitions_from(status_id: str) -> list[Transition]:
    """Return the steps of the workflow that are available in a status."""
    return [each for each in TRANSITIONS if status_id in {source.id for source in each.sources}]
