"""Works out what the messages of a replay would lead to, a few at a time. Nothing is sent for a plan."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from conversations.models import (
    Message,
    Replay,
    ReplayData,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayState,
)
from conversations.replay import lifecycle, renewal
from conversations.replay.assessment import SENT
from conversations.replay.rehearsal import Assessed, failure
from conversations.replay.renewal import Judged, Renewal
from conversations.replay.subject import Cannot, Effect, Subject, Tools
from conversations.sender import RECORD
from oneio.blame import place_of

log = logging.getLogger(__name__)
AT_ONCE = 10
REQUEST_SECONDS = 2.0


def plan_at_once(replay: Replay, seconds: float = REQUEST_SECONDS) -> None:
    """Plan as much as can be done within a request; the scheduled worker does the rest."""
    deadline, tools = time.monotonic() + seconds, Tools()
    while plan_some(replay.pk, tools) and time.monotonic() < deadline:
        pass


def plan_some(replay_id: UUID, tools: Tools) -> int:
    """Plan the next messages of a replay; of one whose tickets are read again, those that were read. Returns
    how many; 0 too where another worker is at it."""
    with transaction.atomic():
        free = Replay.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        replay = free.filter(pk=replay_id, state=ReplayState.PLANNING).first()
        if replay is None:
            return 0
        chosen = replay.items.filter(state=ReplayItemState.CHOSEN).order_by("message_id")
        if not chosen.exists():
            lifecycle.planned(replay)
            return 0
        if replay.data == ReplayData.NOW:
            chosen = chosen.filter(fresh__isnull=False)
        items = list(chosen.select_related("message__body", "message__conversation")[:AT_ONCE])
        for item in items:
            _plan(replay, item, tools)
    return len(items)


def _plan(replay: Replay, item: ReplayItem, tools: Tools) -> None:
    try:
        with transaction.atomic():
            found = plan(replay, item, tools)
            ReplayItem.objects.filter(pk=item.pk).delete()
            ReplayItem.objects.bulk_create(found)
    except Cannot as problem:
        lifecycle.leave_out(item, problem.finding, str(problem))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 (one message must not stop the others)
        log.error("Message %s cannot be planned: %s", item.message_id, place_of(error))
        lifecycle.leave_out(item, ReplayFinding.MAPPING, failure(error))


def plan(replay: Replay, item: ReplayItem, tools: Tools) -> list[ReplayItem]:
    """What one message would lead to, not saved. Raises Cannot."""
    message: Message = item.message
    subject = Subject(message, tools, item.fresh)
    effects, renewing = subject.effects(replay.rules), renewal.of(replay, message)
    for endpoint_id in renewing.made:
        subject.forget(endpoint_id)
    judged = judge(subject, effects, renewing)
    return [_item(item, effect, found, place) for place, (effect, found) in enumerate(judged)]


def judge(subject: Subject, effects: list[Effect], renewing: Renewal) -> Judged:
    """Each effect with what it would do, knowing that those before it are sent first; then the files that
    follow to new tickets."""
    creating: set[int] = set()
    judged: Judged = []
    for effect in effects:
        found = renewing.judge(subject, effect, creates=effect.target.id in creating)
        if effect.part == RECORD and found.finding in SENT:
            creating.add(effect.target.id)
        judged.append((effect, found))
    return judged + renewing.files(subject, judged)


def _item(chosen: ReplayItem, effect: Effect, found: Assessed, place: int) -> ReplayItem:
    return ReplayItem(
        organization_id=chosen.organization_id,
        environment_id=chosen.environment_id,
        replay_id=chosen.replay_id,
        message_id=chosen.message_id,
        rule_id=effect.rule.rule_id,
        rule_version_id=effect.rule.version_id,
        endpoint_id=effect.target.id,
        part=effect.part,
        place=place,
        state=ReplayItemState.PLANNED if found.finding in SENT else ReplayItemState.LEFT_OUT,
        finding=found.finding,
        overwrites=found.overwrites,
        replaces=found.replaces,
        replaces_number=found.replaces_number,
        contents=found.contents or None,
        fresh=chosen.fresh,
    )
