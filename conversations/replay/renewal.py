"""New tickets in place of those that targets have: what makes one in a replay, and what follows it there.

Of a conversation, the first effect at a target that may create a ticket there makes the new one; all that the
replay sends to that target afterwards goes to it, also what the old one has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from django.contrib.admin.models import CHANGE, LogEntry

from conversations import replacing
from conversations.models import (
    UNFINISHED,
    Delivery,
    Message,
    Participant,
    Replay,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayTickets,
)
from conversations.replay.assessment import SENT
from conversations.replay.rehearsal import Assessed, assess
from conversations.replay.subject import Effect, Subject
from conversations.sender import RECORD

_MADE = (ReplayItemState.PLANNED, ReplayItemState.QUEUED)


@dataclass(slots=True)
class Renewal:
    """What a replay wants, for one conversation: `made`, the endpoints where it has made a new ticket by
    now, or will have when this message's turn comes."""

    wanted: bool
    made: set[int] = field(default_factory=set)

    def judge(self, subject: Subject, effect: Effect, *, creates: bool) -> Assessed:
        """What sending the effect would do; see `assess` for `creates`."""
        target = effect.target.id
        if target in self.made:
            return _follows(assess(subject, effect, creates=True))
        there = subject.participants.get(target)
        if not self.wanted or effect.part != RECORD or there is None or there.external_id is None:
            return assess(subject, effect, creates=creates)
        subject.forget(target)
        found = _renews(subject, there, assess(subject, effect))
        if found.finding is ReplayFinding.ANEW:
            self.made.add(target)
        else:
            subject.participants[target] = there
        return found


def of(replay: Replay, message: Message) -> Renewal:
    """What this replay wants, when it is the turn of this message."""
    if replay.tickets != ReplayTickets.NEW:
        return Renewal(wanted=False)
    before = replay.items.filter(
        finding=ReplayFinding.ANEW,
        state__in=_MADE,
        message__conversation=message.conversation_id,
        message__lt=message.pk,
    )
    return Renewal(True, set(before.order_by().values_list("endpoint_id", flat=True)))


def take_place(item: ReplayItem, effect: Effect, delivery_id: int) -> None:
    """Let the old ticket step back for the one that this delivery makes. In the transaction that has put it
    into its lane, conversation and participants locked."""
    side = Participant.objects.get(conversation=effect.planned.conversation, endpoint=effect.target.id)
    old = replacing.replace(side, effect.target.entity_ids[effect.rule.target_entity], delivery_id)
    by = item.replay.started_by
    if by is not None:
        said = f"A new ticket at {effect.target.name} takes the place of {old}: {item.replay}"
        LogEntry.objects.log_actions(by.pk, [effect.planned.conversation], CHANGE, said)


def _renews(subject: Subject, there: Participant, found: Assessed) -> Assessed:
    if found.finding not in SENT:
        return found
    unfinished = Delivery.objects.filter(
        conversation=subject.message.conversation_id, endpoint=there.endpoint_id, state__in=UNFINISHED
    )
    if unfinished.exists():
        return Assessed(ReplayFinding.BUSY)
    return replace(
        found,
        finding=ReplayFinding.ANEW,
        replaces=there.external_id or "",
        replaces_number=there.number,
    )


def _follows(found: Assessed) -> Assessed:
    """What the old ticket has is not on the new one."""
    sent = found.finding in SENT
    return replace(found, finding=ReplayFinding.SEND, overwrites=False, follows=True) if sent else found
