"""The search over everything: tickets by any id of any system, endpoints, rules, tables and pages.

It takes the place of Unfold's own, which keeps what a person found for five minutes, also after their role
was taken away.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.dataclasses import SearchResult

from conversations.admin import rows
from conversations.models import Message, Participant
from endpoints.models import Endpoint
from oneio import access
from oneio.admin.page import url_of
from oneio.identifiers import as_uuid
from routing.models import RoutingRule, TranslationTable

SHOWN = 8
NAMED: tuple[tuple[Any, str, str], ...] = (
    (Endpoint, "Endpoint", "hub"),
    (RoutingRule, "Rule", "alt_route"),
    (TranslationTable, "Translation table", "translate"),
)


def search(request: HttpRequest) -> HttpResponse:
    """What the command palette shows for the term `s`: at most a screenful of each kind."""
    began, term = time.monotonic(), request.GET.get("s", "").strip()
    if not term:
        return HttpResponse()
    found = list(find(request, term))
    if not found:
        return TemplateResponse(request, "oneio/nothing_found.html", {"term": term})
    page = Paginator(found, 100)
    context = {
        "page_obj": page,
        "results": page.page(1),
        "page_counter": 0,
        "execution_time": time.monotonic() - began,
    }
    return TemplateResponse(request, "unfold/helpers/command_results.html", context)


def find(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Everything the user may see that `term` names: tickets first, pages last."""
    yield from _tickets(request, term)
    yield from _messages(request, term)
    for model, word, icon in NAMED:
        found = access.readable(request.user, model).filter(name__icontains=term)
        for row in found.select_related("environment__organization")[:SHOWN]:
            yield SearchResult(row.name, f"{word}, {row.environment}", url_of(row), icon)
    yield from _pages(request, term)


def _tickets(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Tickets with that number or id; a ticket's copies in other systems lead to the same page."""
    found = rows.tickets(request, term).select_related("endpoint", "entity_type").defer("shadow")
    for row in found[:SHOWN]:
        names = (_name(row), row.external_id or "")
        asked = "" if term.casefold() in map(str.casefold, names) else f", in place of {term}"
        described = f"{row.entity_type} in {row.endpoint}{asked}"
        yield SearchResult(_name(row), described, _ticket_page(row), "forum")


def _messages(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Messages by Response ID, and those of tickets that no rule has taken yet."""
    named = Q(number__in={term, term.upper()}, conversation=None)
    response_id = as_uuid(term)
    named = Q(body_id=response_id) if response_id else named
    found = access.readable(request.user, Message).filter(named).select_related("endpoint")
    for row in found[:SHOWN]:
        yield SearchResult(str(row), f"Message from {row.endpoint}", url_of(row), "move_to_inbox")


def _pages(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Pages of the menu whose name holds the term."""
    for app in admin.site.get_app_list(request):
        for model in app["models"]:
            if model["admin_url"] and term.casefold() in str(model["name"]).casefold():
                yield SearchResult(str(model["name"]), "Page", model["admin_url"], "article")


def _ticket_page(row: Participant) -> str:
    return reverse("admin:conversations_conversation_change", args=[row.conversation_id])


def _name(row: Participant) -> str:
    return row.number or row.external_id or "Ticket that is not created yet"
