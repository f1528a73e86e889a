"""The conflicts of a conversation as its page shows them, and the choice that a person makes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from conversations import deliveries
from conversations.admin.lanes import Column
from conversations.models import Conflict, ConflictSide, Conversation
from endpoints.canonical import decode
from oneio import access
from oneio.access import Permission
from oneio.admin.base import may, note
from oneio.admin.page import url_of

SHOWN = 50


def load(
    request: HttpRequest, conversation: Conversation, columns: list[Column], readable: bool
) -> dict[str, Any]:
    """Its conflicts, unresolved ones first; the values only for those who may read them."""
    found = access.readable(request.user, Conflict).filter(conversation=conversation)
    loaded = found.select_related(
        "delivery__content", "delivery__endpoint", "delivery__message__endpoint", "resolved_by"
    )
    operable = may(request, Permission.OPERATE, conversation)
    rows = loaded.order_by("resolution", "-id")[:SHOWN]
    return {"conflicts": [_card(row, readable, operable) for row in rows]}


def choose(request: HttpRequest, pk: int, side: str) -> HttpResponse:
    """Have the chosen side's value written; back to the conversation."""
    conflict = access.readable(request.user, Conflict).filter(pk=pk).select_related("conversation").first()
    if conflict is None or side not in ConflictSide.values:
        raise Http404
    if not may(request, Permission.OPERATE, conflict.conversation):
        raise PermissionDenied
    delivery = deliveries.take(conflict, ConflictSide(side), request.user)
    if delivery is None:
        messages.warning(request, "Somebody decided on this before, or its values were deleted since.")
    else:
        note(request, [conflict.conversation], f"Chose {ConflictSide(side).label} {conflict.attribute}")
        messages.success(request, f"Delivery #{delivery.pk} sees to it that {conflict.attribute} is that.")
    return HttpResponseRedirect(f"{url_of(conflict.conversation)}?tab=conflicts")


def _card(conflict: Conflict, readable: bool, operable: bool) -> dict[str, Any]:
    delivery = conflict.delivery
    values = (delivery.content.contested or {}).get(conflict.attribute) if readable else None
    names = {ConflictSide.OURS: delivery.message.endpoint.name, ConflictSide.THEIRS: delivery.endpoint.name}
    return {
        "row": conflict,
        "url": url_of(delivery),
        "kept": names[ConflictSide(conflict.kept)],
        "chosen": names[ConflictSide(conflict.resolution)] if conflict.resolution else "",
        "choosable": operable and not conflict.resolution,
        "sides": [
            {"side": side.value, "name": name, "value": decode(values[side]) if values else None}
            for side, name in names.items()
        ],
        "values": values is not None,
    }
