"""The requests that a rule would send because of one message, as its target's adapter renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conversations.admin.editor.samples import Sample
from conversations.sender import COMMENT
from endpoints.adapters.base import Action, Adapter, Command, Plan, Reference, Unrenderable
from endpoints.canonical import Operation, Value
from endpoints.configs import LoadedEndpoint
from oneio.template_values import to_text
from routing import changes, ownership
from routing.drafting import Draft
from routing.mapping import MappingError, evaluate, moved
from routing.mapping_rows import MappingRow
from routing.ownership import Owner, Settlement
from routing.trying import Trial

EFFECT_KEY = "preview"
"""Stands where a real request carries its effect key."""
HAS_ALL = "The ticket has all of this already: nothing would be sent."
NOTHING_LEFT = "Nothing else is new: nothing would be sent."
_STAYS: Mapping[str, str] = {
    "target": "the target's value counts",
    "newest": "it is not known to be older",
}
"""Why the target's value stays, by whose value is to count."""
STAYS = "This comment is internal, and internal comments never leave the endpoint it was written in."


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that would be asked of the target; `said`: what became of attributes that it changed, too."""

    title: str
    command: Command
    said: Sequence[str] = ()


def requests(
    draft: Draft, created: Trial, updated: Trial | None, sample: Sample, target: LoadedEndpoint, entity: str
) -> list[dict[str, Any]]:
    """What would be asked of the target: a create, and, if the ticket is there, an update and a comment.

    `created` and `updated` are what the mappings give for each. Nothing is sent.
    """
    configured = target.config.entity(entity)
    if configured is None:
        return []
    partner = Reference(sample.canonical.external_id, sample.canonical.number, sample.canonical.link)
    command = Command(
        Action.CREATE, configured, EFFECT_KEY, partner=partner, message_type=draft.rule.message_type
    )
    return [
        _noted(one, STAYS) if one.command.comment and sample.stays else _shown(one, target.adapter)
        for one in _asked(draft, created, updated, sample, command, target.adapter)
    ]


def _asked(
    draft: Draft, created: Trial, updated: Trial | None, sample: Sample, command: Command, adapter: Adapter
) -> Iterator[Asked]:
    operations = draft.rule.operations
    if Operation.CREATE in operations:
        yield Asked("Create", replace(command, attributes=_canonical(adapter, created.outgoing)))
    if updated is None or sample.ticket is None:
        return
    named = sample.ticket.number or sample.ticket.external_id
    there = replace(command, target=sample.ticket)
    if Operation.UPDATE in operations:
        attributes, said = _left(draft, updated, sample, adapter)
        yield Asked(f"Update {named}", replace(there, action=Action.UPDATE, attributes=attributes), said)
    if Operation.COMMENT in operations and (comment := sample.comment):
        worded = updated.outgoing.get(COMMENT)
        comment = replace(comment, text=to_text(worded)) if worded else comment
        yield Asked(f"Comment on {named}", replace(there, action=Action.COMMENT, comment=comment))


def _left(
    draft: Draft, trial: Trial, sample: Sample, adapter: Adapter
) -> tuple[Mapping[str, Value], list[str]]:
    """What of an update the ticket does not have yet, and whose value counts where both sides changed it."""
    rule, rows = draft.rule, [row for row in draft.rows("outbound") if row.target != COMMENT]
    touched = moved(rows, sample.changed, variables=rule.variables, conversation=rule.conversation)
    names = frozenset(adapter.attribute_name(name) for name in touched)
    shadow = changes.from_json(sample.shadow)
    sending = changes.to_send(shadow, _canonical(adapter, trial.outgoing), names)
    owners = ownership.owners_of(rows, adapter.attribute_name)
    settled = ownership.decide(
        shadow,
        sending,
        names,
        owners,
        before=lambda: _before(rows, trial, sample, adapter),
        changed=lambda: ownership.changed_at(sample.canonical),
    )
    return settled.attributes, list(_said(shadow, sending, settled, owners))


def _before(rows: Sequence[MappingRow], trial: Trial, sample: Sample, adapter: Adapter) -> dict[str, Value]:
    """What the rule would have sent before the change that the sample tells."""
    message, changed = sample.canonical, sample.changed
    codes = {name: code for name, code in message.codes.items() if name not in changed}
    earlier = {"attributes": {**message.attributes, **changed}, "codes": codes, "variables": trial.variables}
    try:
        return _canonical(adapter, evaluate(rows, {**sample.document, **earlier}, "update"))
    except MappingError:
        return {}


def _said(
    shadow: changes.Shadow, sending: Mapping[str, Value], settled: Settlement, owners: Mapping[str, Owner]
) -> Iterator[str]:
    """A sentence for each attribute that both sides changed."""
    overwritten = {one.attribute for one in settled.conflicts if one.winner == "source"}
    for name, ours in sending.items():
        theirs = to_text(shadow.known.get(name)) or "empty"
        if name not in settled.attributes:
            yield (
                f"{name} is left out: it was changed there, too, to {theirs}, and {_STAYS[owners[name]]}"
                f" (ours: {to_text(ours)})."
            )
        elif name in overwritten:
            yield f"{name} was changed there, too, to {theirs}: ours counts, and a conflict is noted."
        elif settled.attributes[name] != ours:
            yield f"{name} was changed there, too: both texts are kept."


def _canonical(adapter: Adapter, outgoing: Mapping[str, Value]) -> dict[str, Value]:
    return {adapter.attribute_name(name): value for name, value in outgoing.items() if name != COMMENT}


def _noted(asked: Asked, note: str) -> dict[str, Any]:
    return {"title": asked.title, "steps": [], "note": note, "said": asked.said}


def _shown(asked: Asked, adapter: Adapter) -> dict[str, Any]:
    command = asked.command
    if command.action is Action.UPDATE and not command.attributes:
        return _noted(asked, NOTHING_LEFT if asked.said else HAS_ALL)
    try:
        plan: Plan = adapter.render(command)
    except Unrenderable as problem:
        return {"title": asked.title, "steps": [], "problem": str(problem), "said": asked.said}
    steps = [
        {
            "method": step.method,
            "path": step.path,
            "query": dict(step.query),
            "body": step.shown if step.shown is not None else step.body,
        }
        for step in plan.steps
    ]
    return {"title": asked.title, "steps": steps, "said": asked.said}
