"""A status is reached by a transition: which one, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from endpoints.adapters.base import Step
from endpoints.adapters.exchange import Speaker, as_sent
from endpoints.canonical import Value
from endpoints.outcomes import Failure, Outcome, Result


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a status change; `written` holds status and resolution as Jira confirmed them."""

    outcome: Outcome
    written: Mapping[str, Value]


def move(step: Step, speaker: Speaker) -> Moved:
    """Bring an issue into the status that the step names. In that status already is done already."""
    wanted = str(step.body["transition"]["name"])
    issue = step.path.removesuffix("/transitions")
    now = speaker.ask(Step("status_now", "GET", issue, {"fields": "status"}), complaint=_no_status)
    if not now.confirmed:
        return Moved(now.outcome, {})
    current = str(now.body["fields"]["status"]["name"])
    if current.casefold() == wanted.casefold():
        return Moved(now.outcome, {"status": current})
    offered = speaker.ask(
        Step("transitions", "GET", step.path, {"expand": "transitions.fields"}), complaint=_no_transitions
    )
    if not offered.confirmed:
        return Moved(offered.outcome, {})
    transitions = [
        each for each in offered.body["transitions"] if isinstance(each, Mapping) and each.get("id")
    ]
    transition = _matching(transitions, wanted)
    if transition is None:
        return Moved(_unreachable(step, wanted, current, transitions), {})
    return _take(step, transition, speaker)


def _take(step: Step, transition: Mapping[str, Any], speaker: Speaker) -> Moved:
    screen = transition.get("fields") or {}
    fields = {name: value for name, value in step.body.get("fields", {}).items() if name in screen}
    body = {"transition": {"id": str(transition["id"])}, **({"fields": fields} if fields else {})}
    outcome = speaker.ask(replace(step, body=body)).outcome
    if not outcome.confirmed:
        return Moved(outcome, {})
    written = {"status": _target(transition), **{name: value["name"] for name, value in fields.items()}}
    if fields == step.body.get("fields", {}):
        return Moved(outcome, written)
    detail = f"The transition “{transition.get('name')}” takes no resolution: the workflow sets its own."
    return Moved(replace(outcome, detail=detail), written)


def _matching(transitions: list[Mapping[str, Any]], wanted: str) -> Mapping[str, Any] | None:
    folded = wanted.casefold()
    by_status = (each for each in transitions if _target(each).casefold() == folded)
    by_name = (each for each in transitions if str(each.get("name")).casefold() == folded)
    return next(by_status, None) or next(by_name, None)


def _target(transition: Mapping[str, Any]) -> str:
    target = transition.get("to")
    return str(target.get("name")) if isinstance(target, Mapping) else str(transition.get("name"))


def _unreachable(step: Step, wanted: str, current: str, transitions: list[Mapping[str, Any]]) -> Outcome:
    reachable = ", ".join(sorted({_target(each) for each in transitions})) or "none"
    detail = (
        f"Jira's workflow does not lead from “{current}” to “{wanted}”. Reachable now: {reachable}. "
        "Map the status to one of these, or move the issue by hand and try again."
    )
    return Outcome(Result.REJECTED, Failure.DATA, code="no_transition", detail=detail, request=as_sent(step))


def _no_status(body: Any) -> str | None:
    try:
        return None if body["fields"]["status"]["name"] else "The issue has no status."
    except (TypeError, KeyError):
        return "Jira answered without the issue's status."


def _no_transitions(body: Any) -> str | None:
    found = body.get("transitions") if isinstance(body, Mapping) else None
    return None if isinstance(found, list) else "Jira answered without a list of transitions."
