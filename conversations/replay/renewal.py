"""New tickets in place of those that targets have: what makes one in a replay, and what follows it there.

Of a conversation, the first effect at a target that may create a ticket there makes the new one. The files
that rules had sent to the old one follow at once. All that the replay sends to that target afterwards goes to
the new one, also what the old one has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeAlias

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
    ReplayRules,
    ReplayTickets,
)
from conversations.replay import files
from conversations.replay.assessment import SENT
from conversations.replay.rehearsal import Assessed, assess
from conversations.replay.subject import Effect, Place, Subject
from conversations.sender import RECORD
from routing.decision import FILE

Judged: TypeAlias = list[tuple[Effect, Assessed]]
_MADE = (ReplayItemState.PLANNED, ReplayItemState.QUEUED)


@dataclass(slots=True)
class Renewal:
    """What a replay wants, for one conversation: `made`, the endpoints where it has made a new ticket by
    now, or will have when this message's turn comes; `brought`, the files that the new ones have then."""

    wanted: bool
    rules: str = ReplayRules.CURRENT
    made: set[int] = field(default_factory=set)
    brought: frozenset[Place] = frozenset()

    def judge(self, subject: Subject, effect: Effect, *, creates: bool) -> Assessed:
        """What sending the effect would do; see `assess` for `creates`."""
        target = effect.target.id
        if effect.place in self.brought:
            return Assessed(ReplayFinding.UNDER_WAY)
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

    def files(self, subject: Subject, judged: Judged) -> Judged:
        """The files that follow to the new tickets that are made by these, all the effects of the message."""
        own = {effect.place for effect, _ in judged}
        making = [effect for effect, found in judged if found.finding is ReplayFinding.ANEW]
        following = [one for effect in making for one in files.along(subject, effect, self.rules, own)]
        return [(one, self.judge(subject, one, creates=True)) for one in following]


def of(replay: Replay, message: Message) -> Renewal:
    """What this replay wants, when it is the turn of this message."""
    if replay.tickets != ReplayTickets.NEW:
        return Renewal(wanted=False)
    before = replay.items.filter(
        state__in=_MADE, message__conversation=message.conversation_id, message__lt=message.pk
    )
    made = dict(before.filter(finding=ReplayFinding.ANEW).values_list("endpoint_id", "message_id"))
    sent = before.filter(part__startswith=f"{FILE}:") if made else before.none()
    brought = frozenset(
        (item.rule_id or 0, item.endpoint_id or 0, item.part)
        for item in sent.only("rule_id", "endpoint_id", "part", "message_id")
        if item.message_id >= made.get(item.endpoint_id, math.inf)
    )
    return Renewal(True, replay.rules, set(made), brought)


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
