"""Owns every change of a replay's state: chosen, planned, started, ended, cancelled; and who did it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_q.tasks import async_task

from conversations.models import (
    Message,
    Replay,
    ReplayData,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayRules,
    ReplayState,
    ReplayTickets,
)
from conversations.replay.assessment import Wishes
from oneio.models import Environment

log = logging.getLogger(__name__)
AT_MOST = 1000
"""Messages of one replay."""
FRESH_FOR = timedelta(hours=1)
"""How long a plan may be run whose tickets were read again."""
WORK = "conversations.tasks.replay"
_OPEN = (ReplayState.PLANNING, ReplayState.PLANNED, ReplayState.RUNNING)
_UNDECIDED = (ReplayItemState.CHOSEN, ReplayItemState.PLANNED)


class CannotReplay(Exception):
    """It cannot be done now. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a person wants a replay to be planned."""

    rules: str = ReplayRules.CURRENT
    data: str = ReplayData.STORED
    tickets: str = ReplayTickets.KEPT


def create(environment: Environment, messages: Sequence[int], choice: Choice, by: Any) -> Replay:
    """Choose messages of an environment for a replay, which is planned next. Raises CannotReplay."""
    rows = Message.objects.filter(environment=environment, pk__in=messages).order_by("pk")
    found = list(rows.values_list("pk", flat=True)[: AT_MOST + 1])
    if not found:
        raise CannotReplay("None of these messages is here. Choose others.")
    if len(found) > AT_MOST:
        raise CannotReplay(f"A replay takes {AT_MOST} messages at most. Do it in several goes.")
    with transaction.atomic():
        replay = Replay.objects.create(environment=environment, created_by=by, **asdict(choice))
        _choose(replay, found)
        _note(by, replay, f"Replay planned: {_words(replay)}")
        transaction.on_commit(hint, robust=True)
    return replay


def plan_again(replay: Replay, choice: Choice, by: Any) -> None:
    """Forget a plan and make another one for the same messages. Raises CannotReplay."""
    with transaction.atomic():
        replay = _locked(replay, ReplayState.PLANNED)
        messages = list(replay.items.order_by("message_id").values_list("message_id", flat=True).distinct())
        replay.items.all().delete()
        _choose(replay, messages)
        Replay.objects.filter(pk=replay.pk).update(
            state=ReplayState.PLANNING, planned_at=None, **asdict(choice)
        )
        replay.refresh_from_db()
        _note(by, replay, f"Planned again: {_words(replay)}")
        transaction.on_commit(hint, robust=True)


def start(replay: Replay, wishes: Wishes, by: Any) -> int:
    """Let a plan go; what is not wished for is left out. Returns how many things are to be sent. Raises
    CannotReplay."""
    with transaction.atomic():
        replay = _locked(replay, ReplayState.PLANNED)
        _check_freshness(replay)
        going = replay.items.filter(state=ReplayItemState.PLANNED).order_by()
        for finding, overwrites in set(going.values_list("finding", "overwrites").distinct()):
            if not wishes.include(finding, overwrites=overwrites):
                found = going.filter(finding=finding, overwrites=overwrites)
                found.update(state=ReplayItemState.LEFT_OUT)
        number: int = going.count()
        anew = going.filter(finding=ReplayFinding.ANEW).count()
        Replay.objects.filter(pk=replay.pk).update(
            state=ReplayState.RUNNING,
            create_anew=wishes.create_anew,
            overwrite_newer=wishes.overwrite_newer,
            started_at=Now(),
            started_by=by,
        )
        _note(by, replay, f"Started: {number} to be sent{_with(wishes, anew)}")
        transaction.on_commit(hint, robust=True)
    return number


def cancel(replay: Replay, by: Any) -> int:
    """Stop what is not in the queue yet; what is there goes on. Returns how many things are not sent. Raises
    CannotReplay."""
    with transaction.atomic():
        replay = _locked(replay, *_OPEN)
        stopped = replay.items.filter(state__in=_UNDECIDED).update(state=ReplayItemState.CANCELLED)
        _end(replay, ReplayState.CANCELLED, cancelled_by=by)
        _note(by, replay, f"Cancelled: {stopped} are not sent")
    return stopped


def planned(replay: Replay) -> None:
    """Everything is worked out. In the transaction that holds the replay."""
    Replay.objects.filter(pk=replay.pk).update(state=ReplayState.PLANNED, planned_at=Now())


def done(replay: Replay) -> None:
    """Everything is in the queue or left out. In the transaction that holds the replay."""
    _end(replay, ReplayState.DONE)


def leave_out(item: ReplayItem, finding: ReplayFinding, problem: str = "") -> None:
    """One thing is not sent. In the transaction that holds the replay."""
    item.state, item.finding = ReplayItemState.LEFT_OUT, finding
    if problem:
        item.contents = {**(item.contents or {}), "problem": problem}
    item.save(update_fields=["state", "finding", "contents"])


def queued(item: ReplayItem, delivery_id: int) -> None:
    """One thing is a delivery now. In the transaction that makes it so."""
    ReplayItem.objects.filter(pk=item.pk).update(state=ReplayItemState.QUEUED, delivery=delivery_id)


def hint() -> None:
    """Have the scheduled worker look at replays now; if nobody does, it looks once a minute."""
    with suppress(Exception):
        async_task(WORK, save=False)


def _choose(replay: Replay, messages: Sequence[int]) -> None:
    tenant = {"organization_id": replay.organization_id, "environment_id": replay.environment_id}
    ReplayItem.objects.bulk_create(
        [ReplayItem(replay=replay, message_id=message, **tenant) for message in messages]
    )


def _locked(replay: Replay, *states: ReplayState) -> Replay:
    found = Replay.objects.select_for_update(no_key=True, of=("self",)).get(pk=replay.pk)
    if found.state not in states:
        raise CannotReplay(f"This replay is {found.get_state_display().lower()}: look at it again.")
    return found


def _check_freshness(replay: Replay) -> None:
    stale = replay.planned_at is None or timezone.now() - replay.planned_at > FRESH_FOR
    if replay.data == ReplayData.NOW and stale:
        raise CannotReplay("The tickets were read more than an hour ago. Plan again, then run it.")


def _end(replay: Replay, state: ReplayState, **more: Any) -> None:
    Replay.objects.filter(pk=replay.pk).update(state=state, ended_at=Now(), **more)


def _words(replay: Replay) -> str:
    told = (replay.get_rules_display(), replay.get_data_display(), replay.get_tickets_display())
    return "; ".join(map(str, told))


def _with(wishes: Wishes, new_tickets: int) -> str:
    made = f", {new_tickets} as a new ticket in place of another" if new_tickets else ""
    anew = ", what arrived before once more" if wishes.create_anew else ""
    return made + anew + (", newer values overwritten" if wishes.overwrite_newer else "")


def _note(by: Any, replay: Replay, what: str) -> None:
    if by is not None:
        LogEntry.objects.log_actions(by.pk, [replay], CHANGE, what)
