"""Says in plain words what happened to a delivery, what it means and what to do. Never quotes a payload."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from conversations.models import Attempt, Delivery, DeliveryState, HoldReason, Reason
from endpoints.admin import gate_words
from endpoints.models import EndpointGate
from endpoints.outcomes import Failure, Result
from oneio.admin import display


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happened, what it means, what to do: one or two sentences each."""

    happened: str
    means: str
    to_do: str


_HELD: dict[str, Explanation] = {
    HoldReason.REFUSED: Explanation(
        "{target} answered and refused what we sent{status}.",
        "The ticket there is unchanged. Later messages of this ticket wait behind this one; nothing is lost.",
        "Read what {target} said below. Correct the rule or the value in the translation table, then Retry.",
    ),
    HoldReason.PERMISSION: Explanation(
        "{target} does not let our user do this{status}.",
        "Usually a record rule or a missing role for this one ticket. Later messages of it wait.",
        "Give our integration user the right in {target}, then Retry.",
    ),
    HoldReason.MAPPING: Explanation(
        "The rule “{rule}” could not make the request: a mapping failed.",
        "Nothing was sent to {target}. Later messages of this ticket wait.",
        "Correct what is named below, then Retry. A table's new row counts at once, a rule once published.",
    ),
    HoldReason.UNKNOWN: Explanation(
        "The connection broke before {target} answered, and {target} cannot be asked whether it arrived.",
        "It may have been done. Sending it again could make it twice.",
        "Look at the ticket in {target}. If it is there, Skip; if not, Retry.",
    ),
    HoldReason.UNRECOVERABLE: Explanation(
        "{target} answered with a code{status} that this endpoint lists as unrecoverable.",
        "It is not tried again by itself. Later messages of this ticket wait.",
        "Correct the cause, then Retry; or Skip if the message no longer matters.",
    ),
    HoldReason.EXHAUSTED: Explanation(
        "{target} could not be reached for three days.",
        "All retries failed. The message is kept; later ones of this ticket wait.",
        "Check that {target} is up with Test connection on its endpoint, then Retry.",
    ),
    HoldReason.CRASHED: Explanation(
        "Working on this delivery stopped the worker three times.",
        "It is kept apart so that other tickets go on.",
        "Report it to whoever runs oneio, with the number of this delivery. Retry after an update.",
    ),
    HoldReason.INTERNAL: Explanation(
        "oneio itself failed on this delivery.",
        "This is a fault of ours, not of {target}. Later messages of this ticket wait.",
        "Report it to whoever runs oneio, with the number of this delivery, then Retry.",
    ),
    HoldReason.LOOP: Explanation(
        "More than 20 deliveries to this ticket within 5 minutes.",
        "Two systems seem to overwrite each other's values for ever. Sending stopped to protect them.",
        "Compare the values that go back and forth, correct the rules, then Skip or Retry.",
    ),
    HoldReason.NO_TICKET: Explanation(
        "This is an update, but {target} has no ticket of this conversation.",
        "Its create was skipped or cancelled, or never matched a rule.",
        "Retry the create if there is one in the conversation; otherwise Skip.",
    ),
    HoldReason.EXPIRED: Explanation(
        "What it carried was deleted because it was kept long enough (retention).",
        "It cannot be sent any more. Later messages of this ticket wait.",
        "Skip it, and let the sender send the ticket again if {target} still needs it.",
    ),
    HoldReason.NO_FILE: Explanation(
        "The file could not be fetched from where it is.",
        "{target} did not get it. Later messages of this ticket wait.",
        "Read below what its system said. Correct that, then Retry; or Skip to go on without the file.",
    ),
    HoldReason.PERSON: Explanation(
        "A person held this delivery.",
        "Later messages of this ticket wait behind it.",
        "Retry to send it, or Skip to let the later ones pass.",
    ),
}
_GONE = Explanation(
    "{target} does not find what this is about{status}.",
    "Most often the ticket was deleted or moved there, or our user may not see it. Later messages of this"
    " ticket wait behind this one; nothing is lost.",
    "Read what {target} said below. If our user lacks a right, give it, then Retry. If the ticket is gone,"
    " Skip; then Replay the message, planned with New tickets in their place.",
)
_NOT_THERE = (404, 410)
_FAILED: dict[str, tuple[str, str]] = {
    Failure.TRANSIENT: ("{target} did not take it: it was unreachable or had a fault.", "It is tried again."),
    Failure.RATE_LIMITED: ("{target} asked us to slow down.", "It is sent when {target} allows it."),
    Failure.AUTHENTICATION: (
        "{target} rejected our user name or password.",
        "Correct the outbound credentials of the endpoint and test them.",
    ),
    Failure.PERMISSION: ("{target} does not let our user do this.", "Give our user the right in {target}."),
    Failure.DATA: ("{target} refused a value.", "Correct the mapping or the value."),
    Failure.CONFIGURATION: (
        "{target} does not know the address or the table we named.",
        "Check base URL and entity types of the endpoint.",
    ),
    Failure.INTERNAL: ("oneio itself failed.", "Report it to whoever runs oneio."),
    Failure.UNKNOWN: (
        "The connection broke before the answer came.",
        "{target} is asked whether it arrived.",
    ),
}
_RESULTS: dict[str, str] = {
    Result.CONFIRMED: "Done",
    Result.REJECTED: "Refused",
    Result.NOT_SENT: "Not sent",
    Result.NOT_EXECUTED: "Postponed by the target",
    Result.UNKNOWN: "Nobody knows",
}


_STAYS = "It keeps its place: later messages of the ticket to {target} wait behind it; nothing is lost."
_WOKEN = " It is looked at with each message and each confirmation of the conversation."
_ENDED = "It was not sent to {target}, and later ones go on."
_REASONS: dict[str, Explanation] = {
    Reason.INTERNAL_COMMENT: Explanation(
        "This is an internal comment, and internal comments never leave {source}.",
        f"{_ENDED} A comment of unknown visibility counts as internal.",
        "Nothing to do. Who may decide otherwise finds the setting on the endpoint {source}.",
    ),
    Reason.TIME: Explanation(
        "Waits until {until}, because the rule “{rule}” sends it no earlier.",
        _STAYS,
        "Nothing to do. Skip or Cancel if it is not to be sent.",
    ),
    Reason.VARIABLE: Explanation(
        "Waits until a conversation variable has the value that the rule “{rule}” asks for.",
        _STAYS + _WOKEN,
        "If it waits too long, see which rule sets the variable.",
    ),
    Reason.TARGET: Explanation(
        "Waits until the ticket's id at {target} is known, because the rule “{rule}” asks for it.",
        _STAYS + _WOKEN,
        "If it waits too long, see whether the ticket was made at {target}.",
    ),
    Reason.ORDER: Explanation(
        "Waits behind an earlier message of this ticket to {target} that is delayed.", _STAYS, ""
    ),
    Reason.RULE_OFF: Explanation(
        "The rule “{rule}” was switched off, or takes other messages now, while this waited.", _ENDED, ""
    ),
    Reason.RULE_CHANGED: Explanation(
        "When its wait was over, the rule “{rule}” had nothing of it to carry over any more.", _ENDED, ""
    ),
}


def of_delivery(delivery: Delivery, gate: EndpointGate | None, now: datetime) -> Explanation | None:
    """Why a delivery is not there yet; None when nothing needs to be said."""
    target, rule = str(delivery.endpoint), str(delivery.rule)
    if delivery.state == DeliveryState.HELD:
        status = f" (HTTP {delivery.status_code})" if delivery.status_code else ""
        words = _held(delivery)
        filled = (
            part.format(target=target, rule=rule, status=status)
            for part in (words.happened, words.means, words.to_do)
        )
        return Explanation(*filled)
    if delivery.state == DeliveryState.VERIFYING:
        return Explanation(
            f"The connection broke before {target} answered.",
            f"We do not know whether it arrived. {target} is being asked.",
            "Nothing to do; this ends by itself.",
        )
    if delivery.state == DeliveryState.SUPERSEDED:
        return Explanation(
            "A newer update of this ticket came before this one was sent.",
            f"What it changed goes out with delivery #{delivery.superseded_by_id}.",
            "",
        )
    if delivery.reason in _REASONS:
        return _because(delivery)
    if delivery.state == DeliveryState.QUEUED:
        return _waiting(delivery, gate, now)
    return None


def _held(delivery: Delivery) -> Explanation:
    refused = delivery.hold_reason == HoldReason.REFUSED
    return _GONE if refused and delivery.status_code in _NOT_THERE else _HELD[delivery.hold_reason]


def _because(delivery: Delivery) -> Explanation:
    words = _REASONS[delivery.reason]
    names = {
        "source": delivery.message.endpoint,
        "target": delivery.endpoint,
        "rule": delivery.rule,
        "until": timezone.localtime(delivery.due_at).strftime("%Y-%m-%d %H:%M"),
    }
    return Explanation(*(part.format(**names) for part in (words.happened, words.means, words.to_do)))


def of_attempt(attempt: Attempt, target: str) -> tuple[str, str]:
    """What one try came to, and what follows from it."""
    if attempt.ended_at is None:
        return "Under way", ""
    result = _RESULTS.get(attempt.result, attempt.result)
    if attempt.failure not in _FAILED:
        return result, ""
    if (attempt.result, attempt.failure) == (Result.NOT_SENT, Failure.DATA):
        return result, "The rule could not make the request. Correct the mapping or the table."
    if attempt.status_code in _NOT_THERE:
        return result, f"{target} does not find what this is about."
    happened, follows = _FAILED[attempt.failure]
    return result, f"{happened} {follows}".format(target=target)


def _waiting(delivery: Delivery, gate: EndpointGate | None, now: datetime) -> Explanation | None:
    obstacle = gate_words.obstacle(gate, now) if gate else ""
    if obstacle:
        return Explanation(obstacle, "The ticket waits in order; nothing is lost.", "")
    if delivery.tries and delivery.failure in _FAILED:
        happened, _ = _FAILED[delivery.failure]
        again = (
            display.relative(delivery.due_at, now) if delivery.due_at > now + timedelta(seconds=1) else "now"
        )
        return Explanation(
            happened.format(target=delivery.endpoint),
            f"Try {delivery.tries + 1} comes {again}. The ticket waits in order; nothing is lost.",
            "Nothing to do unless it lasts; Retry sends it at once.",
        )
    return None
