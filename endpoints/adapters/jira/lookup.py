"""Finding again what we did in Jira: an issue by its mark, a comment by its property."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from endpoints.adapters.base import Command, EndpointConfig, Step
from endpoints.adapters.exchange import Exchange, Speaker
from endpoints.adapters.jira.fields import LABEL_MARK, field_of, parse_time
from endpoints.adapters.jira.options import Options
from endpoints.adapters.jira.reading import effect_key_of
from endpoints.adapters.jira.rendering import PROPERTY
from endpoints.outcomes import Found

CLOCK_MARGIN = timedelta(minutes=5)
"""How far Jira's clock may lag behind ours; generous, because the property alone tells comments apart."""
_CUSTOM = re.compile(r"customfield_(\d+)")
_PAGE = "100"

Item = Mapping[str, Any]


def find_issue(
    endpoint: EndpointConfig, options: Options, command: Command, speaker: Speaker
) -> tuple[Found, Exchange, Item]:
    """The first issue that carries our mark; an empty item unless the answer is YES."""
    mark = options.reference_field or "labels"
    fields = sorted({mark, *(field_of(name) for name in command.attributes)})
    query = {
        "jql": f"{_condition(options, command.effect_key)} ORDER BY created ASC",
        "fields": ",".join(fields),
        "maxResults": _PAGE,
    }
    answer = speaker.ask(Step("verify", "GET", options.search, query), complaint=_no("issues"))
    found = [issue for issue in _items(answer, "issues") if _key(endpoint, issue) == command.effect_key]
    return _found(answer, found)


def find_comment(
    options: Options, issue_id: str, effect_key: str, since: datetime, speaker: Speaker
) -> tuple[Found, Exchange, Item]:
    """The comment that carries our effect key, among those made since then, newest first."""
    query = {"expand": "properties", "orderBy": "-created", "maxResults": _PAGE}
    path = f"{options.api}/issue/{quote(issue_id, safe='')}/comment"
    answer = speaker.ask(Step("verify", "GET", path, query), complaint=_no("comments"))
    for comment in _items(answer, "comments"):
        made = parse_time(comment.get("created"))
        if made and made < since - CLOCK_MARGIN:
            continue
        key, failed = _comment_key(options, comment, speaker)
        if failed:
            return Found.FAILED, failed, {}
        if key == effect_key:
            return Found.YES, answer, comment
    return _found(answer, [])


def _condition(options: Options, effect_key: str) -> str:
    if not options.reference_field:
        return f"labels = {json.dumps(LABEL_MARK + effect_key)}"
    match = _CUSTOM.fullmatch(options.reference_field)
    field = f"cf[{match[1]}]" if match else json.dumps(options.reference_field)
    return f"{field} ~ {json.dumps(effect_key)}"


def _key(endpoint: EndpointConfig, issue: Item) -> str:
    fields = issue.get("fields")
    return effect_key_of(endpoint, fields) if isinstance(fields, Mapping) else ""


def _comment_key(options: Options, comment: Item, speaker: Speaker) -> tuple[str, Exchange | None]:
    """A comment's effect key, from the list or, where Jira leaves properties out of it, asked for apart."""
    if isinstance(properties := comment.get("properties"), list):
        own = (each for each in properties if isinstance(each, Mapping) and each.get("key") == PROPERTY)
        return _value(next(own, {})), None
    path = f"{options.api}/comment/{comment.get('id')}/properties/{PROPERTY}"
    answer = speaker.ask(Step("property", "GET", path))
    if answer.confirmed or answer.outcome.status == 404:
        return _value(answer.body if answer.confirmed else {}), None
    return "", answer


def _value(entry: Any) -> str:
    value = entry.get("value") if isinstance(entry, Mapping) else None
    return str(value.get("effect_key", "")) if isinstance(value, Mapping) else ""


def _items(answer: Exchange, name: str) -> list[Item]:
    if not answer.confirmed:
        return []
    return [item for item in answer.body[name] if isinstance(item, Mapping) and item.get("id")]


def _found(answer: Exchange, matching: list[Item]) -> tuple[Found, Exchange, Item]:
    if not answer.confirmed:
        return Found.FAILED, answer, {}
    return (Found.YES, answer, matching[0]) if matching else (Found.NO, answer, {})


def _no(name: str) -> Any:
    def complaint(body: Any) -> str | None:
        found = body.get(name) if isinstance(body, Mapping) else None
        return None if isinstance(found, list) else f"Jira answered without a list of {name}."

    return complaint
