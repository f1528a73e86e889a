"""Helps to connect a system: steps that tick themselves when they are seen to work, and a sample to paste."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from endpoints.admin import gate_words
from endpoints.models import Endpoint
from oneio.admin.base import decisions_on

ACCEPTED = "Tested the credentials: accepted"
"""How a test of the credentials that went well is noted; a step is ticked by it."""
SAMPLES: dict[str, dict[str, Any]] = {
    "servicenow": {
        "entity_type": "incident",
        "operation": "insert",
        "sys_id": "00000000000000000000000000000001",
    },
    "jira": {
        "webhookEvent": "jira:issue_updated",
        "issue": {"id": "1", "key": "TEST-1", "fields": {"summary": "A test of the connection"}},
    },
}
ANY_SAMPLE = {"ticket": {"id": "TEST-1", "subject": "A test of the connection"}}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of an endpoint by the floor above: what waits, and when it first told us something."""

    waiting: int = 0
    oldest: datetime | None = None
    heard: bool = False
    ticket: bool = False
    routed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of connecting a system: what is reached by it, how, and whether it was seen to work."""

    title: str
    to_do: str
    done: bool


def _nothing_seen(request: HttpRequest, endpoint: Endpoint) -> Evidence:
    return Evidence()


evidence: Callable[[HttpRequest, Endpoint], Evidence] = _nothing_seen
"""Tells what was seen; set by the floor that knows messages."""


def steps(endpoint: Endpoint, seen: Evidence) -> list[Step]:
    """The steps to connect a system of this type."""
    name = gate_words.kind_label(endpoint.kind)
    return [
        Step(
            f"Our user can log in to {name}",
            "Enter its user and password below, save, then choose Test credentials.",
            _logs_in(endpoint),
        ),
        Step(
            f"{name} has a password to post with",
            "Choose Generate password below, copy it, and save.",
            endpoint.receiver_logins.filter(valid_until=None).exists(),
        ),
        *_heard(endpoint.kind, name, seen),
        Step(
            "A rule has taken its first ticket",
            "Publish a rule from this endpoint, then change a ticket that fits it.",
            seen.routed,
        ),
    ]


def sample(endpoint: Endpoint) -> dict[str, str]:
    """A first message to send, as a command and as fields to copy."""
    login = endpoint.receiver_logins.filter(valid_until=None).first()
    address = f"{settings.PUBLIC_URL}{endpoint.environment.receiver_path}"
    body = json.dumps(SAMPLES.get(endpoint.kind, ANY_SAMPLE))
    username = login.username if login else "USERNAME"
    return {
        "address": address,
        "username": username,
        "body": body,
        "curl": "\n".join(
            [
                f"curl -u '{username}:PASSWORD' \\",
                "  -H 'Content-Type: application/json' \\",
                f"  -d '{body}' \\",
                f"  {address}",
            ]
        ),
    }


def _logs_in(endpoint: Endpoint) -> bool:
    gate = getattr(endpoint, "gate", None)
    if gate is not None and gate.last_success_at:
        return True
    return decisions_on(endpoint).filter(change_message=ACCEPTED).exists()


def _heard(kind: str, name: str, seen: Evidence) -> list[Step]:
    if kind == "servicenow":
        return [
            Step(
                "Its REST message reaches us",
                "Make the REST message with the values under Sample message, and choose Test in ServiceNow.",
                seen.heard,
            ),
            Step(
                "Its business rule sends tickets",
                "Paste the business rule of the guide, then save an incident that it is for.",
                seen.ticket,
            ),
        ]
    how = "Add the webhook in Jira" if kind == "jira" else "Let it post to the receiver address"
    return [Step(f"{name} reaches us", f"{how}, then change a ticket there.", seen.heard)]
