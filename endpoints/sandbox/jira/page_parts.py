"""Pieces of the issue pages: badges, rows of lists, entries of timelines."""

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.adf import to_text
from endpoints.sandbox.jira.catalog import EXTERNAL_REFERENCE, FINISHED, MOVING, TIME_ZONE, by_id
from endpoints.sandbox.jira.shapes import is_internal
from endpoints.sandbox.jira.webhooks import event_name
from endpoints.sandbox.pages import markup
from endpoints.sandbox.store import Record

STATUS_MOODS = {FINISHED: "good", MOVING: "info"}
PRIORITY_MOODS = {"1": "bad", "2": "warn"}
DELIVERY_MOODS = {"delivered": "good", "failed": "bad", "waiting": "warn"}


def when(seconds: float) -> str:
    """Return a moment as people at the site read it."""
    return f"{datetime.fromtimestamp(seconds, TIME_ZONE):%Y-%m-%d %H:%M:%S}"


def plain(value: Any) -> str:
    """Return a stored value as text."""
    return to_text(value) if isinstance(value, dict) else str(value or "")


def status_badge(issue: Record) -> Markup:
    """Return the status as a coloured label."""
    status = catalog.status_of(issue["fields"]["status"])
    return markup.badge(status.name, STATUS_MOODS.get(status.category, ""))


def priority_badge(issue: Record) -> Markup:
    """Return the priority as a coloured label."""
    priority = by_id(catalog.PRIORITIES, issue["fields"]["priority"]) or catalog.DEFAULT_PRIORITY
    return markup.badge(priority.name, PRIORITY_MOODS.get(priority.id, ""))


def issue_row(issue: Record) -> list[object]:
    """Return the line of an issue in the list."""
    fields = issue["fields"]
    kind = by_id(catalog.ISSUE_TYPES, fields["issuetype"]) or catalog.ISSUE_TYPES[0]
    labels = markup.joined(markup.fill("{} ", markup.badge(label)) for label in fields["labels"])
    return [
        markup.fill('<a href="/browse/{0}">{0}</a>', issue["key"]),
        kind.name,
        fields["summary"],
        status_badge(issue),
        priority_badge(issue),
        labels,
        fields.get(EXTERNAL_REFERENCE.id) or "",
        markup.fill('<span class="soft small">{}</span>', when(fields["updated"])),
    ]


def comment_entries(comments: list[Record]) -> Markup:
    """Return the comments as a timeline, newest first."""
    entries = [_comment_entry(comment) for comment in reversed(comments)]
    if not entries:
        return Markup('<div class="soft">No comments yet.</div>')
    return markup.fill('<ul class="timeline">{}</ul>', markup.joined(entries))


def history_rows(entries: list[Record]) -> Markup:
    """Return the changes of an issue as a table, newest first."""
    rows = [_history_row(entry, item) for entry in reversed(entries) for item in entry["items"]]
    return markup.table(("Changed", "By", "Field", "From", "To"), rows, "Nothing has been changed yet.")


def delivery_rows(posts: list[dict[str, Any]]) -> Markup:
    """Return the webhooks posted for an issue as a table, newest first."""
    rows = [_delivery_row(post) for post in reversed(posts)]
    return markup.table(("Event", "Answer and Response ID"), rows, "No webhook has been posted.")


def _author(account_id: str) -> Markup:
    user = by_id(catalog.USERS, account_id) or catalog.AUTOMATION
    mark = markup.badge("integration", "info") if user == catalog.INTEGRATION else markup.NONE
    return markup.fill("<b>{}</b> {}", user.name, mark)


def _comment_entry(comment: Record) -> Markup:
    internal = is_internal(comment)
    return markup.fill(
        '<li class="{}">{} {} <span class="soft small">{}</span><p>{}</p></li>',
        "internal" if internal else "public",
        _author(comment["author"]),
        markup.badge("internal", "warn") if internal else markup.NONE,
        when(comment["created"]),
        plain(comment["body"]),
    )


def _history_row(entry: Record, item: dict[str, Any]) -> list[object]:
    at = markup.fill('<span class="soft small">{}</span>', when(entry["created"]))
    user = by_id(catalog.USERS, entry["author"]) or catalog.AUTOMATION
    return [at, user.name, item["field"], item["fromString"] or "", item["toString"] or ""]


def _posted(post: dict[str, Any]) -> float:
    return datetime.fromisoformat(post["created"]).replace(tzinfo=UTC).timestamp()


def _delivery_row(post: dict[str, Any]) -> list[object]:
    answer = post["answer"] if isinstance(post["answer"], dict) else {}
    status = f"{post['state']} {post['status'] or post['error']}".strip()
    sent = markup.fill(
        '{}<br><span class="soft small">{}</span>', event_name(post["url"]), when(_posted(post))
    )
    identifier = markup.fill('<span class="mono">{}</span>', answer.get("response_id", ""))
    return [sent, markup.fill("{}<br>{}", markup.badge(status, DELIVERY_MOODS[post["state"]]), identifier)]
