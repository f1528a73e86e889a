"""The home page: is everything flowing, what needs a person, what was changed. A handful of queries."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from endpoints.models import Endpoint
from oneio import access
from oneio.admin import switch
from oneio.home.cards import sections, traffic
from oneio.home.changes import latest_changes
from oneio.home.charts import charts, flow
from oneio.home.needs import needs_you


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: adds what templates/admin/index.html shows."""
    now = timezone.now()
    only = switch.chosen(request)
    environments = [only] if only else switch.choices(request)
    ids = [row.pk for row in environments]
    endpoints = list(
        access.readable(request.user, Endpoint)
        .filter(environment_id__in=ids)
        .select_related("gate__endpoint")
        .order_by("name")
    )
    waiting, counts = traffic(request, ids), flow(request, ids, now)
    context |= {
        "title": "Home",
        "environments": environments,
        "sections": sections(environments, endpoints, waiting, counts, now),
        "needs_you": needs_you(request, ids, endpoints, waiting),
        "charts": charts(counts, endpoints) if endpoints else [],
        "changes": latest_changes(request, ids),
        "is_new": not endpoints,
        "may_set_up": bool(getattr(request.user, "is_superuser", False)),
    }
    return context
