"""Tells the page of an endpoint what was seen of it: what waits for it, and what it has told us."""

from __future__ import annotations

from django.db.models import Count, Min
from django.http import HttpRequest

from conversations.models import UNFINISHED, Delivery, DeliveryState, Message, MessageState
from endpoints.admin import setup
from endpoints.admin.setup import Evidence
from endpoints.models import Endpoint
from oneio import access


def of_endpoint(request: HttpRequest, endpoint: Endpoint) -> Evidence:
    """What waits for an endpoint, and whether it has told us anything, a ticket, one that a rule took."""
    waiting = access.readable(request.user, Delivery).filter(
        endpoint=endpoint, state__in=set(UNFINISHED) - {DeliveryState.HELD}
    )
    counted = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"))
    told = access.readable(request.user, Message).filter(endpoint=endpoint).order_by("endpoint", "id")
    return Evidence(
        waiting=counted["number"],
        oldest=counted["oldest"],
        heard=told.exists(),
        ticket=told.exclude(number="").exclude(state=MessageState.TEST).exists(),
        routed=told.filter(state=MessageState.ROUTED).exists(),
    )


setup.evidence = of_endpoint
