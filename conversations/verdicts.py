"""Decides what follows from an outcome: pure, no clock and no database.

Every try of a delivery ends in one verdict: done, again later, look whether it arrived, or a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from conversations.models import HoldReason
from endpoints.outcomes import Failure, Found, Outcome, Result, Verification

BACKOFF_FIRST_SECONDS = 2.0
BACKOFF_MOST_SECONDS = 3600.0
GIVE_UP_AFTER = timedelta(days=3)
RATE_LIMIT_DEFAULT_SECONDS = 30.0
VERIFY_FIRST_SECONDS = 1.0
VERIFY_MOST_SECONDS = 30.0

Jitter = Callable[[float], float]
"""A number between 0 and its argument."""


class Next(StrEnum):
    """What becomes of the delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    VERIFY = "verify"
    HOLD = "hold"


class GateNote(StrEnum):
    """What the endpoint's gate is to be told."""

    NOTHING = "nothing"
    SUCCESS = "success"
    FAILURE = "failure"
    ANSWER = "answer"
    THROTTLE = "throttle"
    REFUSAL = "refusal"
    CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of the delivery whose try ended."""

    now: datetime
    tries: int
    checks: int
    first_tried_at: datetime
    in_doubt_since: datetime | None
    repeatable: bool
    settles_in: timedelta
    resend_unknown: bool
    sent_again: bool = False
    unrecoverable: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`delay` in seconds until the next try or look-up; `spend` whether this try counts."""

    next: Next
    gate: GateNote = GateNote.NOTHING
    delay: float = 0.0
    hold_reason: HoldReason | None = None
    spend: bool = True
    possible_duplicate: bool = False


def after_send(outcome: Outcome, case: Case, jitter: Jitter) -> Verdict:
    """The verdict on a request that was sent, or was to be sent."""
    if outcome.confirmed:
        return Verdict(Next.DELIVERED, GateNote.SUCCESS)
    if case.unrecoverable:
        return Verdict(Next.HOLD, hold_reason=HoldReason.UNRECOVERABLE)
    if outcome.result is Result.UNKNOWN and not case.repeatable:
        return Verdict(Next.VERIFY, GateNote.FAILURE, delay=VERIFY_FIRST_SECONDS)
    return _by_failure(outcome, case, jitter)


def after_verify(verification: Verification, case: Case, jitter: Jitter) -> Verdict:
    """The verdict on a look-up for an effect that may or may not be there."""
    if verification.found is Found.YES:
        return Verdict(Next.DELIVERED, GateNote.SUCCESS)
    if verification.found is Found.UNANSWERABLE:
        if case.resend_unknown and not case.sent_again:
            return Verdict(Next.RETRY, possible_duplicate=True)
        return Verdict(Next.HOLD, hold_reason=HoldReason.UNKNOWN)
    if verification.found is Found.FAILED:
        return _look_up_failed(verification.outcome, case, jitter)
    doubt = case.in_doubt_since or case.now
    if case.now - doubt < case.settles_in:
        return Verdict(Next.VERIFY, delay=_verify_delay(case.checks))
    return Verdict(Next.RETRY)


def after_fetch(outcome: Outcome, case: Case, jitter: Jitter) -> Verdict:
    """The verdict where a file could not be had from its source: the target's gate hears nothing of it."""
    if outcome.failure in (Failure.DATA, Failure.PERMISSION, Failure.CONFIGURATION):
        return Verdict(Next.HOLD, hold_reason=HoldReason.NO_FILE)
    return replace(_retry(case, jitter), gate=GateNote.NOTHING)


def _by_failure(outcome: Outcome, case: Case, jitter: Jitter) -> Verdict:
    match outcome.failure:
        case Failure.RATE_LIMITED:
            wait = outcome.retry_after if outcome.retry_after is not None else RATE_LIMIT_DEFAULT_SECONDS
            return Verdict(Next.RETRY, GateNote.THROTTLE, delay=wait, spend=False)
        case Failure.AUTHENTICATION:
            return Verdict(Next.RETRY, GateNote.CREDENTIALS, spend=False)
        case Failure.PERMISSION:
            return Verdict(Next.HOLD, GateNote.REFUSAL, hold_reason=HoldReason.PERMISSION)
        case Failure.DATA | Failure.CONFIGURATION:
            note = GateNote.ANSWER if outcome.status else GateNote.NOTHING
            return Verdict(Next.HOLD, note, hold_reason=HoldReason.REFUSED)
        case Failure.INTERNAL:
            return Verdict(Next.HOLD, hold_reason=HoldReason.INTERNAL)
    return _retry(case, jitter)


def _retry(case: Case, jitter: Jitter) -> Verdict:
    if case.now - case.first_tried_at >= GIVE_UP_AFTER:
        return Verdict(Next.HOLD, GateNote.FAILURE, hold_reason=HoldReason.EXHAUSTED)
    return Verdict(Next.RETRY, GateNote.FAILURE, delay=jitter(backoff_ceiling(case.tries)))


def _look_up_failed(outcome: Outcome | None, case: Case, jitter: Jitter) -> Verdict:
    """The question failed, not the delivery: whatever the reason, it is asked again."""
    if outcome is not None and outcome.failure is Failure.AUTHENTICATION:
        return Verdict(Next.VERIFY, GateNote.CREDENTIALS, delay=VERIFY_FIRST_SECONDS)
    if outcome is not None and outcome.failure is Failure.RATE_LIMITED:
        wait = outcome.retry_after if outcome.retry_after is not None else RATE_LIMIT_DEFAULT_SECONDS
        return Verdict(Next.VERIFY, GateNote.THROTTLE, delay=wait)
    if case.now - case.first_tried_at >= GIVE_UP_AFTER:
        return Verdict(Next.HOLD, hold_reason=HoldReason.UNKNOWN)
    delay = max(VERIFY_FIRST_SECONDS, jitter(backoff_ceiling(case.checks)))
    return Verdict(Next.VERIFY, GateNote.FAILURE, delay=delay)


def backoff_ceiling(tries: int) -> float:
    """The longest wait in seconds after `tries` tries; the real one is drawn between 0 and it."""
    return min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** min(tries, 30))


def _verify_delay(checks: int) -> float:
    return min(VERIFY_MOST_SECONDS, VERIFY_FIRST_SECONDS * 2.0 ** min(checks, 30))
