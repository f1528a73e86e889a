"""Turns what a replay is to send into deliveries, a ticket's in the order received, a few at a time.

A message's deliveries, the state of its items and the numbers that its rules take are written in one
transaction: a process may die anywhere, and nothing is lost or done twice. The plan is judged anew, because
much may have happened since.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from conversations import counters, deliveries, queue
from conversations.models import (
    Conversation,
    Delivery,
    DeliveryContent,
    DeliveryState,
    Message,
    Replay,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayState,
    ReplayTickets,
)
from conversations.replay import lifecycle, renewal
from conversations.replay.assessment import ON_THE_WAY, Wishes
from conversations.replay.planning import judge
from conversations.replay.rehearsal import Assessed, failure
from conversations.replay.subject import Cannot, Effect, Subject, Tools
from oneio.blame import place_of
from oneio.wakeup import wake
from routing.decision import FILE

log = logging.getLogger(__name__)
IN_QUEUE = 20
"""Deliveries of one replay that wait or are being sent at once: what comes in meanwhile waits for no more."""
OF_A_TICKET = 10
WITHIN = timedelta(minutes=5)
"""New deliveries of one conversation within this time: a replay must not look like a loop."""
LOOKED_AT = 50


def run_one(replay_id: UUID, tools: Tools) -> bool:
    """Send what the next message of a replay leads to. False when there is nothing to do now: it has ended,
    its deliveries fill its share of the queue, or another worker is at it."""
    message_id = None
    try:
        with transaction.atomic():
            replay = _held(replay_id)
            if replay is None:
                return False
            message_id = _next(replay)
            if message_id is None:
                return False
            _run(replay, message_id, tools)
            transaction.on_commit(wake, robust=True)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if message_id is None:
            raise
        log.error("Message %s cannot be replayed: %s", message_id, place_of(error))
        _give_up(replay_id, message_id, error)
    return True


def _held(replay_id: UUID) -> Replay | None:
    free = Replay.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    return free.filter(pk=replay_id, state=ReplayState.RUNNING).first()


def _next(replay: Replay) -> int | None:
    """The earliest message whose turn it is; ends the replay if there is none left."""
    waiting = replay.items.filter(state=ReplayItemState.PLANNED)
    if not waiting.exists():
        lifecycle.done(replay)
        return None
    if _in_queue(replay) >= IN_QUEUE:
        return None
    rows = waiting.order_by("message_id").values_list("message_id", "message__conversation_id").distinct()
    messages: list[tuple[int, UUID]] = list(rows[:LOOKED_AT])
    busy = _busy({conversation for _, conversation in messages})
    return next((message for message, conversation in messages if conversation not in busy), None)


def _in_queue(replay: Replay) -> int:
    return replay.items.filter(state=ReplayItemState.QUEUED, delivery__state__in=ON_THE_WAY).count()


def _busy(conversations: set[UUID]) -> set[UUID]:
    """The conversations that got so many deliveries of late that more would look like a loop."""
    rows = Delivery.objects.filter(conversation__in=conversations, created_at__gt=Now() - WITHIN)
    counted = rows.order_by().values("conversation").annotate(number=Count("pk"))
    return set(counted.filter(number__gte=OF_A_TICKET).values_list("conversation", flat=True))


def _run(replay: Replay, message_id: int, tools: Tools) -> None:
    items = list(replay.items.filter(state=ReplayItemState.PLANNED, message=message_id).order_by("place"))
    message = Message.objects.select_related("body").get(pk=message_id)
    message.conversation = Conversation.objects.select_for_update(no_key=True).get(pk=message.conversation_id)
    subject = Subject(message, tools, items[0].fresh, locked=True)
    try:
        effects = subject.effects(replay.rules, counters.numbers_for(message))
    except Cannot as problem:
        for item in items:
            lifecycle.leave_out(item, problem.finding, str(problem))
        return
    Conversation.objects.filter(pk=message.conversation_id).update(last_activity_at=Now())
    counters.keep([message])
    lanes, _ = queue.lanes_for([_tenant(subject, effect) for effect in effects])
    renewing = renewal.of(replay, message)
    made = set(renewing.made)
    found = {effect.place: (effect, assessed) for effect, assessed in judge(subject, effects, renewing)}
    for item in items:
        item.replay = replay
        place = (item.rule_id or 0, item.endpoint_id or 0, item.part)
        _settle(item, found.get(place), subject, lanes, made)
    queue.recompute(sorted(lanes.values()))


def _settle(
    item: ReplayItem,
    found: tuple[Effect, Assessed] | None,
    subject: Subject,
    lanes: dict[tuple[UUID, int], int],
    made: set[int],
) -> None:
    """Make the item a delivery, or leave it out for what has changed since the plan. `made`: the endpoints
    where this replay has made a new ticket."""
    if found is None:
        return lifecycle.leave_out(item, _why_gone(item, made))
    effect, assessed = found
    if effect.rule.version_id != item.rule_version_id:
        return lifecycle.leave_out(item, ReplayFinding.RULE_CHANGED)
    item.overwrites, item.contents = assessed.overwrites, assessed.contents or None
    item.save(update_fields=["overwrites", "contents"])
    wishes = Wishes(item.replay.create_anew, item.replay.overwrite_newer)
    if not wishes.include(assessed.finding, overwrites=assessed.overwrites):
        return lifecycle.leave_out(item, assessed.finding)
    if _ticket_changed(item, assessed, made):
        return lifecycle.leave_out(item, ReplayFinding.TICKET_CHANGED)
    subject.invite(effect)
    lane_id = lanes[effect.planned.conversation.pk, effect.target.id]
    if assessed.finding is ReplayFinding.ANEW:
        made.add(effect.target.id)
        delivery_id = _new(effect, lane_id).pk
        renewal.take_place(item, effect, delivery_id)
    else:
        delivery_id = _new(effect, lane_id).pk if assessed.follows else _send(effect, lane_id)
    return lifecycle.queued(item, delivery_id)


def _why_gone(item: ReplayItem, made: set[int]) -> ReplayFinding:
    """Why the message does not lead to this any more; files that follow to a new ticket need that one."""
    follows = item.replay.tickets == ReplayTickets.NEW and item.part.startswith(f"{FILE}:")
    unmade = follows and item.endpoint_id not in made
    return ReplayFinding.TICKET_CHANGED if unmade else ReplayFinding.NO_RULE


def _ticket_changed(item: ReplayItem, assessed: Assessed, made: set[int]) -> bool:
    """Whether a new ticket was planned in place of another than the one that is there now; or this was to go
    to a new ticket, and that was not made."""
    if item.replaces != assessed.replaces:
        return True
    if assessed.follows:
        return item.endpoint_id not in made
    was_to_follow = item.replay.tickets == ReplayTickets.NEW and item.finding == ReplayFinding.SEND
    return was_to_follow and assessed.finding is ReplayFinding.DUPLICATE


def _send(effect: Effect, lane_id: int) -> int:
    """The delivery that carries the effect: the one that never arrived again, or a new one."""
    again = [row for row in effect.earlier if _is_sent_again(row)]
    if again and deliveries.replay(again[-1], effect.rule.version_id, effect.snapshot):
        return int(again[-1].pk)
    return _new(effect, lane_id).pk


def _is_sent_again(row: Delivery) -> bool:
    """A held one always: a new one would wait behind it. Of the others, what cannot have arrived."""
    unsure: bool = getattr(row, "unsure", False)
    ended = {DeliveryState.SKIPPED, DeliveryState.CANCELLED, DeliveryState.SUPERSEDED}
    return row.state == DeliveryState.HELD or (row.state in ended and not unsure)


def _new(effect: Effect, lane_id: int) -> Delivery:
    """Another delivery than those there are, with an effect key of its own."""
    planned, target = effect.planned, effect.target
    anew = 1 + max((row.anew for row in effect.earlier), default=-1)
    content = DeliveryContent.objects.create(
        organization_id=target.organization_id, snapshot=dict(effect.snapshot)
    )
    return Delivery.objects.create(
        organization_id=target.organization_id,
        environment_id=target.environment_id,
        message=planned.message,
        conversation=planned.conversation,
        rule_id=effect.rule.rule_id,
        rule_version_id=effect.rule.version_id,
        endpoint_id=target.id,
        entity_type_id=target.entity_ids[effect.rule.target_entity],
        lane_id=lane_id,
        content=content,
        part=effect.part,
        anew=anew,
        effect_key=effect.key(anew),
        due_at=queue.database_now(),
    )


def _tenant(subject: Subject, effect: Effect) -> queue.Tenant:
    target = effect.target
    conversation = effect.planned.conversation.pk
    return queue.Tenant(conversation, target.id, target.environment_id, target.organization_id)


def _give_up(replay_id: UUID, message_id: int, error: Exception) -> None:
    """Leave out what cannot be sent for a fault of oneio, so that the others go on."""
    with transaction.atomic():
        replay = _held(replay_id)
        if replay is None:
            return
        for item in replay.items.filter(Q(state=ReplayItemState.PLANNED), message=message_id):
            lifecycle.leave_out(item, ReplayFinding.MAPPING, failure(error))
