"""How states look: one word, one colour, one icon, and what they mean. The same on every page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.safestring import SafeString

from conversations.models import (
    FILE_KEPT,
    REPLACED,
    Delivery,
    DeliveryState,
    HoldReason,
    Message,
    MessageState,
    Participant,
    ReplacedTicket,
    Replay,
    ReplayFinding,
    ReplayState,
)
from endpoints.admin import gate_words
from endpoints.models import EndpointGate
from oneio.admin import display
from oneio.admin.display import Tone


@dataclass(frozen=True, slots=True)
class Look:
    """A state's word, colour and icon; `meaning` is shown on hover where there is nothing better."""

    word: str
    tone: Tone
    icon: str
    meaning: str = ""
    struck: bool = False


MESSAGES: dict[str, Look] = {
    MessageState.RECEIVED: Look("Received", "blue", "inbox", "Stored safely; its rules are looked for next."),
    MessageState.ROUTED: Look("Routed", "green", "check_circle", "At least one rule matched."),
    MessageState.UNMATCHED: Look(
        "No rule", "grey", "block", "No rule is for this message. Nothing was sent."
    ),
    MessageState.PROCESSED: Look(
        "Processed", "grey", "task_alt", "Its rules set variables and send nothing."
    ),
    MessageState.DROPPED: Look("Dropped", "grey", "filter_alt", "A rule says that this is not to be sent."),
    MessageState.DUPLICATE: Look("Duplicate", "grey", "content_copy", "The sender had sent it before."),
    MessageState.ECHO: Look(
        "Echo", "grey", "replay", "It tells only what we wrote ourselves. Nothing was sent."
    ),
    MessageState.TEST: Look("Test", "grey", "science", "A test message. Nothing was sent."),
    MessageState.FAULTY: Look("Needs you", "red", "error", "The message could not be understood."),
    MessageState.QUARANTINED: Look("Needs you", "red", "gpp_maybe", "It stopped the worker three times."),
    MessageState.HELD: Look("Needs you", "red", "error", "Its rules could not be worked out."),
}
DELIVERIES: dict[str, Look] = {
    DeliveryState.DELAYED: Look("Delayed", "blue", "schedule", "Its rule says to wait before it is sent."),
    DeliveryState.QUEUED: Look("Waiting", "blue", "hourglass_empty"),
    DeliveryState.SENDING: Look("Sending", "blue", "send", "A request is under way."),
    DeliveryState.VERIFYING: Look(
        "Checking", "amber", "help", "We do not know whether it arrived; the target is being asked."
    ),
    DeliveryState.DELIVERED: Look("Delivered", "green", "check_circle"),
    DeliveryState.HELD: Look("Needs you", "red", "error"),
    DeliveryState.SKIPPED: Look(
        "Skipped", "grey", "skip_next", "A person let later ones pass it.", struck=True
    ),
    DeliveryState.SUPERSEDED: Look(
        "Superseded", "grey", "layers", "A newer update carries its changes.", struck=True
    ),
    DeliveryState.CANCELLED: Look("Cancelled", "grey", "cancel", "A person cancelled it.", struck=True),
}
REPLAYS: dict[str, tuple[Tone, str]] = {
    ReplayState.PLANNING: ("blue", "hourglass_empty"),
    ReplayState.PLANNED: ("amber", "list_alt"),
    ReplayState.RUNNING: ("blue", "send"),
    ReplayState.DONE: ("green", "check_circle"),
    ReplayState.CANCELLED: ("grey", "cancel"),
}
FINDINGS: dict[str, tuple[Tone, str]] = {
    ReplayFinding.SEND: ("blue", "send"),
    ReplayFinding.DUPLICATE: ("amber", "content_copy"),
    ReplayFinding.ANEW: ("red", "add_circle"),
    ReplayFinding.MAPPING: ("red", "error"),
    ReplayFinding.UNREADABLE: ("red", "error"),
}
PROCESSED = {
    REPLACED: "It is about a ticket that has another one in its place by now. Nothing was sent.",
    FILE_KEPT: "No rule sends this file on. It is kept with the conversation.",
}
"""What it means to be processed for another reason than a rule that sends nothing."""
RETRYING = Look("Retrying", "amber", "autorenew")


def message_chip(message: Message) -> SafeString:
    """The state of a received message."""
    look = MESSAGES[message.state]
    return display.chip(look.word, look.tone, look.icon, meaning_of(message), struck=look.struck)


def meaning_of(message: Message) -> str:
    """What the state of a received message means."""
    reasons = PROCESSED if message.state == MessageState.PROCESSED else {}
    return reasons.get(message.reason, MESSAGES[message.state].meaning)


def delivery_look(delivery: Delivery) -> Look:
    """How a delivery looks: one that waits after a failed try is retrying."""
    retrying = delivery.state == DeliveryState.QUEUED and delivery.tries > 0
    return RETRYING if retrying else DELIVERIES[delivery.state]


def delivery_chip(delivery: Delivery, gate: EndpointGate | None = None, arrived_as: str = "") -> SafeString:
    """The state of a delivery, with why on hover. `gate` is that of its endpoint, where it is known."""
    look = delivery_look(delivery)
    title = _meaning(delivery, look, gate, arrived_as)
    return display.chip(look.word, look.tone, look.icon, title, struck=look.struck)


def replay_chip(replay: Replay) -> SafeString:
    """The state of a replay."""
    tone, icon = REPLAYS[replay.state]
    return display.chip(replay.get_state_display(), tone, icon)


def finding_chip(finding: str) -> SafeString:
    """What sending something once more would do."""
    tone, icon = FINDINGS.get(finding, ("grey", "block"))
    return display.chip(ReplayFinding(finding).label, tone, icon)


def _meaning(delivery: Delivery, look: Look, gate: EndpointGate | None, arrived_as: str) -> str:
    exact = timezone.localtime(delivery.state_since).strftime("%Y-%m-%d %H:%M:%S")
    if delivery.state == DeliveryState.DELIVERED:
        return f"Arrived at {exact}" + (f" as {arrived_as}" if arrived_as else "")
    if delivery.state == DeliveryState.HELD:
        return f"{HoldReason(delivery.hold_reason).label}, since {exact}. Open it to see what to do."
    if look is RETRYING:
        return f"Try {delivery.tries + 1} {display.relative(delivery.due_at)}. {_obstacle(gate)}".strip()
    if delivery.state == DeliveryState.QUEUED:
        return _obstacle(gate) or "Waits for its turn."
    if delivery.reason:
        return f"{delivery.get_reason_display()}. Since {exact}."
    return f"{look.meaning} Since {exact}."


def _obstacle(gate: EndpointGate | None) -> str:
    return gate_words.obstacle(gate, timezone.now()) if gate else ""


def number_of(
    delivery: Delivery, participants: Iterable[Participant], replaced: Iterable[ReplacedTicket]
) -> Participant | ReplacedTicket | None:
    """The ticket at the delivery's target, if it is known: for what came before a ticket took another's
    place, the one of then."""
    then = [
        row for row in replaced if row.endpoint_id == delivery.endpoint_id and row.delivery_id > delivery.pk
    ]
    if then:
        return min(then, key=lambda row: row.delivery_id)
    return next((row for row in participants if row.endpoint_id == delivery.endpoint_id), None)


def waited(moment: datetime) -> str:
    """How long something has been so."""
    return display.duration(timezone.now() - moment)
