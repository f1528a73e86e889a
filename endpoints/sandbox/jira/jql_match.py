"""Meaning of a query: which issues a tree of clauses accepts and in which order they come."""

import operator
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.adf import to_text
from endpoints.sandbox.jira.catalog import TIME_ZONE, Field, User
from endpoints.sandbox.jira.jql import BadQueryError, Clause, Condition, Group, Operand, Query
from endpoints.sandbox.store import Record

KEY = Field("key", "Key", "key", ("key", "issuekey", "issue", "id"))
CATEGORY = Field("statuscategory", "Status Category", "category", ("statuscategory",))
TEXT = Field("text", "Text", "anytext", ("text",))
TEXT_FIELDS = ("summary", "description", "environment", catalog.EXTERNAL_REFERENCE.id)
RELATIVE = re.compile(r"([+-]?\d+)(w|d|h|m)?")
UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}
TIMES = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LISTS = {"=", "!=", "in", "not in", "is", "is not"}
TEXT_OPERATORS = {"~", "!~", "is", "is not"}
ORDERED = frozenset({"key", "time", "date", "number"})
WORDY = frozenset({"line", "document", "anytext"})
CHOICES: dict[str, tuple[catalog.Named, ...]] = {
    "priority": catalog.PRIORITIES,
    "issuetype": catalog.ISSUE_TYPES,
    "status": catalog.STATUSES,
    "resolution": catalog.RESOLUTIONS,
    "option": catalog.OPTIONS,
}

Predicate = Callable[[Record], bool]


@dataclass(frozen=True)
class Scope:
    """What a query's meaning depends on: the time, who asks, and how an issue is found by key or id."""

    now: datetime
    user: User
    find: Callable[[str], Record | None]


def predicate(query: Query, scope: Scope) -> Predicate:
    """Return the test a query puts an issue to; raises BadQueryError for unknown fields and values."""
    return _condition(query.where, scope) if query.where else lambda issue: True


def sort(query: Query, issues: list[Record]) -> list[Record]:
    """Return the issues in the order asked for, the newest first where nothing is asked."""
    ordered = sorted(issues, key=lambda issue: -int(issue["id"]))
    for name, descending in reversed(query.order):
        field = _field(name)
        ordered.sort(key=_sort_key(field), reverse=descending)
    return ordered


def _condition(condition: Condition, scope: Scope) -> Predicate:
    if isinstance(condition, Clause):
        return _clause(condition, scope)
    return _group(condition, [_condition(part, scope) for part in condition.parts])


def _group(group: Group, tests: list[Predicate]) -> Predicate:
    if group.kind == "not":
        return lambda issue: not tests[0](issue)
    combine = all if group.kind == "and" else any
    return lambda issue: combine(test(issue) for test in tests)


def _clause(clause: Clause, scope: Scope) -> Predicate:
    field = _field(clause.field)
    _check_operator(field, clause)
    if clause.operator in ("is", "is not"):
        wanted = clause.operator == "is not"
        return lambda issue: bool(_values(field, issue)) is wanted
    if field.kind in WORDY:
        return _text_clause(field, clause)
    if any(operand.empty for operand in clause.operands):
        return _clause_with_empty(field, clause, scope)
    wanted_values = [_operand(field, operand, scope) for operand in clause.operands]
    return _comparison(field, clause.operator, wanted_values)


def _comparison(field: Field, sign: str, wanted: list[Any]) -> Predicate:
    if sign in ("!=", "not in"):
        # As in Jira, an empty field is not "different".
        return lambda issue: (
            bool(values := _values(field, issue)) and not any(each in wanted for each in values)
        )
    if sign == "in":
        return lambda issue: any(each in wanted for each in _values(field, issue))
    compare = COMPARE[sign]
    return lambda issue: any(compare(each, wanted[0]) for each in _values(field, issue))


def _clause_with_empty(field: Field, clause: Clause, scope: Scope) -> Predicate:
    rest = tuple(operand for operand in clause.operands if not operand.empty)
    negative = clause.operator in ("!=", "not in")
    if not rest:
        return lambda issue: bool(_values(field, issue)) is negative
    others = _clause(Clause(clause.field, clause.operator, rest), scope)
    if negative:
        return others
    return lambda issue: others(issue) or not _values(field, issue)


def _check_operator(field: Field, clause: Clause) -> None:
    allowed = TEXT_OPERATORS if field.kind in WORDY else LISTS
    if field.kind in ORDERED:
        allowed = allowed | COMPARE.keys()
    if clause.operator not in allowed:
        raise BadQueryError(
            f"The operator '{clause.operator}' is not supported by the '{clause.field}' field."
        )


def _field(name: str) -> Field:
    wanted = name.casefold()
    special = next((each for each in (KEY, CATEGORY, TEXT) if wanted in each.clauses), None)
    field = special or next(
        (each for each in catalog.FIELDS if wanted in {clause.casefold() for clause in each.clauses}), None
    )
    if field is None or field.kind in ("comments", "attachments", "subtasks"):
        raise BadQueryError(f"Field '{name}' does not exist or you do not have permission to view it.")
    return field


def _values(field: Field, issue: Record) -> list[Any]:
    if field.kind == "key":
        return [_place(issue)]
    if field.kind == "category":
        return [catalog.status_of(issue["fields"]["status"]).category.key]
    if field.kind == "anytext":
        return [text for name in TEXT_FIELDS if (text := _plain(issue["fields"].get(name)))]
    value = issue["fields"].get(field.id)
    if field.kind in WORDY:
        return [text] if (text := _plain(value)) else []
    return _simple_values(field, value)


def _simple_values(field: Field, value: Any) -> list[Any]:
    if value is None:
        return []
    if field.kind == "time":
        # Queries know minutes only.
        return [int(value) // 60 * 60]
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return to_text(value) if isinstance(value, dict) else value or ""


def _place(issue: Record) -> tuple[str, int]:
    project, _, number = issue["key"].rpartition("-")
    return project, int(number)


def _text_clause(field: Field, clause: Clause) -> Predicate:
    found = _text_test(clause.operands[0].text)
    if clause.operator == "~":
        return lambda issue: any(found(text) for text in _values(field, issue))
    return lambda issue: bool(texts := _values(field, issue)) and not any(found(text) for text in texts)


def _text_test(query: str) -> Callable[[str], bool]:
    """All words in any order, a quoted phrase in its order, `*` at the end of a word for any ending."""
    phrase = len(query) > 1 and query[0] == query[-1] == '"'
    wanted = re.findall(r"\w+\*?", query.casefold())
    patterns = [word.replace("*", r"\w*") for word in wanted]
    if not patterns:
        return lambda text: False
    if phrase:
        patterns = [r"\W+".join(patterns)]
    tests = [re.compile(rf"(?<!\w){pattern}(?!\w)") for pattern in patterns]
    return lambda text: all(test.search(text.casefold()) for test in tests)


def _operand(field: Field, operand: Operand, scope: Scope) -> Any:
    if operand.function:
        return _function(field, operand.text, scope)
    if field.kind in CHOICES:
        return _choice(field, operand.text)
    reader = READERS.get(field.kind)
    return reader(field, operand.text, scope) if reader else operand.text


def _function(field: Field, name: str, scope: Scope) -> Any:
    midnight = scope.now.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = {
        "now": scope.now,
        "startofday": midnight,
        "endofday": midnight + timedelta(days=1, seconds=-1),
    }
    if field.kind == "user" and name == "currentuser":
        return scope.user.id
    if field.kind == "time" and name in moments:
        return moments[name].timestamp()
    if field.kind == "date" and name in moments:
        return moments[name].date().isoformat()
    raise BadQueryError(f"Unable to find JQL function '{name}()' for the field '{field.clauses[0]}'.")


def _choice(field: Field, text: str) -> str:
    entries = CHOICES[field.kind]
    found = catalog.by_id(entries, text) or catalog.by_name(entries, text)
    if found is None:
        raise _no_value(field, text)
    return found.id


def _project(field: Field, text: str, scope: Scope) -> str:
    project = catalog.find_project(text) or catalog.by_name(catalog.PROJECTS, text)
    if project is None:
        raise _no_value(field, text)
    return project.id


def _category(field: Field, text: str, scope: Scope) -> str:
    categories = {status.category for status in catalog.STATUSES}
    names = {name: each.key for each in categories for name in (each.name.casefold(), each.key, str(each.id))}
    if text.casefold() not in names:
        raise _no_value(field, text)
    return names[text.casefold()]


def _user(field: Field, text: str, scope: Scope) -> str:
    user = catalog.find_user(text)
    if user is None:
        raise _no_value(field, text)
    return user.id


def _key(field: Field, text: str, scope: Scope) -> tuple[str, int]:
    issue = scope.find(text)
    if issue is None:
        raise BadQueryError(f"An issue with key '{text}' does not exist for field 'key'.")
    return _place(issue)


def _parent(field: Field, text: str, scope: Scope) -> str:
    issue = scope.find(text)
    if issue is None:
        raise BadQueryError(f"An issue with key '{text}' does not exist for field 'parent'.")
    issue_id: str = issue["id"]
    return issue_id


def _number(field: Field, text: str, scope: Scope) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadQueryError(f"The value '{text}' is not a number for the field '{field.name}'.") from None


def _time(field: Field, text: str, scope: Scope) -> float:
    return _moment(field, text, scope).timestamp()


def _date(field: Field, text: str, scope: Scope) -> str:
    return _moment(field, text, scope).date().isoformat()


def _moment(field: Field, text: str, scope: Scope) -> datetime:
    if relative := RELATIVE.fullmatch(text):
        with suppress(OverflowError):
            return scope.now + timedelta(**{UNITS[relative[2] or "m"]: int(relative[1])})
    for form in TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=TIME_ZONE)
        except ValueError:
            continue
    raise BadQueryError(
        f"Date value '{text}' for field '{field.clauses[0]}' is invalid. Valid formats include: "
        "'yyyy/MM/dd HH:mm', 'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format "
        "e.g. '-5d', '4w 2d'."
    )


def _no_value(field: Field, text: str) -> BadQueryError:
    return BadQueryError(f"The value '{text}' does not exist for the field '{field.clauses[0]}'.")


def _sort_key(field: Field) -> Callable[[Record], tuple[bool, Any]]:
    def key(issue: Record) -> tuple[bool, Any]:
        values = _values(field, issue)
        return (not values, _rank(field, values[0]) if values else 0)

    return key


def _rank(field: Field, value: Any) -> Any:
    if field.kind == "priority":
        return -int(value)
    if field.kind in CHOICES:
        return [entry.id for entry in CHOICES[field.kind]].index(value)
    return value.casefold() if field.kind in WORDY else value


READERS: dict[str, Callable[[Field, str, Scope], Any]] = {
    "project": _project,
    "category": _category,
    "user": _user,
    "key": _key,
    "parent": _parent,
    "number": _number,
    "time": _time,
    "date": _date,
}
