"""The message queue: what comes in and goes out as it happens, found by any ticket, acted on in bulk."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

from conversations import feed
from conversations.admin.queue_filters import Offered, QueueFilters
from conversations.admin.queue_rows import row_of
from oneio.access import Permission
from oneio.admin.base import may

ROWS = 50
FEED = "X-Feed"
"""The header by which the page asks for its rows alone."""


def show(admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """The page, or only its rows where the page itself asks for them again."""
    offered = Offered(request)
    filters = QueueFilters(request.GET, offered)
    found = list(feed.latest(offered.visible, filters.wanted, ROWS + 1)) if filters.is_valid() else []
    context = {
        "rows": [row_of(message, offered) for message in found[:ROWS]],
        "filters": filters,
        "older": older(request.GET, found[ROWS - 1].pk) if len(found) > ROWS else "",
        "newest": address(_without(request.GET, "before")) if request.GET.get("before") else "",
        "may_operate": may(request, Permission.OPERATE),
    }
    if FEED in request.headers:
        return TemplateResponse(request, "conversations/queue_rows.html", context)
    frame = {
        **admin.admin_site.each_context(request),
        "title": "Message queue",
        "opts": admin.opts,
        "chosen_by": _without(request.GET, "before").urlencode(),
    }
    return TemplateResponse(request, "conversations/queue.html", {**frame, **context})


def address(query: QueryDict) -> str:
    """The page with these filters."""
    page = reverse("admin:conversations_message_changelist")
    return f"{page}?{query.urlencode()}" if query else page


def older(query: QueryDict, before: int) -> str:
    """The page of what came before the last message shown."""
    page = reverse("admin:conversations_message_changelist")
    return f"{page}?{urlencode([*_without(query, 'before').items(), ('before', before)])}"


def _without(query: QueryDict, name: str) -> QueryDict:
    rest = query.copy()
    rest.pop(name, None)
    return rest
