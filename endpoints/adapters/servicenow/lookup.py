"""Finding again what we did in ServiceNow: a record by its mark, a comment by its journal entry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from endpoints.adapters.base import Step
from endpoints.adapters.exchange import Exchange, Speaker
from endpoints.adapters.servicenow.reading import cell_of, parse_time
from endpoints.adapters.servicenow.rendering import READ_QUERY, TABLE_API, journal_column, mark_of
from endpoints.canonical import Comment
from endpoints.outcomes import Found

RECENT_ENTRIES = 100
CLOCK_MARGIN = timedelta(seconds=30)
"""How far ServiceNow's clock may lag behind ours when we look for our own comment."""

Record = Mapping[str, Any]


def no_list(body: Any) -> str | None:
    """Complains about an answer that is no list of records."""
    if isinstance(body, Mapping) and isinstance(body.get("result"), list):
        return None
    return "ServiceNow answered without a list of records; a sleeping or restarting instance does that."


def find_record(table: str, effect_key: str, speaker: Speaker) -> tuple[Found, Exchange, Record]:
    """The oldest record that carries our mark; an empty record unless the answer is YES."""
    mark = mark_of(effect_key)
    query = {"sysparm_query": f"correlation_display={mark}^ORDERBYsys_created_on", "sysparm_limit": "10"}
    answer = speaker.ask(
        Step("verify", "GET", f"{TABLE_API}/{table}", {**READ_QUERY, **query}), complaint=no_list
    )
    found = [
        record for record in _records(answer) if cell_of(record.get("correlation_display")).value == mark
    ]
    return _found(answer, found)


def find_entry(
    comment: Comment, sys_id: str, speaker: Speaker, since: datetime | None = None
) -> tuple[Found, Exchange, Record]:
    """The newest journal entry of a record with this text, made since then if a time is given."""
    of_record, of_journal = sys_id.replace("^", "^^"), journal_column(comment)
    query = {
        "sysparm_query": f"element_id={of_record}^element={of_journal}^ORDERBYDESCsys_created_on",
        "sysparm_fields": "sys_id,element_id,value,sys_created_on",
        "sysparm_limit": str(RECENT_ENTRIES),
    }
    answer = speaker.ask(Step("entry", "GET", f"{TABLE_API}/sys_journal_field", query), complaint=no_list)
    own = [record for record in _records(answer) if cell_of(record.get("element_id")).value == sys_id]
    if len(own) < len(_records(answer)):
        return Found.UNANSWERABLE, answer, {}
    found, _, entry = _found(answer, [record for record in own if _is_entry(record, comment.text, since)])
    # Entries of other times and texts show that the journal can be read.
    return (Found.NO if own and found is Found.UNANSWERABLE else found), answer, entry


def _records(answer: Exchange) -> list[Record]:
    if not answer.confirmed:
        return []
    return [record for record in answer.body["result"] if isinstance(record, Mapping)]


def _found(answer: Exchange, matching: list[Record]) -> tuple[Found, Exchange, Record]:
    if not answer.confirmed:
        return Found.FAILED, answer, {}
    if matching:
        return Found.YES, answer, matching[0]
    # ServiceNow drops conditions on columns it does not know and then returns other records; and it counts
    # records that it hides from this user. Either way nobody can say that ours is not there.
    hidden = answer.headers.get("X-Total-Count", "0") not in ("", "0")
    return (Found.UNANSWERABLE if hidden or _records(answer) else Found.NO), answer, {}


def _is_entry(record: Record, text: str, since: datetime | None) -> bool:
    if _normal(cell_of(record.get("value")).value) != _normal(text):
        return False
    made = parse_time(cell_of(record.get("sys_created_on")).value)
    return since is None or made is None or made >= since - CLOCK_MARGIN


def _normal(text: str) -> str:
    """Journal fields may keep other line ends and drop space at both ends."""
    return text.replace("\r\n", "\n").strip()
