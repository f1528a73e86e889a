"""Carries out one claimed delivery on an HTTP thread: maps, renders, sends. Touches no database."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from conversations.files import FileRef, FileStore, Unavailable
from conversations.queue import LaneClaim
from endpoints.adapters.base import Action, Adapter, Command, EntityConfig, Plan, Reference, Unrenderable
from endpoints.canonical import (
    Comment,
    Operation,
    Value,
    comment_from_json,
    decode_attributes,
    from_json,
)
from endpoints.configs import LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Outcome, Result, Verification
from oneio.blame import place_of
from routing import changes, ownership
from routing.changes import Shadow
from routing.compiled import MappingRow, RoutingRule
from routing.decision import comment_document, is_internal, message_context
from routing.mapping import MappingError, TargetAction, moved
from routing.mapping import evaluate as results_of
from routing.ownership import Conflict, Settlement

log = logging.getLogger(__name__)
COMMENT = "comment"
"""The target name of the mapping that words a comment."""
RECORD = "record"
WRITE_BACK = "write_back"


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery with everything that is needed to carry it out elsewhere."""

    claim: LaneClaim
    delivery_id: int
    conversation_id: UUID
    attempt_id: UUID
    look_up: bool
    part: str
    effect_key: str
    endpoint: LoadedEndpoint
    entity: EntityConfig
    rule: RoutingRule
    canonical: Mapping[str, Any]
    snapshot: Mapping[str, Any]
    target: Reference | None
    shadow: Mapping[str, Any]
    partner: Reference | None
    since: datetime
    """When the attempt that is in doubt began; for a look-up."""
    overrides: Mapping[str, Value] = field(default_factory=dict)
    """Outgoing values that a person wrote instead of the rule's, by canonical name."""
    participants: Mapping[str, Any] = field(default_factory=dict)
    """The conversation's tickets, if the rule asks for them."""
    keeps_internal: bool = False
    """Whether internal comments never leave the endpoint that the message came from."""
    file: FileRef | None = None
    """The file that this part carries."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job. Exactly one of `outcome` and `verification` is set."""

    job: Job
    outcome: Outcome | None = None
    verification: Verification | None = None
    action: Action | None = None
    repeatable: bool = True
    steps: int = 1
    sent: Mapping[str, Value] = field(default_factory=dict)
    nothing_to_do: bool = False
    kept_internal: bool = False
    conflicts: tuple[Conflict, ...] = ()
    mapping_failed: bool = False
    no_ticket: bool = False
    lease_over: bool = False
    file_unavailable: bool = False
    """The file could not be had from where it is: that is not the target's doing."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attribute as the rule would send it; `problem`: why its mapping cannot be worked out."""

    name: str
    value: Value = None
    problem: str = ""


def perform(job: Job, http: HttpClient, files: FileStore | None = None) -> Done:
    """Carry the job out; `files` is for those that carry one. Never raises: what goes wrong inside oneio is
    an outcome too."""
    try:
        return _perform(job, job.endpoint.adapter, http.only_while(job.claim.lease.holds), files)
    except Unavailable as problem:
        return Done(job, _from_the_source(job, problem.outcome), file_unavailable=True)
    except MappingError as problem:
        return Done(job, _refusal(str(problem)), mapping_failed=True)
    except Unrenderable as problem:
        return Done(job, _refusal(str(problem)), mapping_failed=True)
    except Exception as error:  # noqa: BLE001 (a bug in a mapping or adapter must not stop the worker)
        log.error("Delivery %s failed inside oneio: %s", job.delivery_id, place_of(error))
        return Done(job, Outcome(Result.NOT_SENT, Failure.INTERNAL, code=type(error).__name__[:40]))


def _perform(job: Job, adapter: Adapter, http: HttpClient, files: FileStore | None) -> Done:
    if not job.claim.lease.holds():
        # It waited too long for a thread, or the whole process stood still: another worker may have it.
        return Done(job, Outcome(Result.NOT_SENT, Failure.TRANSIENT, code="lease_over"), lease_over=True)
    command, conflicts = _decided(job, adapter)
    if command is None:
        return Done(job, _refusal("The target has no ticket for this conversation yet."), no_ticket=True)
    if job.file:
        assert files is not None
        limit = job.rule.files.max_bytes if job.rule.files else None
        command = replace(command, file=files.outgoing(job.file, http, limit))
    if command.action is Action.UPDATE and not command.attributes:
        nothing = Outcome(Result.CONFIRMED, code="nothing_to_change")
        return Done(job, nothing, action=command.action, nothing_to_do=True, conflicts=conflicts)
    plan = adapter.render(command)
    if job.look_up and not plan.repeatable:
        return _done(job, plan, verification=adapter.verify(command, job.since, http))
    if _must_stay(job, command):
        return Done(job, Outcome(Result.CONFIRMED, code="kept_internal"), kept_internal=True)
    # What may be done twice need not be looked up: it is done again. A create in doubt whose ticket has
    # made itself known meanwhile has become an update.
    return _done(job, plan, outcome=_send(job, plan, adapter, http), conflicts=conflicts)


def _must_stay(job: Job, command: Command) -> bool:
    """Whether this would carry an internal comment out of an endpoint whose internal comments never leave.

    The comment's own visibility counts: a rule words what is sent, but cannot make it public.
    """
    return job.keeps_internal and command.comment is not None and is_internal(command.comment)


def _send(job: Job, plan: Plan, adapter: Adapter, http: HttpClient) -> Outcome:
    try:
        return adapter.send(plan, http)
    except Exception as error:  # noqa: BLE001 (the request may have gone out before the adapter failed)
        log.error("Delivery %s failed while it was sent: %s", job.delivery_id, type(error).__name__)
        return Outcome(Result.UNKNOWN, Failure.INTERNAL, code=type(error).__name__[:40])


def _done(
    job: Job,
    plan: Plan,
    outcome: Outcome | None = None,
    verification: Verification | None = None,
    conflicts: tuple[Conflict, ...] = (),
) -> Done:
    return Done(
        job,
        outcome,
        verification,
        action=plan.command.action,
        repeatable=plan.repeatable,
        steps=len(plan.steps),
        sent=plan.command.attributes,
        conflicts=conflicts,
    )


def command_for(job: Job, adapter: Adapter) -> Command | None:
    """What is to be done at the target; None where there is no ticket and none may be created.

    The same job always gives the same command: counters and variables come from the snapshot.
    """
    return _decided(job, adapter)[0]


def _decided(job: Job, adapter: Adapter) -> tuple[Command | None, tuple[Conflict, ...]]:
    """The same with what both sides had changed and only one of them got."""
    if job.part == RECORD:
        return _record(job, adapter)
    if job.target is None:
        return None, ()
    if job.part == WRITE_BACK:
        return _command(job, Action.WRITE_BACK), ()
    if job.file:
        return _command(job, Action.ATTACH), ()
    return _command(job, Action.COMMENT, comment=_comment(job, adapter)), ()


def _command(job: Job, action: Action, **what: Any) -> Command:
    return Command(
        action=action,
        entity=job.entity,
        effect_key=job.effect_key,
        target=job.target,
        partner=job.partner,
        message_type=job.rule.message_type,
        **what,
    )


def _record(job: Job, adapter: Adapter) -> tuple[Command | None, tuple[Conflict, ...]]:
    rows = tuple(row for row in _outbound(job) if not _overridden(job, adapter, row))
    mapped = results_of(rows, _context(job, adapter), _action(job))
    outbound = {**_canonical_names(adapter, mapped), **job.overrides}
    if job.target is None:
        wanted = Operation.CREATE in job.rule.operations
        return _command(job, Action.CREATE, attributes=outbound) if wanted else None, ()
    shadow = changes.from_json(job.shadow)
    rule, changed = job.rule, job.snapshot["changed"]
    touched = moved(rows, changed, variables=rule.variables, conversation=rule.conversation)
    touched = frozenset(adapter.attribute_name(name) for name in touched)
    sending = changes.to_send(shadow, outbound, touched | job.overrides.keys())
    settled = _settled(job, adapter, rows, shadow, sending, touched - job.overrides.keys())
    return _command(job, Action.UPDATE, attributes=settled.attributes), settled.conflicts


def _settled(
    job: Job,
    adapter: Adapter,
    rows: Sequence[MappingRow],
    shadow: Shadow,
    sending: Mapping[str, Value],
    moved_names: frozenset[str],
) -> Settlement:
    """What is sent in the end where the target changed attributes, too. What a person wrote is sent."""
    return ownership.decide(
        shadow,
        sending,
        moved_names,
        ownership.owners_of(rows, adapter.attribute_name),
        before=lambda: _before(job, adapter, rows),
        changed=lambda: ownership.changed_at(from_json(job.canonical)),
    )


def _before(job: Job, adapter: Adapter, rows: Sequence[MappingRow]) -> dict[str, Value]:
    """What the rule would have sent before the change that this message tells."""
    message, changed = from_json(job.canonical), decode_attributes(job.snapshot["changed"])
    codes = {name: code for name, code in message.codes.items() if name not in changed}
    context = {**_context(job, adapter), "attributes": {**message.attributes, **changed}, "codes": codes}
    try:
        return _canonical_names(adapter, results_of(rows, context, _action(job)))
    except MappingError:
        return {}


def _overridden(job: Job, adapter: Adapter, row: MappingRow) -> bool:
    """Whether a person has said what each of the row's targets gets."""
    return bool(job.overrides) and all(
        adapter.attribute_name(target) in job.overrides for target in row.targets
    )


def _comment(job: Job, adapter: Adapter) -> Comment:
    comment = comment_from_json(job.snapshot["comment"])
    if COMMENT in job.overrides:
        return replace(comment, text=str(job.overrides[COMMENT]))
    worded = results_of(_outbound(job), _context(job, adapter), _action(job)).get(COMMENT)
    return replace(comment, text=str(worded)) if worded else comment


def _outbound(job: Job) -> tuple[MappingRow, ...]:
    """The mappings of this part: those of the record, or the one that words a comment."""
    return tuple(row for row in job.rule.outbound if (row.target == COMMENT) == (job.part != RECORD))


def outgoing(job: Job) -> list[Outgoing]:
    """What the rule makes of each attribute, whatever goes wrong with others; nothing is sent."""
    if job.part == WRITE_BACK or job.file:
        return []  # no mapping has a say in them
    adapter = job.endpoint.adapter
    context = _context(job, adapter)
    rows: dict[str, list[MappingRow]] = {}
    for row in _outbound(job):
        for target in row.targets:
            rows.setdefault(adapter.attribute_name(target), []).append(row)
    if not rows and job.snapshot["comment"]:
        return [Outgoing(COMMENT, comment_from_json(job.snapshot["comment"]).text)]
    return [_outgoing(job, name, found, context) for name, found in rows.items()]


def _outgoing(job: Job, name: str, rows: Sequence[MappingRow], context: Mapping[str, Any]) -> Outgoing:
    try:
        mapped = results_of(rows, context, _action(job))
    except MappingError as problem:
        return Outgoing(name, problem=str(problem))
    return Outgoing(name, _canonical_names(job.endpoint.adapter, mapped).get(name))


def _action(job: Job) -> TargetAction:
    return "update" if job.target else "create"


def _context(job: Job, adapter: Adapter) -> dict[str, Any]:
    snapshot = job.snapshot
    document = message_context(
        from_json(job.canonical),
        decode_attributes(snapshot["changed"]),
        decode_attributes(snapshot["conversation"]),
        decode_attributes(snapshot["variables"]),
        _target_known(job, adapter),
        datetime.fromisoformat(snapshot["received_at"]) if snapshot.get("received_at") else None,
    )
    document["participants"] = job.participants
    document["lookups"] = decode_attributes(snapshot.get("lookups", {}))
    if snapshot["comment"]:
        document["comment"] = comment_document(comment_from_json(snapshot["comment"]))
    return document


def _target_known(job: Job, adapter: Adapter) -> dict[str, Value]:
    """What the target is known to have, also under the names that the rule's author wrote."""
    known = changes.from_json(job.shadow).known
    if not known:
        return {}
    targets = (target for row in job.rule.outbound for target in row.targets)
    written = {target: adapter.attribute_name(target) for target in targets}
    return {**known, **{target: known[name] for target, name in written.items() if name in known}}


def _canonical_names(adapter: Adapter, outbound: Mapping[str, Value]) -> dict[str, Value]:
    return {adapter.attribute_name(name): value for name, value in outbound.items()}


def _from_the_source(job: Job, outcome: Outcome) -> Outcome:
    """Why a file could not be had, with whose fault it is; what is shown as answer is the source's."""
    assert job.file
    said = f"The file could not be fetched from {job.file.source.name}. {outcome.detail}".strip()
    return replace(outcome, result=Result.NOT_SENT, detail=said)


def _refusal(sentence: str) -> Outcome:
    return Outcome(Result.NOT_SENT, Failure.DATA, detail=sentence)
