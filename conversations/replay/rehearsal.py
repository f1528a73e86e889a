"""Works out what an effect would write, without a delivery, a claim or a request."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from conversations.models import DeliveryState, Participant, ReplayFinding
from conversations.participation import ticket_document
from conversations.queue import LaneClaim
from conversations.replay.assessment import Earlier, changes_of, standing
from conversations.replay.subject import Effect, Subject
from conversations.sender import Job, command_for
from endpoints.adapters.base import Action, Command, Reference, Unrenderable
from endpoints.canonical import decode_attributes
from oneio.blame import place_of
from oneio.identifiers import uuid7
from routing.changes import from_json
from routing.decision import is_internal
from routing.mapping import MappingError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assessed:
    """What sending an effect would do. `contents` is what a person with the right to read sees of it.

    `replaces`: the id of the ticket in whose place it makes a new one; `follows`: it goes to a ticket that
    is made before it in place of another.
    """

    finding: ReplayFinding
    overwrites: bool = False
    contents: dict[str, Any] = field(default_factory=dict)
    replaces: str = ""
    replaces_number: str = ""
    follows: bool = False


def assess(subject: Subject, effect: Effect, *, creates: bool = False) -> Assessed:
    """Judge one effect. `creates`: the target's ticket is made by what is sent before it."""
    finding = standing([Earlier(row.state, row.hold_reason, row.unsure) for row in effect.earlier])
    if finding is ReplayFinding.UNDER_WAY:
        return Assessed(finding)
    if effect.planned.part.file:
        there = creates or _target(subject, effect) is not None
        return Assessed(finding if there else ReplayFinding.NO_TICKET)
    try:
        return _assess(subject, effect, finding, creates=creates)
    except (MappingError, Unrenderable) as problem:
        return Assessed(ReplayFinding.MAPPING, contents={"problem": str(problem)})
    except Exception as error:  # noqa: BLE001 (as when it is sent: a bug must not stop the others)
        log.error("Message %s cannot be rehearsed: %s", subject.message.pk, place_of(error))
        return Assessed(ReplayFinding.MAPPING, contents={"problem": failure(error)})


def _assess(subject: Subject, effect: Effect, finding: ReplayFinding, *, creates: bool) -> Assessed:
    job = job_of(subject, effect)
    comment = effect.planned.part.comment
    if comment and job.keeps_internal and is_internal(comment):
        return Assessed(ReplayFinding.INTERNAL)
    adapter = effect.target.adapter
    command = command_for(job, adapter)
    if command is None:
        if not creates or comment is None:
            return Assessed(ReplayFinding.NO_TICKET)
        return Assessed(finding, contents={"comment": comment.text})
    if command.action is Action.UPDATE and not command.attributes:
        nothing = finding is ReplayFinding.SEND
        return Assessed(ReplayFinding.NOTHING if nothing else finding)
    adapter.render(command)
    return _written(subject, effect, finding, command)


def _written(subject: Subject, effect: Effect, finding: ReplayFinding, command: Command) -> Assessed:
    participant = subject.participants.get(effect.target.id)
    shadow = from_json(participant.shadow if participant else {})
    changes = changes_of(shadow, command.attributes, subject.later(effect.target))
    contents: dict[str, Any] = {
        "action": command.action.value,
        "changes": [change.to_json() for change in changes],
    }
    if command.comment:
        contents["comment"] = command.comment.text
    return Assessed(finding, any(change.newer_there for change in changes), contents)


def job_of(subject: Subject, effect: Effect) -> Job:
    """What a worker would have in hand if this were sent now."""
    message, target = subject.message, effect.target
    entity = target.config.entity(effect.rule.target_entity)
    assert entity is not None
    participant = subject.participants.get(target.id)
    return Job(
        claim=LaneClaim(0, 0, target.id, 0),
        delivery_id=0,
        conversation_id=effect.planned.conversation.pk,
        attempt_id=uuid7(),
        look_up=False,
        part=effect.part,
        effect_key=effect.key(),
        endpoint=target,
        entity=entity,
        rule=effect.rule,
        canonical=effect.snapshot.get("message") or message.body.canonical or {},
        snapshot=effect.snapshot,
        target=_target(subject, effect),
        shadow=participant.shadow if participant else {},
        partner=_reference(subject.participants.get(message.endpoint_id)),
        since=timezone.now(),
        overrides=decode_attributes(_edited(effect)),
        participants=_known(subject) if effect.rule.asks_participants else {},
        keeps_internal=subject.tools.configs.get(message.endpoint_id).keeps_internal,
    )


def failure(error: Exception) -> str:
    """What people are told of a fault of oneio."""
    return f"oneio failed on it ({type(error).__name__}). Report it with the number of the message."


def _edited(effect: Effect) -> dict[str, Any]:
    """What a person wrote into the held delivery that would be sent again."""
    held = [row for row in effect.earlier if row.state == DeliveryState.HELD]
    return (held[-1].content.overrides or {}) if held else {}


def _target(subject: Subject, effect: Effect) -> Reference | None:
    return _reference(subject.participants.get(effect.target.id))


def _reference(participant: Participant | None) -> Reference | None:
    if participant is None or participant.external_id is None:
        return None
    return Reference(participant.external_id, participant.number, participant.link)


def _known(subject: Subject) -> dict[str, Any]:
    configs = subject.tools.configs
    return {
        configs.get(key).slug: ticket_document(row.external_id, row.number, row.link, row.shadow)
        for key, row in subject.participants.items()
    }
