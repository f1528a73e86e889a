"""Notes in the history of everything that an import changed who brought it in."""

from __future__ import annotations

from typing import Any

from django.db import models

from endpoints.models import Endpoint
from oneio.admin.base import note
from oneio.models import Environment
from routing.models import RoutingRule, TranslationTable
from routing.portable.importing import Report

_MODELS: dict[str, tuple[type[models.Model], str]] = {
    "Endpoint": (Endpoint, "slug"),
    "Table": (TranslationTable, "name"),
    "Rule": (RoutingRule, "slug"),
}


def note_import(request: Any, environment: Environment, report: Report, what: str) -> int:
    """Note `what` the request's user did with each thing that is new or changed; how many there are."""
    rows: list[models.Model] = []
    for kind, (model, key) in _MODELS.items():
        names = [one.name for one in report.changes if one.kind == kind and one.fate in ("new", "changed")]
        rows += model._default_manager.filter(environment=environment, **{f"{key}__in": names})
    note(request, rows, what)
    return len(rows)
