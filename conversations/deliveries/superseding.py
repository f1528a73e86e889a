"""Lets the newest update of a ticket replace older ones that still wait, where the rule's version says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from conversations.models import UNFINISHED, Delivery, DeliveryState, Participant
from conversations.sender import RECORD
from endpoints.canonical import Operation
from oneio.bulk import update_rows


def supersede(newest: Mapping[tuple[int, str], Collection[str]]) -> int:
    """Replace waiting updates by those just written into their lanes, which must be locked.

    `newest`: (endpoint id, effect key) of each new delivery whose rule wants it → the attributes that its
    message tells. One that tells not all that an older one changed leaves that one alone, so that no change
    is lost; what it replaces, it carries too. Returns how many were replaced.
    """
    replaced: list[Delivery] = []
    carriers: list[Delivery] = []
    for rows in _waiting(newest):
        told = newest.get((rows[-1].endpoint_id, rows[-1].effect_key))
        older = [row for row in rows[:-1] if told is not None and _is_told(row, told)]
        if older:
            _take_over(rows[-1], older)
            carriers.append(rows[-1])
            replaced += older
    update_rows([row.content for row in carriers], "snapshot")
    update_rows(replaced, "superseded_by", "state")
    Delivery.objects.filter(pk__in=[row.pk for row in replaced]).update(state_since=Now())
    return len(replaced)


def _waiting(newest: Mapping[tuple[int, str], Collection[str]]) -> list[list[Delivery]]:
    """The waiting updates of each lane and rule that got a new one, oldest first."""
    keys = {key for _, key in newest}
    new = Delivery.objects.filter(effect_key__in=keys, endpoint__in={endpoint for endpoint, _ in newest})
    pairs = set(new.values_list("lane_id", "rule_id"))
    rows = Delivery.objects.filter(
        lane__in={lane for lane, _ in pairs},
        part=RECORD,
        state=DeliveryState.QUEUED,
        in_doubt_since=None,
        content__overrides__isnull=True,  # what a person wrote is sent
    ).exclude(message__operation=Operation.DELETE)
    creates = _creates({lane for lane, _ in pairs})
    found: dict[tuple[int, int], list[Delivery]] = defaultdict(list)
    for row in rows.select_related("content").order_by("id"):
        if (row.lane_id, row.rule_id) in pairs and row.pk not in creates:
            found[row.lane_id, row.rule_id].append(row)
    return list(found.values())


def _creates(lanes: Collection[int]) -> set[int]:
    """The deliveries that are to create a ticket: the first of a lane whose target has none."""
    there = Participant.objects.filter(
        conversation=OuterRef("conversation"), endpoint=OuterRef("endpoint"), external_id__isnull=False
    )
    rows = Delivery.objects.filter(~Exists(there), lane__in=lanes, part=RECORD, state__in=UNFINISHED)
    return set(rows.order_by("lane_id", "id").distinct("lane_id").values_list("pk", flat=True))


def _is_told(older: Delivery, told: Collection[str]) -> bool:
    return set(older.content.snapshot["changed"]) <= set(told)


def _take_over(newest: Delivery, older: Sequence[Delivery]) -> None:
    """What changed is what any of them changed, each against the value before the first."""
    snapshot = newest.content.snapshot
    for row in reversed(older):
        snapshot["changed"] = {**snapshot["changed"], **row.content.snapshot["changed"]}
        row.state, row.superseded_by = DeliveryState.SUPERSEDED, newest
    newest.content.snapshot = snapshot
