"""Webhooks: what the simulated Jira posts when something happened, and where to."""

import re
import uuid
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.shapes import Shapes
from endpoints.sandbox.jira.tracker import Event
from endpoints.sandbox.outbox import Address, Outbox
from endpoints.sandbox.store import Store

CHANNEL = "webhook"
USER_AGENT = "Atlassian Webhook HTTP Client"
BODY_VERSION = 2
# What a comment's webhook tells of its issue.
ISSUE_IN_COMMENT = ["summary", "issuetype", "project", "assignee", "priority", "status"]
PLACEHOLDER = re.compile(r"\$\{([\w.]+)\}")


class Receiver:
    """The registered webhook URL, which may hold placeholders like ${issue.key}; kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def url(self) -> str:
        """The URL as registered, empty when there is none."""
        return str(self._entry.get("url", ""))

    def register(self, url: str, user: str = "", password: str = "") -> None:
        """Replace the URL and the HTTP Basic credentials to send with it."""
        self._store.put("receiver", "receiver", {"url": url, "user": user, "password": password})

    def resolve(self, channel: str, url: str) -> Address | None:
        """Return where to send a post now; `url` is the event with the values for placeholders."""
        if not self.url:
            return None
        values = dict(parse_qsl(url.partition("?")[2]))
        address = PLACEHOLDER.sub(lambda match: quote(values.get(match[1], ""), safe=""), self.url)
        return Address(address, self._entry.get("user", ""), self._entry.get("password", ""))

    def register_at_start(self, url: str, user: str, password: str) -> None:
        """Register what the system was started with, unless that was replaced while it ran."""
        given = {"url": url, "user": user, "password": password}
        if url and self._store.get("receiver", "start") != given:
            self._store.put("receiver", "start", given)
            self.register(url, user, password)

    @property
    def shown_url(self) -> str:
        """The URL without its query, which may hold a secret."""
        return self.url.partition("?")[0]

    @property
    def _entry(self) -> dict[str, Any]:
        return self._store.get("receiver", "receiver") or {}


class Webhooks:
    """Posts every event, whoever caused it, to the registered receiver."""

    def __init__(self, jira: Deployment, receiver: Receiver, outbox: Outbox) -> None:
        self._jira = jira
        self._receiver = receiver
        self._outbox = outbox

    def send(self, event: Event) -> None:
        """Queue the post for an event; nothing when no webhook is registered."""
        if not self._receiver.url:
            return
        values = {"issue.id": event.issue["id"], "issue.key": event.issue["key"]}
        values["project.key"] = event.issue["key"].rpartition("-")[0]
        values["project.id"] = event.issue["fields"]["project"]
        url = f"{event.kind}?{urlencode(values)}"
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "User-Agent": USER_AGENT,
            "X-Atlassian-Webhook-Identifier": str(uuid.uuid4()),
            "X-Atlassian-Webhook-Flow": "Primary",
        }
        self._outbox.post(CHANNEL, url, self.body(event), headers, about=event.issue["id"])

    def body(self, event: Event) -> dict[str, Any]:
        """Return the JSON that is posted for an event."""
        shapes = Shapes(self._jira, BODY_VERSION)
        head = {"timestamp": int(self._jira.tracker.clock() * 1000), "webhookEvent": event.kind}
        if event.attachment:
            return {**head, "attachment": shapes.attachment(event.attachment)}
        if event.comment:
            fields = shapes.issue_fields(event.issue, ISSUE_IN_COMMENT)
            issue = {**shapes.reference(event.issue), "fields": fields}
            comment = shapes.comment(event.comment)
            return {**head, "comment": comment, "issue": issue, "eventType": "primaryAction"}
        fields = shapes.issue_fields(event.issue, ["*all", "-comment"])
        body = {**head, "issue_event_type_name": event.type_name, "user": shapes.user(event.actor.id)}
        body["issue"] = {**shapes.reference(event.issue), "fields": fields}
        if event.items:
            body["changelog"] = {"id": event.history_id, "items": event.items}
        return body


def event_name(post_url: str) -> str:
    """Return the event a post in the outbox is about."""
    return post_url.partition("?")[0]
