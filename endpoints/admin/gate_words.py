"""Says in plain words what stands between an endpoint and the network."""

from __future__ import annotations

from datetime import datetime

from django.utils.safestring import SafeString

from endpoints.adapters import ADAPTERS
from endpoints.gates import PAUSED_FOR_CREDENTIALS
from endpoints.models import Circuit, Endpoint, EndpointGate
from oneio.admin import display

_PAUSES = {PAUSED_FOR_CREDENTIALS: "it rejected our user name or password"}


def pause_words(gate: EndpointGate) -> str:
    """Why an endpoint is paused."""
    return _PAUSES.get(gate.pause_reason, gate.pause_reason)


def obstacle(gate: EndpointGate, now: datetime) -> str:
    """Why nothing leaves for an endpoint at the moment; empty when it does."""
    name = gate.endpoint.name
    if gate.endpoint.suspended:
        return f"{name} is suspended. Resume it to send what waits."
    if gate.paused_at is not None:
        return f"{name} is paused since {display.relative(gate.paused_at, now)}: {pause_words(gate)}."
    if gate.circuit != Circuit.CLOSED:
        return f"{name} does not answer; one message is tried at a time until it does."
    if gate.closed_until is not None and gate.closed_until > now:
        return f"{name} asked us to wait; sending goes on {display.relative(gate.closed_until, now)}."
    return ""


def chip(endpoint: Endpoint, now: datetime) -> SafeString:
    """Whether messages leave for an endpoint; its gate must be loaded."""
    gate: EndpointGate | None = getattr(endpoint, "gate", None)
    if endpoint.suspended:
        return display.chip("Suspended", "grey", "pause_circle", "It receives; nothing leaves for it.")
    if gate is None:
        return display.chip("New", "grey", "fiber_new", "Nothing was sent to it yet.")
    why = obstacle(gate, now)
    if gate.paused_at is not None:
        return display.chip("Paused", "red", "error", why)
    if gate.circuit != Circuit.CLOSED:
        return display.chip("Not answering", "red", "cloud_off", why)
    if why:
        return display.chip("Slowed down", "amber", "hourglass_empty", why)
    return display.chip("Operational", "green", "check_circle", "Messages leave for it.")


def kind_label(kind: str) -> str:
    """What people call an endpoint type."""
    return ADAPTERS[kind].label if kind in ADAPTERS else kind


def mark(endpoint: Endpoint) -> SafeString:
    """The letter mark of an endpoint: its type's letters, its name on hover."""
    return display.mark(kind_label(endpoint.kind), endpoint.name)
