"""The page of the mapping editor, and the addresses that it asks."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST

from conversations.admin.editor import door, offers, samples
from conversations.admin.editor.lookups import try_it
from conversations.admin.editor.preview import preview
from conversations.admin.editor.saving import save, save_table
from conversations.admin.editor.sides import side
from oneio.access import Permission
from oneio.admin.base import may
from routing.admin import words
from routing.models import RoutingRule, RuleVersion
from routing.portable import writing

NAME = "routing_routingrule_editor"
TABS = [
    ("when", "When"),
    ("lookups", "Lookups"),
    ("variables", "Variables"),
    ("outgoing", "Outgoing"),
    ("conversation", "Conversation"),
    ("attachments", "Attachments"),
    ("delay", "Delay"),
    ("more", "More"),
]


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """The editor, with all that it needs until the first preview."""
    rule = door.rule_of(request, pk)
    version = door.version_of(rule)
    if version is None:
        messages.warning(request, "Say first which tickets the rule takes and where they go.")
        return HttpResponseRedirect(reverse("admin:routing_routingrule_change", args=[pk]))
    context = {
        **admin.site.each_context(request),
        "title": f"{rule.name}: mapping editor",
        "rule": rule,
        "environment_shown": rule,
        "version": version,
        "current": rule.current_version,
        "path": words.path_of(version),
        "tabs": TABS,
        "test_url": _address("routing_rule_test", pk),
        "offers": offers.lists(rule, request.user),
        "state": _state(request, rule, version),
    }
    return TemplateResponse(request, "routing/editor.html", context)


def messages_of(request: HttpRequest, pk: int) -> JsonResponse:
    """The latest messages of the rule's source, or those about one ticket."""
    rule = door.rule_of(request, pk)
    version = door.version_of(rule)
    ticket = request.GET.get("ticket", "").strip()
    found = _samples(request, version, ticket) if version else []
    return JsonResponse({"samples": found})


def unmapped(request: HttpRequest, pk: int) -> JsonResponse:
    """What the latest messages say that a table has no row for."""
    rule = door.rule_of(request, pk)
    version = door.version_of(rule)
    path_, table = request.GET.get("path", ""), request.GET.get("table", "")
    found = samples.values_at(request, version, path_) if version else []
    known = door.tables_of(rule).get(table)
    return JsonResponse({"values": [value for value in found if known is None or known.find(value) is None]})


def _state(request: HttpRequest, rule: RoutingRule, version: RuleVersion) -> dict[str, Any]:
    target = version.target_endpoint
    return {
        "rule": writing.rule_document(rule, version),
        "defaults": offers.defaults(),
        "fingerprint": door.fingerprint(rule),
        "compare": door.comparison(rule, version),
        "number": version.number,
        "draft": version.published_at is None,
        "source": side(version.source_endpoint, version.source_entity),
        "target": side(target, version.target_entity) if target and version.target_entity else None,
        "samples": _samples(request, version),
        "mayRead": may(request, Permission.READ_PAYLOAD, rule),
        "tables": offers.tables(rule),
        "findings": offers.findings(rule),
        "formatters": offers.formatters(),
        "operators": offers.operators(),
        "kinds": offers.kinds(),
        "urls": {name: reverse(f"{NAME}_{name}", args=[rule.pk]) for name in _ASKED},
    }


def _samples(request: HttpRequest, version: RuleVersion, ticket: str = "") -> list[dict[str, Any]]:
    return samples.offered(request, version.source_endpoint_id, version.source_entity.name, ticket)


def _address(name: str, pk: int) -> str:
    """The address of a page that may not be there."""
    for known in (f"admin:{name}", name):
        try:
            return reverse(known, args=[pk])
        except NoReverseMatch:
            continue
    return ""


_ASKED = {
    "preview": require_POST(preview),
    "save": require_POST(save),
    "table": require_POST(save_table),
    "lookup": require_POST(try_it),
    "samples": messages_of,
    "unmapped": unmapped,
}


def urls() -> list[URLPattern]:
    """The editor and what it asks, below the rule's own address."""
    wrap = admin.site.admin_view
    place = "admin/routing/routingrule/<int:pk>/editor/"
    asked = [path(f"{place}{name}/", wrap(view), name=f"{NAME}_{name}") for name, view in _ASKED.items()]
    return [path(place, wrap(ensure_csrf_cookie(page)), name=NAME), *asked]
