"""JSON of issues, comments, attachments and history as REST version 2 or 3 shows them."""

from datetime import datetime
from typing import Any

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.adf import to_text
from endpoints.sandbox.jira.catalog import FIELDS, TIME_ZONE, Field
from endpoints.sandbox.jira.catalog_shapes import CatalogShapes, Json
from endpoints.sandbox.jira.wiki import to_document, to_html
from endpoints.sandbox.store import Record

INTERNAL = "sd.public.comment"
NOT_NAVIGABLE = frozenset({"comment", "attachment"})
# Fields every real issue has although this Jira does not use them.
UNUSED: dict[str, Any] = {
    "issuelinks": [],
    "components": [],
    "fixVersions": [],
    "versions": [],
    "timetracking": {},
    "workratio": -1,
    "lastViewed": None,
    "security": None,
    "progress": {"progress": 0, "total": 0},
}


class Shapes(CatalogShapes):
    """Shapes for one deployment and API version."""

    def issue(self, issue: Record, wanted: list[str] | None = None, expand: list[str] | None = None) -> Json:
        """Return an issue; `wanted` are the fields (as `fields` of the API), all by default."""
        expand = expand or []
        shape: Json = {
            "expand": "renderedFields,names,schema,operations,editmeta,changelog,transitions",
            **self.reference(issue),
            "fields": self.issue_fields(issue, wanted or ["*all"]),
        }
        if "renderedFields" in expand:
            shape["renderedFields"] = self._rendered(issue)
        if "names" in expand:
            shape["names"] = {field.id: field.name for field in FIELDS}
        if "schema" in expand:
            shape["schema"] = {field.id: self.schema(field) for field in FIELDS}
        if "transitions" in expand:
            shape["transitions"] = self.transitions(issue)
        if "editmeta" in expand:
            shape["editmeta"] = self.edit_screen()
        if "changelog" in expand:
            shape["changelog"] = self.changelog(issue)
        return shape

    def reference(self, issue: Record) -> Json:
        """Return what names an issue."""
        return {"id": issue["id"], "key": issue["key"], "self": self.rest(f"issue/{issue['id']}")}

    def issue_fields(self, issue: Record, wanted: list[str]) -> Json:
        """Return the wanted fields of an issue; `-name` leaves one out."""
        everything = not wanted or "*all" in wanted
        most = everything or "*navigable" in wanted or all(name.startswith("-") for name in wanted)

        def chosen(name: str) -> bool:
            if f"-{name}" in wanted:
                return False
            hidden = not everything and name in NOT_NAVIGABLE
            return name in wanted or (most and not hidden)

        shape = {field.id: self._value(field, issue) for field in FIELDS if chosen(field.id)}
        shape |= {name: value for name, value in UNUSED.items() if chosen(name)}
        for name, kind, count in (("watches", "watchers", "watchCount"), ("votes", "votes", "votes")):
            if chosen(name):
                shape[name] = {"self": self.rest(f"issue/{issue['key']}/{kind}"), count: 0}
        return shape

    def comment(self, comment: Record, properties: bool = False) -> Json:
        """Return a comment; `properties` adds what apps keep with it."""
        shape: Json = {
            "self": self.rest(f"issue/{comment['issue']}/comment/{comment['id']}"),
            "id": comment["id"],
            "author": self.user(comment["author"]),
            "body": self.document(comment["body"]),
            "updateAuthor": self.user(comment["update_author"]),
            "created": self.time(comment["created"]),
            "updated": self.time(comment["updated"]),
            "jsdPublic": not is_internal(comment),
        }
        if comment.get("visibility"):
            shape["visibility"] = comment["visibility"]
        if properties:
            shape["properties"] = [
                {"key": key, "value": value} for key, value in comment["properties"].items()
            ]
        return shape

    def attachment(self, attachment: Record) -> Json:
        """Return what is known of a file and where its bytes are."""
        return {
            "self": self.rest(f"attachment/{attachment['id']}"),
            "id": attachment["id"],
            "filename": attachment["filename"],
            "author": self.user(attachment["author"]),
            "created": self.time(attachment["created"]),
            "size": attachment["size"],
            "mimeType": attachment["mimeType"],
            "content": self.rest(f"attachment/content/{attachment['id']}"),
        }

    def changelog(self, issue: Record) -> Json:
        """Return the history inside an issue, newest first."""
        entries = [self.history_entry(entry) for entry in reversed(self.jira.tracker.history(issue))]
        return {"startAt": 0, "maxResults": len(entries), "total": len(entries), "histories": entries}

    def history_entry(self, entry: Record) -> Json:
        """Return one change of an issue."""
        author = self.user(entry["author"])
        created = self.time(entry["created"])
        return {"id": entry["id"], "author": author, "created": created, "items": entry["items"]}

    def transitions(self, issue: Record, with_fields: bool = False) -> list[Json]:
        """Return the steps of the workflow available to an issue."""
        steps = catalog.transitions_from(issue["fields"]["status"])
        return [self.transition(step, with_fields) for step in steps]

    def document(self, value: Any) -> Any:
        """Return a stored text as wiki text (version 2) or Atlassian document (version 3)."""
        if self.version == 2:
            return to_text(value) if isinstance(value, dict) else value
        return to_document(value) if isinstance(value, str) else value

    def time(self, seconds: float) -> str:
        """Return a moment in Jira's format, in the time zone of the site."""
        moment = datetime.fromtimestamp(seconds, TIME_ZONE)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}{moment:%z}"

    def _value(self, field: Field, issue: Record) -> Any:
        if field.kind in ("comments", "attachments", "subtasks"):
            return self._belongings(field.kind, issue)
        value = issue["fields"].get(field.id)
        if value is None:
            return None
        if field.kind == "document":
            return self.document(value)
        if field.kind == "time":
            return self.time(value)
        return self._parent(value) if field.kind == "parent" else self.choice(field.kind, value)

    def _belongings(self, kind: str, issue: Record) -> Any:
        tracker = self.jira.tracker
        if kind == "comments":
            return self._comments(issue)
        if kind == "attachments":
            return [self.attachment(each) for each in tracker.attachments(issue)]
        return [self._related(each) for each in tracker.subtasks(issue)]

    def _parent(self, issue_id: str) -> Json | None:
        parent = self.jira.tracker.find(issue_id)
        return self._related(parent) if parent else None

    def _comments(self, issue: Record) -> Json:
        comments = [self.comment(each) for each in self.jira.tracker.comments(issue)]
        count = len(comments)
        address = self.rest(f"issue/{issue['id']}/comment")
        return {"comments": comments, "self": address, "maxResults": count, "total": count, "startAt": 0}

    def _related(self, issue: Record) -> Json:
        shown = ["summary", "status", "priority", "issuetype"]
        return {**self.reference(issue), "fields": self.issue_fields(issue, shown)}

    def _rendered(self, issue: Record) -> Json:
        texts = {field.id: issue["fields"].get(field.id) for field in FIELDS if field.kind == "document"}
        rendered: Json = {name: self.html(value) if value else "" for name, value in texts.items()}
        comments = self._comments(issue)
        for shape, comment in zip(comments["comments"], self.jira.tracker.comments(issue), strict=True):
            shape["body"] = self.html(comment["body"])
        return {**rendered, "comment": comments}

    def html(self, value: Any) -> str:
        """Return a stored text as HTML."""
        return to_html(to_text(value) if isinstance(value, dict) else value)


def is_internal(comment: Record) -> bool:
    """Say whether a comment is for the service team only."""
    mark = comment["properties"].get(INTERNAL)
    return isinstance(mark, dict) and bool(mark.get("internal"))
