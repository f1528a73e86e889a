"""Issues of the simulated Jira and what can be done to them; every change tells the listeners."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from endpoints.sandbox.jira import catalog
from endpoints.sandbox.jira.catalog import Transition, User
from endpoints.sandbox.jira.changes import Item, attachment_item, changed_items
from endpoints.sandbox.store import Record, Store

# States older than this are forgotten; the index cannot lag further behind.
LONGEST_INDEX_LAG = 3600.0
FIRST_NUMBER = 10_000


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` is Jira's name of the webhook event."""

    kind: str
    issue: Record
    actor: User
    type_name: str = ""
    items: list[Item] = field(default_factory=list)
    history_id: str = ""
    comment: Record | None = None
    attachment: Record | None = None


class Tracker:
    """Issues, comments and attachments kept in a store; `clock` gives seconds since 1970."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.clock = clock
        self.listeners: list[Callable[[Event], None]] = []

    def find(self, key_or_id: str) -> Record | None:
        """Return an issue by key or id."""
        issue_id = self.store.get("issue_key", key_or_id.upper()) or key_or_id
        issue: Record | None = self.store.get("issue", issue_id)
        return issue

    def find_id(self, key_or_id: str) -> str | None:
        """Return the id of an issue by key or id."""
        issue = self.find(key_or_id)
        return issue["id"] if issue else None

    def issues(self, where: Callable[[Record], bool], lag: float = 0) -> list[Record]:
        """Return the issues that `where` accepts in the state they had `lag` seconds ago."""
        if lag <= 0:
            return self.store.rows("issue", where)
        at = self.clock() - lag
        found = self.store.rows("issue", lambda issue: issue["saved"] <= at and where(issue))
        changed = self.store.rows("issue", lambda issue: issue["saved"] > at)
        gone = self.store.rows("deleted", lambda issue: issue["saved"] > at)
        for issue in changed + gone:
            past = self.store.rows(f"past/{issue['id']}", lambda state: state["saved"] <= at)
            found += [state for state in past[-1:] if where(state)]
        return found

    def create(self, values: dict[str, Any], actor: User) -> Record:
        """Make an issue of checked values, in the first status of the workflow."""
        with self.store.transaction():
            now = self.clock()
            project = catalog.find_project(values["project"]) or catalog.PROJECTS[0]
            issue_id = self.number("issue")
            key = f"{project.key}-{self.store.next_number(f'issue {project.key}')}"
            fields = {
                "labels": [],
                "priority": catalog.DEFAULT_PRIORITY.id,
                "assignee": None,
                "reporter": actor.id,
                **values,
                "status": catalog.TO_DO.id,
                "resolution": None,
                "creator": actor.id,
                "created": now,
                "updated": now,
            }
            issue = {"id": issue_id, "key": key, "fields": fields, "saved": now}
            self.store.put("issue_key", key, issue_id)
            self._save(issue)
            items = changed_items({}, fields)
            self._tell(
                Event("jira:issue_created", issue, actor, "issue_created", items, self.number("history"))
            )
            return issue

    def edit(self, issue: Record, values: dict[str, Any], actor: User, type_name: str = "") -> Record:
        """Set checked values; without a real change nothing happens."""
        with self.store.transaction():
            fields = issue["fields"] | values
            items = changed_items(issue["fields"], fields)
            if not items:
                return issue
            changed = {**issue, "fields": {**fields, "updated": self.clock()}}
            self._save(changed)
            only_assigned = {item["field"] for item in items} == {"assignee"}
            self._update(
                changed, items, actor, type_name or ("issue_assigned" if only_assigned else "issue_updated")
            )
            return changed

    def move(self, issue: Record, step: Transition, values: dict[str, Any], actor: User) -> Record:
        """Take a step of the workflow; a finished issue gets a resolution, a reopened one loses it."""
        ended = {"resolution": catalog.RESOLUTIONS[0].id, "resolutiondate": self.clock()} | values
        open_again = {**values, "resolution": None, "resolutiondate": None}
        result = ended if step.resolves else open_again
        return self.edit(issue, {**result, "status": step.target.id}, actor, "issue_generic")

    def delete(self, issue: Record, actor: User) -> None:
        """Remove an issue with all that belongs to it."""
        with self.store.transaction():
            for attachment in self.attachments(issue):
                self.store.delete("content", attachment["id"])
            for table in ("comment", "attachment", "property", "remotelink"):
                for row in self.of(table, issue):
                    self.store.delete(table, row["id"])
            self.store.delete("issue", issue["id"])
            self.store.delete("issue_key", issue["key"])
            self.store.put("deleted", issue["id"], {"id": issue["id"], "saved": self.clock()})
            self._tell(Event("jira:issue_deleted", issue, actor, "issue_deleted"))

    def subtasks(self, issue: Record) -> list[Record]:
        """Return the issues whose parent this is."""
        return self.store.rows("issue", lambda row: row["fields"].get("parent") == issue["id"])

    def history(self, issue: Record) -> list[Record]:
        """Return the changes of an issue, oldest first."""
        return self.of("history", issue)

    def comments(self, issue: Record) -> list[Record]:
        """Return the comments of an issue, oldest first."""
        return self.of("comment", issue)

    def comment(self, comment_id: str) -> Record | None:
        """Return a comment by id."""
        comment: Record | None = self.store.get("comment", comment_id)
        return comment

    def add_comment(self, issue: Record, content: Record, actor: User) -> Record:
        """Add a comment; `content` has body, visibility (or None) and properties (key to value)."""
        with self.store.transaction():
            now = self.clock()
            comment = {"id": self.number("comment"), "issue": issue["id"], "author": actor.id, **content}
            comment |= {"update_author": actor.id, "created": now, "updated": now}
            self.store.put("comment", comment["id"], comment)
            self._tell(Event("comment_created", self._touch(issue), actor, comment=comment))
            return comment

    def edit_comment(self, issue: Record, comment: Record, content: Record, actor: User) -> Record:
        """Replace parts of a comment."""
        with self.store.transaction():
            comment = {**comment, **content, "update_author": actor.id, "updated": self.clock()}
            self.store.put("comment", comment["id"], comment)
            self._tell(Event("comment_updated", self._touch(issue), actor, comment=comment))
            return comment

    def delete_comment(self, issue: Record, comment: Record, actor: User) -> None:
        """Remove a comment."""
        with self.store.transaction():
            self.store.delete("comment", comment["id"])
            self._tell(Event("comment_deleted", self._touch(issue), actor, comment=comment))

    def attachments(self, issue: Record) -> list[Record]:
        """Return the attachments of an issue, oldest first."""
        return self.of("attachment", issue)

    def attach(self, issue: Record, name: str, mime_type: str, content: bytes, actor: User) -> Record:
        """Keep a file with an issue."""
        with self.store.transaction():
            attachment = {"id": self.number("attachment"), "issue": issue["id"], "author": actor.id}
            attachment |= {"filename": name, "mimeType": mime_type, "size": len(content)}
            attachment["created"] = self.clock()
            self.store.put("attachment", attachment["id"], attachment)
            self.store.put_bytes("content", attachment["id"], content)
            changed = self._touch(issue)
            self._tell(Event("attachment_created", changed, actor, attachment=attachment))
            self._update(changed, [attachment_item(attachment)], actor, "issue_updated")
            return attachment

    def detach(self, issue: Record, attachment: Record, actor: User) -> None:
        """Remove a file."""
        with self.store.transaction():
            self.store.delete("attachment", attachment["id"])
            self.store.delete("content", attachment["id"])
            changed = self._touch(issue)
            self._tell(Event("attachment_deleted", changed, actor, attachment=attachment))
            self._update(changed, [attachment_item(attachment, removed=True)], actor, "issue_updated")

    def of(self, table: str, issue: Record) -> list[Record]:
        """Return the rows of a table that belong to an issue."""
        return self.store.rows(table, lambda row: row["issue"] == issue["id"])

    def number(self, sequence: str) -> str:
        """Return the next id of a kind."""
        return str(self.store.next_number(sequence, FIRST_NUMBER))

    def _touch(self, issue: Record) -> Record:
        changed = {**issue, "fields": {**issue["fields"], "updated": self.clock()}}
        self._save(changed)
        return changed

    def _save(self, issue: Record) -> None:
        now = self.clock()
        issue["saved"] = now
        self.store.put("issue", issue["id"], issue)
        past = f"past/{issue['id']}"
        old = self.store.rows(past, lambda state: state["saved"] < now - LONGEST_INDEX_LAG)
        for state in old[:-1]:
            self.store.delete(past, state["number"])
        number = str(self.store.next_number(past))
        self.store.put(past, number, {**issue, "number": number})

    def _update(self, issue: Record, items: list[Item], actor: User, type_name: str) -> None:
        history_id = self.number("history")
        entry = {"id": history_id, "issue": issue["id"], "author": actor.id, "items": items}
        self.store.put("history", history_id, {**entry, "created": self.clock()})
        self._tell(Event("jira:issue_updated", issue, actor, type_name, items, history_id))

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
