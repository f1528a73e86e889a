"""Who changed which endpoint, rule or table: what administrators did, latest first."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.http import HttpRequest

from endpoints.models import Endpoint
from oneio import access
from routing.models import RoutingRule, TranslationTable

SHOWN = 8
LOGGED: tuple[Any, ...] = (Endpoint, RoutingRule, TranslationTable)


def latest_changes(request: HttpRequest, environment_ids: list[int]) -> list[LogEntry]:
    """The latest changes in these environments, of what the user may see."""
    wanted = Q(pk__in=[])
    for model, kind in ContentType.objects.get_for_models(*LOGGED).items():
        rows: Any = access.readable(request.user, model)
        ids = rows.filter(environment_id__in=environment_ids).order_by().values_list("pk", flat=True)
        wanted |= Q(content_type=kind, object_id__in=[str(pk) for pk in ids])
    return list(LogEntry.objects.filter(wanted).select_related("user", "content_type")[:SHOWN])
