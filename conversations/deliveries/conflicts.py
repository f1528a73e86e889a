"""Records what both sides changed, and sends the value that a person chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from conversations import queue
from conversations.effects import effect_key
from conversations.models import Conflict, ConflictSide, Conversation, Delivery, DeliveryContent
from conversations.sender import RECORD, Done
from endpoints.canonical import encode
from oneio.bulk import insert_rows, update_rows

_KEPT = {"source": ConflictSide.OURS, "target": ConflictSide.THEIRS}


def record(finished: Sequence[Done], deliveries: Mapping[int, Delivery]) -> None:
    """Write down the conflicts of what was confirmed; in the transaction that records the results."""
    decided = [done for done in finished if done.conflicts and done.outcome and done.outcome.confirmed]
    rows = [row for done in decided for row in _rows(done, deliveries[done.job.delivery_id])]
    update_rows(list({row.delivery_id: row.delivery.content for row in rows}.values()), "contested")
    insert_rows(rows, ignore_conflicts=True)


def take(conflict: Conflict, side: ConflictSide, by: Any) -> Delivery | None:
    """Have one side's value written to the target, whichever stands there now. None if the conflict was
    resolved before, or the values were deleted with what the delivery carried."""
    with transaction.atomic():
        # Locks it, too: first of all, as everybody does.
        Conversation.objects.filter(pk=conflict.conversation_id).update(last_activity_at=Now())
        origin = Delivery.objects.select_related("content", "message").get(pk=conflict.delivery_id)
        queue.lock_lanes([origin.lane_id])
        values = (origin.content.contested or {}).get(conflict.attribute)
        unresolved = Conflict.objects.filter(pk=conflict.pk, resolution="")
        if values is None or not unresolved.update(resolution=side, resolved_at=Now(), resolved_by=by):
            return None
        delivery = _carrier(origin, {conflict.attribute: values[side]})
        delivery.content.save()
        delivery.save()
        queue.recompute([origin.lane_id])
    return delivery


def _rows(done: Done, delivery: Delivery) -> list[Conflict]:
    delivery.content.contested = {
        one.attribute: {ConflictSide.THEIRS: encode(one.theirs), ConflictSide.OURS: encode(one.ours)}
        for one in done.conflicts
    }
    return [
        Conflict(
            organization_id=delivery.organization_id,
            environment_id=delivery.environment_id,
            conversation_id=delivery.conversation_id,
            delivery=delivery,
            attribute=one.attribute,
            kept=_KEPT[one.winner],
        )
        for one in done.conflicts
    ]


def _carrier(origin: Delivery, values: dict[str, Any]) -> Delivery:
    """A delivery of the same message that sends these values and nothing that the message changed."""
    same = Delivery.objects.filter(
        message=origin.message_id, rule=origin.rule_id, endpoint=origin.endpoint_id, part=RECORD
    )
    anew = same.aggregate(last=Max("anew"))["last"] + 1
    content = DeliveryContent(
        organization_id=origin.organization_id,
        snapshot={**origin.content.snapshot, "changed": {}},
        overrides=values,
    )
    return Delivery(
        organization_id=origin.organization_id,
        environment_id=origin.environment_id,
        message_id=origin.message_id,
        conversation_id=origin.conversation_id,
        rule_id=origin.rule_id,
        endpoint_id=origin.endpoint_id,
        entity_type_id=origin.entity_type_id,
        lane_id=origin.lane_id,
        content=content,
        part=RECORD,
        anew=anew,
        effect_key=effect_key(origin.message.response_id, origin.rule_id, origin.endpoint_id, RECORD, anew),
    )
