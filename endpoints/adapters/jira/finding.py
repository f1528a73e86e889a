"""Answers a rule's questions from Jira: issues by their fields, users by e-mail or name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from endpoints.adapters.base import EntityConfig, Question, Step
from endpoints.adapters.exchange import Speaker
from endpoints.adapters.jira.fields import attributes_of, field_of
from endpoints.adapters.jira.options import Options
from endpoints.adapters.values import canonical_value, text_of
from endpoints.canonical import Attributes, Value
from endpoints.outcomes import Failure, Outcome, Result

USER = "user"
USER_CRITERIA = ("emailAddress", "displayName", "name")
_CUSTOM = re.compile(r"customfield_(\d+)")
_TEXTS = frozenset({"summary", "description", "environment"})
_OWN_NAMES = {"number": "key"}
_SEARCHED = 50
"""Issues and people of which those that equal are chosen: Jira finds words and beginnings."""


def find(
    question: Question, options: Options, zone: ZoneInfo, speaker: Speaker
) -> Sequence[Attributes] | Outcome:
    """Issues of an entity type, newest first, or users."""
    if question.entity:
        return _issues(question, question.entity, options, zone, speaker)
    if question.record == USER and len(question.criteria) == 1:
        return _users(question, options, speaker)
    return _misasked("Jira can be asked for an entity type's issues, or for a user by one criterion.")


def _issues(
    question: Question, entity: EntityConfig, options: Options, zone: ZoneInfo, speaker: Speaker
) -> Sequence[Attributes] | Outcome:
    sought = {_OWN_NAMES.get(name, field_of(name)): text for name, text in question.criteria.items()}
    texts = [field for field in sought if _is_text(field, options)]
    conditions = [_condition(field, text, field in texts) for field, text in sought.items()]
    wanted = [*(field_of(name) for name in question.attributes), *texts] if question.attributes else ["*all"]
    query = {
        "jql": " AND ".join([f"issuetype = {_quoted(entity.remote_name)}", *conditions])
        + " ORDER BY created DESC",
        "fields": ",".join(wanted),
        "maxResults": str(_SEARCHED if texts else question.limit),
    }
    answer = speaker.ask(Step("find", "GET", options.search, query), complaint=_no_issues)
    if not answer.confirmed:
        return answer.outcome
    issues = [issue for issue in answer.body["issues"] if isinstance(issue, Mapping)]
    found = [_issue(entity, issue, zone) for issue in issues]
    names = [name for name in question.criteria if field_of(name) in texts]
    equal = [one for one in found if all(_same(one.get(name), question.criteria[name]) for name in names)]
    return equal[: question.limit]


def _issue(entity: EntityConfig, issue: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Value]:
    fields = issue.get("fields")
    attributes, codes = attributes_of(entity.kind, fields if isinstance(fields, Mapping) else {}, zone)
    named: dict[str, Value] = {"id": str(issue.get("id", "")), "number": str(issue.get("key", ""))}
    return {**attributes, **named, "codes": dict(codes)}


def _is_text(field: str, options: Options) -> bool:
    """Whether Jira compares this field by words only: its texts, and custom fields without choices."""
    return field in _TEXTS or bool(_CUSTOM.fullmatch(field) and field not in options.option_fields)


def _condition(field: str, text: str, by_words: bool) -> str:
    match = _CUSTOM.fullmatch(field)
    name = f"cf[{match[1]}]" if match else _quoted(field)
    return f"{name} ~ {_quoted(_quoted(text))}" if by_words else f"{name} = {_quoted(text)}"


def _users(question: Question, options: Options, speaker: Speaker) -> Sequence[Attributes] | Outcome:
    [(name, text)] = question.criteria.items()
    if name not in USER_CRITERIA:
        return _misasked(f"Jira finds users by {', '.join(USER_CRITERIA)}; the lookup names {name}.")
    query = {"query" if options.cloud else "username": text, "maxResults": str(_SEARCHED)}
    answer = speaker.ask(Step("find", "GET", f"{options.api}/user/search", query), complaint=_no_users)
    if not answer.confirmed:
        return answer.outcome
    users = [user for user in answer.body if isinstance(user, Mapping)]
    # A user may hide the address from us: then one that Jira found by it alone is the one.
    hidden = len(users) == 1 and not users[0].get(name)
    found = users if hidden else [user for user in users if _same(user.get(name), text)]
    return [_user(user) for user in found[: question.limit]]


def _user(user: Mapping[str, Any]) -> dict[str, Value]:
    identity = user.get("accountId") or user.get("name") or user.get("key") or ""
    return {**{str(name): canonical_value(raw) for name, raw in user.items()}, "id": str(identity)}


def _same(found: Any, wanted: str) -> bool:
    return text_of(canonical_value(found)).strip().casefold() == wanted.strip().casefold()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _no_issues(body: Any) -> str | None:
    found = body.get("issues") if isinstance(body, Mapping) else None
    return None if isinstance(found, list) else "Jira answered without a list of issues."


def _no_users(body: Any) -> str | None:
    return None if isinstance(body, list) else "Jira answered without a list of users."


def _misasked(why: str) -> Outcome:
    return Outcome(Result.NOT_SENT, Failure.CONFIGURATION, code="lookup", detail=why)
