"""Notes in the history of everything that an import changed who brought it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import QuerySet

from endpoints.models import Endpoint
from oneio.admin.base import note
from oneio.models import Environment
from routing.models import RoutingRule, TranslationTable
from routing.portable.companions import GOLDEN
from routing.portable.importing import Report

_MODELS: dict[str, tuple[type[models.Model], str]] = {
    "Endpoint": (Endpoint, "slug"),
    "Table": (TranslationTable, "name"),
    "Rule": (RoutingRule, "slug"),
}


def note_golden(request: Any, document: Mapping[str, Any], rules: QuerySet[RoutingRule]) -> None:
    """Note with each of `rules` whose golden tickets the document holds that the request's user took them."""
    note(request, list(rules.filter(slug__in=document[GOLDEN])), "Exported its golden tickets")


def note_import(request: Any, environment: Environment, report: Report, what: str) -> int:
    """Note `what` the request's user did with each thing that is new or changed; how many there are."""
    rows: list[models.Model] = []
    for kind, (model, key) in _MODELS.items():
        names = [one.name for one in report.changes if one.kind == kind and one.fate in ("new", "changed")]
        rows += model._default_manager.filter(environment=environment, **{f"{key}__in": names})
    note(request, rows, what)
    return len(rows)
