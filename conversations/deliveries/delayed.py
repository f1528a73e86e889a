"""What moves a delayed delivery: something that may end its wait, and what was decided then."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db.models.functions import Now

from conversations.models import Delivery, DeliveryState, HoldReason, Reason
from oneio.bulk import update_rows
from oneio.statements import every, uuids

_DELAYED = """
    SELECT id FROM conversations_delivery WHERE conversation_id = ANY(%s) AND state = 'delayed'
    ORDER BY id FOR NO KEY UPDATE
"""


def wake(conversation_ids: Collection[UUID]) -> None:
    """Have the delayed deliveries of these conversations looked at. They are the last that may be locked."""
    if not conversation_ids:
        return
    if found := every(_DELAYED, [uuids(conversation_ids)]):
        Delivery.objects.filter(pk__in=[row[0] for row in found]).update(due_at=Now())


def keep_delayed(rows: Iterable[Delivery], reason: str, until: datetime) -> None:
    """They go on waiting, and are looked at again then; `write_delayed` writes it down."""
    for row in rows:
        row.reason, row.due_at = reason, until


def let_go(row: Delivery, now: datetime) -> None:
    """Its wait is over: it is sent when its lane's turn comes."""
    row.state, row.reason, row.hold_reason = DeliveryState.QUEUED, "", ""
    row.due_at = row.state_since = now


def call_off(rows: Iterable[Delivery], reason: Reason, now: datetime) -> None:
    """They are never sent: nothing is left of what they waited for."""
    for row in rows:
        row.state, row.reason, row.state_since = DeliveryState.CANCELLED, reason, now


def hold_delayed(rows: Iterable[Delivery], why: HoldReason, problem: str, now: datetime) -> None:
    """A person must look; the reason of the delay stays, so that Retry decides anew."""
    for row in rows:
        row.state, row.hold_reason, row.state_since = DeliveryState.HELD, why, now
        row.content.problem = problem


def write_delayed(rows: list[Delivery]) -> None:
    """Write down what became of delayed deliveries. Lock their lanes first, recompute them after."""
    update_rows([row.content for row in rows], "snapshot", "problem")
    update_rows(rows, "state", "state_since", "due_at", "reason", "hold_reason")
