"""The requests that a rule would send because of one message, as its target's adapter renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from conversations.admin.editor.samples import Sample
from conversations.sender import COMMENT
from endpoints.adapters.base import Action, Adapter, Command, Plan, Reference, Unrenderable
from endpoints.canonical import Operation, Value
from endpoints.configs import LoadedEndpoint
from oneio.template_values import to_text
from routing import changes
from routing.drafting import Draft
from routing.mapping import moved
from routing.trying import Trial

EFFECT_KEY = "preview"
"""Stands where a real request carries its effect key."""
STAYS = "This comment is internal, and internal comments never leave the endpoint it was written in."


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
        _noted(title, STAYS) if one.comment and sample.stays else _shown(title, one, target.adapter)
        for title, one in _commands(draft, created, updated, sample, command, target.adapter)
    ]


def _commands(
    draft: Draft, created: Trial, updated: Trial | None, sample: Sample, command: Command, adapter: Adapter
) -> Iterator[tuple[str, Command]]:
    operations = draft.rule.operations
    if Operation.CREATE in operations:
        yield "Create", replace(command, attributes=_canonical(adapter, created.outgoing))
    if updated is None or sample.ticket is None:
        return
    named = sample.ticket.number or sample.ticket.external_id
    there = replace(command, target=sample.ticket)
    if Operation.UPDATE in operations:
        left = _left(draft, updated, sample, adapter)
        yield f"Update {named}", replace(there, action=Action.UPDATE, attributes=left)
    if Operation.COMMENT in operations and (comment := sample.comment):
        worded = updated.outgoing.get(COMMENT)
        comment = replace(comment, text=to_text(worded)) if worded else comment
        yield f"Comment on {named}", replace(there, action=Action.COMMENT, comment=comment)


def _left(draft: Draft, trial: Trial, sample: Sample, adapter: Adapter) -> dict[str, Value]:
    """What of an update the ticket does not have yet."""
    rule = draft.rule
    touched = moved(rule.outbound, sample.changed, variables=rule.variables, conversation=rule.conversation)
    names = frozenset(adapter.attribute_name(name) for name in touched)
    shadow = changes.from_json(sample.shadow)
    return changes.to_send(shadow, _canonical(adapter, trial.outgoing), names)


def _canonical(adapter: Adapter, outgoing: Mapping[str, Value]) -> dict[str, Value]:
    return {adapter.attribute_name(name): value for name, value in outgoing.items() if name != COMMENT}


def _noted(title: str, note: str) -> dict[str, Any]:
    return {"title": title, "steps": [], "note": note}


def _shown(title: str, command: Command, adapter: Adapter) -> dict[str, Any]:
    if command.action is Action.UPDATE and not command.attributes:
        return _noted(title, "The ticket has all of this already: nothing would be sent.")
    try:
        plan: Plan = adapter.render(command)
    except Unrenderable as problem:
        return {"title": title, "steps": [], "problem": str(problem)}
    steps = [
        {
            "method": step.method,
            "path": step.path,
            "query": dict(step.query),
            "body": step.shown if step.shown is not None else step.body,
        }
        for step in plan.steps
    ]
    return {"title": title, "steps": steps}
