"""What a person decides about deliveries: again, leave out, call off, keep back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Case as Choice
from django.db.models import F, OuterRef, Q, Subquery, When
from django.db.models import Value as Given
from django.db.models.functions import Now

from conversations import queue, replacing
from conversations.deliveries.delayed import wake
from conversations.models import (
    DELAYS,
    Attempt,
    Delivery,
    DeliveryState,
    HoldReason,
)
from conversations.sender import WRITE_BACK
from endpoints.canonical import Value, encode_attributes

_WAITING = (DeliveryState.HELD, DeliveryState.QUEUED)
_NEVER_ARRIVED = (
    DeliveryState.HELD,
    DeliveryState.SKIPPED,
    DeliveryState.SUPERSEDED,
    DeliveryState.CANCELLED,
)


def retry(deliveries: Iterable[Delivery]) -> int:
    """Send held or waiting deliveries again now, with the current rule. Returns how many.

    One that may have arrived is looked up first; where nobody can say, the person's word counts. One whose
    rule failed when its wait was over is decided anew."""
    return _send_again(deliveries, None)


def repeat(deliveries: Iterable[Delivery]) -> int:
    """The same with the version of the rule that their last try used, if there was one."""
    tries = Attempt.objects.filter(delivery=OuterRef("pk"), rule_version__isnull=False).order_by("-id")
    return _send_again(deliveries, Subquery(tries.values("rule_version")[:1]))


def replay(delivery: Delivery, version_id: int, snapshot: Mapping[str, Any]) -> bool:
    """Send what never arrived with this version of its rule and what is known now. In the transaction that
    holds its lane. False when it has moved meanwhile."""
    # What it waited for is past: nothing is decided anew.
    Delivery.objects.filter(pk=delivery.pk, reason__in=DELAYS, state=DeliveryState.HELD).update(reason="")
    if not _send_again([delivery], version_id, _NEVER_ARRIVED):
        return False
    content = delivery.content
    content.snapshot, content.problem, content.emptied_at = dict(snapshot), None, None
    content.save(update_fields=["snapshot", "problem", "emptied_at"])
    return True


def edit(delivery: Delivery, overrides: Mapping[str, Value]) -> bool:
    """Send these values instead of the rule's when a held delivery is retried; none: the rule's again.
    False when it is held no more, or may have arrived as it was."""
    with transaction.atomic():
        queue.lock_lanes([delivery.lane_id])
        row = Delivery.objects.filter(pk=delivery.pk).select_related("content").first()
        if row is None or not is_editable(row):
            return False
        row.content.overrides = encode_attributes(overrides) or None
        row.content.save(update_fields=["overrides"])
    return True


def is_editable(delivery: Delivery) -> bool:
    """Whether a person may change what it sends: a look-up would take changed values for what arrived."""
    looked_up = delivery.in_doubt_since is not None and delivery.hold_reason != HoldReason.UNKNOWN
    return (
        delivery.state == DeliveryState.HELD
        and not looked_up
        and delivery.hold_reason != HoldReason.EXPIRED
        and delivery.part != WRITE_BACK
        and delivery.reason not in DELAYS  # what it sends is worked out when its wait is over
    )


def _send_again(
    deliveries: Iterable[Delivery], version: Any, states: Sequence[DeliveryState] = _WAITING
) -> int:
    delayed = Q(state=DeliveryState.HELD, reason__in=DELAYS)
    unsure = Q(state=DeliveryState.HELD, in_doubt_since__isnull=False) & ~Q(hold_reason=HoldReason.UNKNOWN)
    again = {
        "state": Choice(
            When(delayed, then=Given(DeliveryState.DELAYED)),
            When(unsure, then=Given(DeliveryState.VERIFYING)),
            default=Given(DeliveryState.QUEUED),
        ),
        "hold_reason": "",
        "reason": Choice(When(delayed, then=F("reason")), default=Given("")),
        "failure": "",
        "failure_group": "",
        "due_at": Now(),
        "tries": 0,
        "first_tried_at": Choice(When(unsure, then=F("first_tried_at"))),
        "in_doubt_since": Choice(When(unsure, then=F("in_doubt_since"))),
        "checks": 0,
        "rule_version": version,
        "superseded_by": None,
        "state_since": Now(),
    }
    doubtful = Q(hold_reason=HoldReason.UNKNOWN)
    return _decide(deliveries, list(states), again, flagged=doubtful)


def skip(deliveries: Iterable[Delivery]) -> int:
    """Leave deliveries out for good; what waits behind them goes on. Returns how many."""
    return _give_up(deliveries, DeliveryState.SKIPPED)


def cancel(deliveries: Iterable[Delivery]) -> int:
    """Call deliveries off; what waits behind them goes on. Returns how many."""
    return _give_up(deliveries, DeliveryState.CANCELLED)


def hold(deliveries: Iterable[Delivery]) -> int:
    """Keep waiting deliveries back until a person lets them go. Returns how many."""
    held = {"state": DeliveryState.HELD, "hold_reason": HoldReason.PERSON, "state_since": Now()}
    return _decide(deliveries, [DeliveryState.QUEUED], held)


_STOPPABLE = [DeliveryState.DELAYED, DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.VERIFYING]


def _give_up(deliveries: Iterable[Delivery], state: DeliveryState) -> int:
    """End deliveries; a ticket that stepped back for the one that such a delivery was to make takes part
    again, and does not get a second time what was to follow to that one."""
    chosen = list(deliveries)
    ended = {"state": state, "hold_reason": "", "reason": "", "in_doubt_since": None, "state_since": Now()}
    with transaction.atomic():
        replaced = replacing.lock_for(chosen)
        changed = _decide(chosen, _STOPPABLE, ended)
        needless = Delivery.objects.filter(pk__in=replacing.put_back(replaced))
        _decide(needless, _STOPPABLE, {**ended, "state": DeliveryState.CANCELLED})
    return changed


def _decide(
    deliveries: Iterable[Delivery],
    states: list[DeliveryState],
    values: dict[str, Any],
    flagged: Q | None = None,
) -> int:
    """Change deliveries that no worker has in hand; their lanes are locked first and woken after."""
    chosen = list(deliveries)
    with transaction.atomic():
        lanes = list(queue.lock_lanes({delivery.lane_id for delivery in chosen}))
        idle = Delivery.objects.filter(pk__in=[delivery.pk for delivery in chosen], state__in=states)
        idle = idle.exclude(state=DeliveryState.VERIFYING, lane__lease_until__gt=Now())
        if flagged is not None:
            idle.filter(flagged).update(possible_duplicate=True)
        changed = idle.update(**values)
        queue.recompute(lanes)
        wake({delivery.conversation_id for delivery in chosen})
    return changed
