"""What a decision knew beside the message itself, kept small, so that it can be explained and made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from endpoints.canonical import CanonicalMessage, decode_attributes, encode_attributes
from routing.compiled import RoutingRule
from routing.context import FoldedNames
from routing.decision import Facts
from routing.delays import Situation
from routing.files import CarriedFile

TICKET_PARTS = ("exists", "external_id", "number", "link")


def to_json(facts: Facts, *, with_participants: bool) -> dict[str, Any]:
    """The facts that cannot be found out later, as plain JSON types; what is empty is left out.

    `with_participants`: also what is known of the conversation's other tickets, for rules that ask.
    """
    told = {
        "changed": encode_attributes(facts.changed),
        "comments": [facts.message.comments.index(comment) for comment in facts.new_comments],
        "tickets": sorted(facts.tickets),
        "variables": encode_attributes(facts.variables),
        "state": encode_attributes(facts.state),
        "internal": facts.keeps_internal,
        "participants": _participants(facts) if with_participants else {},
        "situation": _situation(facts.situation),
        "files": [asdict(file) for file in facts.files],
        "earlier_files": [asdict(file) for file in facts.earlier_files],
        "files_sent": sorted(facts.files_sent),
        "lookups": {str(rule): encode_attributes(found) for rule, found in facts.lookups.items()},
    }
    return {name: part for name, part in told.items() if part}


def from_json(
    told: Mapping[str, Any],
    message: CanonicalMessage,
    received_at: datetime,
    numbers: Callable[[RoutingRule], Mapping[str, int]] | None = None,
    participants: Mapping[str, Mapping[str, Any]] | None = None,
) -> Facts:
    """The facts of the decision again. `participants` stand in where none were kept."""
    kept = {slug: _ticket(one) for slug, one in told.get("participants", {}).items()}
    return Facts(
        message=message,
        changed=decode_attributes(told.get("changed", {})),
        new_comments=tuple(message.comments[place] for place in told.get("comments", [])),
        tickets=frozenset(told.get("tickets", [])),
        variables=decode_attributes(told.get("variables", {})),
        received_at=received_at,
        participants=kept or participants or {},
        state=decode_attributes(told.get("state", {})),
        keeps_internal=told.get("internal", False),
        situation=_situation_again(told.get("situation"), received_at),
        numbers=numbers,
        files=tuple(CarriedFile(**file) for file in told.get("files", [])),
        earlier_files=tuple(CarriedFile(**file) for file in told.get("earlier_files", [])),
        files_sent=frozenset((endpoint, part) for endpoint, part in told.get("files_sent", [])),
        lookups={int(rule): decode_attributes(one) for rule, one in told.get("lookups", {}).items()},
    )


def _participants(facts: Facts) -> dict[str, Any]:
    return {
        slug: {name: one[name] for name in TICKET_PARTS}
        | {"attributes": encode_attributes(dict(one["attributes"]))}
        for slug, one in facts.participants.items()
    }


def _ticket(told: Mapping[str, Any]) -> dict[str, Any]:
    return {**told, "attributes": FoldedNames(decode_attributes(told["attributes"]))}


def _situation(situation: Situation | None) -> dict[str, Any]:
    if situation is None:
        return {}
    return {
        "now": situation.now.isoformat(),
        "identified": sorted(situation.identified),
        "delayed": sorted(situation.delayed),
    }


def _situation_again(told: Mapping[str, Any] | None, received_at: datetime) -> Situation | None:
    if told is None:
        return None
    now = datetime.fromisoformat(told["now"])
    return Situation(now, received_at, frozenset(told["identified"]), frozenset(told["delayed"]))
