"""The page that says how one version of a rule differs from another."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from routing.admin import words
from routing.models import RuleVersion
from routing.portable.differences import Difference, differences
from routing.portable.writing import rule_document


def changes(before: RuleVersion, after: RuleVersion) -> list[Difference]:
    """What a version decides differently from another of the same rule."""
    return differences(rule_document(before.rule, before), rule_document(after.rule, after))


def urls(site: AdminSite) -> list[URLPattern]:
    """The address of the comparison, below the rule's own."""
    view = site.admin_view(partial(page, site))
    return [path("<int:pk>/compare/<int:before>/<int:after>/", view, name="routing_routingrule_compare")]


def page(site: AdminSite, request: HttpRequest, pk: int, before: int, after: int) -> HttpResponse:
    """The changes from one version to the other, place by place."""
    found: dict[int, Any] = words.loaded_versions(request).filter(rule=pk).in_bulk({before, after})
    if not {before, after} <= found.keys():
        raise Http404
    old, new = found[before], found[after]
    context = {
        **site.each_context(request),
        "title": f"{new.rule}: v{new.number} against v{old.number}",
        "rule": new.rule,
        "environment_shown": new,
        "old": old,
        "new": new,
        "differences": changes(old, new),
    }
    return TemplateResponse(request, "routing/compare.html", context)
