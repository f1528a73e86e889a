"""Owns which ticket of an endpoint takes part in a conversation where a person wants another in its place.

The old ticket steps back when the delivery that makes the new one is put into its lane, so that all the care
for creates holds: later deliveries wait for the new id, and a webhook that overtakes our answer finds its
conversation. It takes part again if that delivery is skipped or cancelled before there is a new ticket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Exists, OuterRef

from conversations.models import (
    UNFINISHED,
    Delivery,
    DeliveryState,
    Participant,
    RemoteItem,
    ReplacedTicket,
)

_GIVEN_UP = (DeliveryState.SKIPPED, DeliveryState.CANCELLED)


def replace(participant: Participant, entity_type_id: int, delivery_id: int) -> ReplacedTicket:
    """Let this ticket step back for the one that the delivery makes. Lock conversation, participant and
    lane, in which nothing else may be unfinished."""
    assert participant.external_id is not None
    items = RemoteItem.objects.filter(participant=participant)
    heard = [list(item) for item in items.order_by("pk").values_list("kind", "remote_id")]
    replaced = ReplacedTicket.objects.create(
        organization_id=participant.organization_id,
        environment_id=participant.environment_id,
        conversation_id=participant.conversation_id,
        endpoint_id=participant.endpoint_id,
        entity_type_id=participant.entity_type_id,
        external_id=participant.external_id,
        number=participant.number,
        link=participant.link,
        delivery_id=delivery_id,
        memory={"shadow": participant.shadow, "heard": heard},
    )
    items.delete()
    participant.entity_type_id = entity_type_id
    participant.external_id, participant.number, participant.link, participant.shadow = None, "", "", {}
    participant.save()
    return replaced


def lock_for(deliveries: Iterable[Delivery]) -> list[ReplacedTicket]:
    """The tickets that stepped back for any of these deliveries, their participants locked. Call it before
    lanes are locked."""
    found = list(ReplacedTicket.objects.filter(delivery__in=[row.pk for row in deliveries]).order_by("pk"))
    if found:
        sides = Participant.objects.filter(conversation__in={row.conversation_id for row in found})
        list(sides.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return found


def put_back(replaced: Collection[ReplacedTicket]) -> list[int]:
    """Let tickets take part again whose successor was given up before it was there. In the transaction that
    locked them. Returns the deliveries that wait to send what these tickets have once more."""
    waiting: list[int] = []
    for row in replaced:
        if not Delivery.objects.filter(pk=row.delivery_id, state__in=_GIVEN_UP).exists():
            continue
        side = Participant.objects.get(conversation=row.conversation_id, endpoint=row.endpoint_id)
        if side.external_id is None:
            waiting += _repeating(row)
            _put_back(row, side)
    return waiting


def _repeating(row: ReplacedTicket) -> list[int]:
    """What was to follow to the new ticket although the old one has it, in the lane of both."""
    rows = Delivery.objects.filter(conversation=row.conversation_id, endpoint=row.endpoint_id)
    same = {name: OuterRef(name) for name in ("lane", "message", "rule", "part")}
    had = Exists(Delivery.objects.filter(**same, state=DeliveryState.DELIVERED, pk__lt=row.delivery_id))
    after = rows.filter(had, state__in=UNFINISHED, pk__gt=row.delivery_id)
    return list(after.values_list("pk", flat=True))


def _put_back(row: ReplacedTicket, side: Participant) -> None:
    side.entity_type_id = row.entity_type_id
    side.external_id, side.number, side.link = row.external_id, row.number, row.link
    side.shadow = row.memory["shadow"]
    side.save()
    owner = {"organization_id": side.organization_id, "participant": side}
    RemoteItem.objects.bulk_create(
        [RemoteItem(kind=kind, remote_id=remote_id, **owner) for kind, remote_id in row.memory["heard"]],
        ignore_conflicts=True,
    )
    row.delete()
