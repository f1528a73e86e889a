"""The tabs of a conversation's page. To add one: a function that loads it, a template, a row in TABS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.http import HttpRequest

from conversations.admin import conflicts, timeline, why
from conversations.admin.lanes import Column
from conversations.models import Attachment, Conversation, Message
from endpoints.admin.gate_words import mark as endpoint_mark
from endpoints.canonical import Visibility, comment_from_json, decode_attributes
from oneio import access
from oneio.access import Permission

Load: TypeAlias = Callable[[HttpRequest, Conversation, list[Column], bool], dict[str, Any]]
COMMENTS_FROM = 200


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: its name in the address, its label, its template, and what loads it when it is open.

    `reads_payload`: it shows what tickets say, and so only to those who may read that.
    """

    name: str
    label: str
    load: Load
    reads_payload: bool = True

    @property
    def template(self) -> str:
        """The template of what it shows."""
        return f"conversations/tabs/{self.name or 'timeline'}.html"


def variables(
    request: HttpRequest, conversation: Conversation, columns: list[Column], readable: bool
) -> dict[str, Any]:
    """What rules remember about the ticket."""
    opened = access.readable(request.user, Conversation, Permission.READ_PAYLOAD).get(pk=conversation.pk)
    return {"variables": decode_attributes(opened.variables)}


def why_lines(
    request: HttpRequest, conversation: Conversation, columns: list[Column], readable: bool
) -> dict[str, Any]:
    """Every message, each with the way to its story."""
    return {"lines": why.of_conversation(request, conversation)}


def comments(
    request: HttpRequest, conversation: Conversation, columns: list[Column], readable: bool
) -> dict[str, Any]:
    """Every comment that came in, oldest first, as its sender wrote it."""
    found = access.readable(request.user, Message, Permission.READ_PAYLOAD).filter(conversation=conversation)
    found = found.select_related("endpoint", "body").defer("body__raw", "body__headers", "body__parameters")
    lines: dict[tuple[int, str], dict[str, Any]] = {}
    for message in reversed(found.order_by("-id")[:COMMENTS_FROM]):
        for data in (message.body.canonical or {}).get("comments", []):
            comment = comment_from_json(data)
            line = {
                "comment": comment,
                "internal": comment.visibility is Visibility.INTERNAL,
                "mark": endpoint_mark(message.endpoint),
                "message": message,
            }
            lines.setdefault((message.endpoint_id, comment.id or f"{message.pk}"), line)
    return {"comments": list(lines.values())}


def attachments(
    request: HttpRequest, conversation: Conversation, columns: list[Column], readable: bool
) -> dict[str, Any]:
    """The files that came in."""
    found = access.readable(request.user, Attachment, Permission.READ_PAYLOAD)
    files = found.filter(conversation=conversation, complete=True).select_related("endpoint").order_by("id")
    return {"files": [{"row": file, "mark": endpoint_mark(file.endpoint)} for file in files]}


TABS = (
    Tab("", "Timeline", timeline.load, reads_payload=False),
    Tab("why", "Why?", why_lines, reads_payload=False),
    Tab("comments", "Comments", comments),
    Tab("attachments", "Attachments", attachments),
    Tab("variables", "Variables", variables),
    Tab("conflicts", "Conflicts", conflicts.load, reads_payload=False),
)


def opened(request: HttpRequest) -> Tab:
    """The tab that the address names; the first if it names none."""
    wanted = request.GET.get("tab", "")
    return next((tab for tab in TABS if tab.name == wanted), TABS[0])
