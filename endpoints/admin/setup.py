"""Helps to connect a system: steps that tick themselves when they are seen to work, and a sample to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest

from endpoints import configs
from endpoints.adapters import ADAPTERS
from endpoints.adapters.base import Package, Receiver
from endpoints.admin import gate_words
from endpoints.models import Endpoint
from oneio.admin.base import decisions_on

ACCEPTED = "Tested the credentials: accepted"
"""How a test of the credentials that went well is noted; a step is ticked by it."""
NO_USERNAME = "USERNAME"


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
        *(
            Step(arrival.title, arrival.to_do, seen.ticket if arrival.ticket else seen.heard)
            for arrival in ADAPTERS[endpoint.kind].arrivals
        ),
        Step(
            "A rule has taken its first ticket",
            "Publish a rule from this endpoint, then change a ticket that fits it.",
            seen.routed,
        ),
    ]


def sample(endpoint: Endpoint) -> dict[str, str]:
    """A first message to send, as a command and as fields to copy."""
    receiver, adapter = receiver_of(endpoint), configs.without_secrets(endpoint)
    body = json.dumps(adapter.sample())
    return {
        "address": receiver.messages,
        "address_goes_to": adapter.address_goes_to,
        "username": receiver.username,
        "body": body,
        "curl": "\n".join(
            [
                f"curl -u {shlex.quote(f'{receiver.username}:PASSWORD')} \\",
                "  -H 'Content-Type: application/json' \\",
                f"  -d {shlex.quote(body)} \\",
                f"  {shlex.quote(receiver.test)}",
            ]
        ),
    }


def package_label(endpoint: Endpoint) -> str:
    """What the system calls the file that makes it post to us; empty where there is none."""
    return ADAPTERS[endpoint.kind].package_label


def package(endpoint: Endpoint, now: datetime) -> Package:
    """The file that makes the system of this endpoint post to us."""
    return configs.without_secrets(endpoint).package(receiver_of(endpoint), now)


def receiver_of(endpoint: Endpoint) -> Receiver:
    """Where and as whom the system of this endpoint posts to us."""
    login = endpoint.receiver_logins.filter(valid_until=None).first()
    address = f"{settings.PUBLIC_URL}{endpoint.environment.receiver_path}"
    return Receiver(address.removesuffix("/messages"), login.username if login else NO_USERNAME)


def _logs_in(endpoint: Endpoint) -> bool:
    gate = getattr(endpoint, "gate", None)
    if gate is not None and gate.last_success_at:
        return True
    return decisions_on(endpoint).filter(change_message=ACCEPTED).exists()
