"""The error vocabulary: what happened to one request, in words that say what can be done about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from endpoints.canonical import Attributes

LONGEST_WAIT = 24 * 3600.0
"""Seconds: no remote system makes us wait longer than this, whatever its headers say."""


class Phase(StrEnum):
    """How far an exchange got: in CONNECT nothing of the request was sent, later it may have been read."""

    CONNECT = "connect"
    SEND = "send"
    RECEIVE = "receive"


class Result(StrEnum):
    """What we know about the effect at the target."""

    CONFIRMED = "confirmed"
    """It was done."""
    REJECTED = "rejected"
    """The target answered and did not do it."""
    NOT_SENT = "not_sent"
    """No byte of the request reached the target."""
    NOT_EXECUTED = "not_executed"
    """The target said that it has not looked at it (429, 503 with Retry-After)."""
    UNKNOWN = "unknown"
    """It may have been done."""


class Failure(StrEnum):
    """Why it was not confirmed: the class decides who must act."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    DATA = "data"
    CONFIGURATION = "configuration"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RemoteItem:
    """A comment or attachment that we made at the target, by the target's own id."""

    kind: str
    remote_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try came to.

    `detail` may hold the remote system's own words and is treated as payload: stored encrypted only.
    `retry_after` is in seconds. `external_id`, `number` and `link` are set when the target named the
    ticket, also when a later step of the same plan failed. `written` are the attributes (canonical
    names) that the target confirmed.
    """

    result: Result
    failure: Failure | None = None
    status: int | None = None
    code: str = ""
    detail: str = ""
    retry_after: float | None = None
    external_id: str = ""
    number: str = ""
    link: str = ""
    written: Attributes = field(default_factory=dict)
    items: tuple[RemoteItem, ...] = ()
    request: Mapping[str, object] = field(default_factory=dict)
    """The request as sent, without credentials; payload: stored encrypted only."""
    answer: Mapping[str, object] = field(default_factory=dict)
    """What came back, as far as it is kept; payload: stored encrypted only."""

    @property
    def confirmed(self) -> bool:
        """True when the effect is certain."""
        return self.result is Result.CONFIRMED


class Found(StrEnum):
    """The answer to "did it arrive?"."""

    YES = "yes"
    NO = "no"
    UNANSWERABLE = "unanswerable"
    """This system cannot be asked."""
    FAILED = "failed"
    """The question itself failed; ask again later."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a lookup by effect key found."""

    found: Found
    outcome: Outcome | None = None
    """For YES: ids and items as a confirmed outcome. For FAILED: why."""

    @classmethod
    def unanswerable(cls) -> Verification:
        """The system cannot be asked."""
        return cls(Found.UNANSWERABLE)


def classify_answer(
    status: int,
    headers: Mapping[str, str],
    *,
    repeatable: bool,
    success: frozenset[int],
    unrecoverable: frozenset[int],
    body_failure: str | None = None,
    now: datetime,
) -> Outcome:
    """What an HTTP answer says about the effect.

    `headers` has names in any case; `repeatable` means that doing it twice is the same as doing it once;
    an empty `success` means every 2xx. `body_failure` is the failure that a body reports despite a good
    status. `now` has a zone.
    """
    if status in success or (not success and 200 <= status < 300):
        if body_failure is None:
            return Outcome(Result.CONFIRMED, status=status)
        return _unconfirmed(status, repeatable, "failure_body", body_failure)
    if status in unrecoverable:
        return Outcome(Result.REJECTED, Failure.DATA, status, code="unrecoverable_code")
    if 200 <= status < 300:
        return _unconfirmed(status, repeatable, "other_success_code", "")
    return _refused(status, headers, repeatable, retry_after(headers, now))


def classify_failure(phase: Phase, reason: str, message: str, *, repeatable: bool) -> Outcome:
    """What an exchange without an answer says about the effect; `reason` is one of HttpFailure's codes."""
    if phase is Phase.CONNECT:
        failure = _CONNECT_FAILURES.get(reason, Failure.TRANSIENT)
        return Outcome(Result.NOT_SENT, failure, code=reason, detail=message)
    if repeatable and reason == "body_too_large":
        return Outcome(Result.REJECTED, Failure.CONFIGURATION, code=reason, detail=message)
    return _interrupted(repeatable, code=reason, detail=message)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that these answer headers ask us to wait, None when they ask for nothing that can be read."""
    folded = {name.lower(): value.strip() for name, value in headers.items()}
    for name in _RETRY_HEADERS:
        if name in folded and (seconds := _seconds(folded[name], now)) is not None:
            return min(max(seconds, 0.0), LONGEST_WAIT)
    return None


_NOT_LOOKED_AT = frozenset({408, 425})
_REFUSALS: Mapping[int, Failure] = {
    401: Failure.AUTHENTICATION,
    403: Failure.PERMISSION,
    423: Failure.TRANSIENT,
    **dict.fromkeys((402, 405, 406, 407, 410, 411, 415, 421, 426, 501, 505), Failure.CONFIGURATION),
}
_CONNECT_FAILURES: Mapping[str, Failure] = {
    "bad_url": Failure.CONFIGURATION,
    "blocked_address": Failure.CONFIGURATION,
    "certificate": Failure.CONFIGURATION,
    "bad_request": Failure.DATA,
}
_RETRY_HEADERS = ("retry-after", "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_REMAINING_HEADERS = frozenset({"x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining"})
# A number above this is a moment (seconds since 1970), below it a duration; above the next, milliseconds.
_EPOCH_SECONDS = 1e9
_EPOCH_MILLISECONDS = 1e11


def _refused(status: int, headers: Mapping[str, str], repeatable: bool, wait: float | None) -> Outcome:
    if _is_throttled(status, headers):
        return Outcome(Result.NOT_EXECUTED, Failure.RATE_LIMITED, status, retry_after=wait)
    if status in _NOT_LOOKED_AT:
        return Outcome(Result.NOT_EXECUTED, Failure.TRANSIENT, status, retry_after=wait)
    if failure := _REFUSALS.get(status) or _other_refusal(status):
        return Outcome(Result.REJECTED, failure, status)
    return _interrupted(repeatable, status=status, wait=wait)


def _is_throttled(status: int, headers: Mapping[str, str]) -> bool:
    names = {name.lower(): value.strip() for name, value in headers.items()}
    if status == 403:  # some systems throttle with a 403 that looks like a missing right
        return "retry-after" in names or any(names.get(name) == "0" for name in _REMAINING_HEADERS)
    return status == 429 or (status == 503 and "retry-after" in names)


def _other_refusal(status: int) -> Failure | None:
    if 300 <= status < 400:
        return Failure.CONFIGURATION
    return Failure.DATA if 400 <= status < 500 else None


def _unconfirmed(status: int, repeatable: bool, code: str, detail: str) -> Outcome:
    if repeatable:
        return Outcome(Result.REJECTED, Failure.DATA, status, code, detail)
    return Outcome(Result.UNKNOWN, Failure.UNKNOWN, status, code, detail)


def _interrupted(
    repeatable: bool,
    *,
    status: int | None = None,
    code: str = "",
    detail: str = "",
    wait: float | None = None,
) -> Outcome:
    """What is repeatable counts as not done and is sent again; anything else must be looked up first."""
    result, failure = (
        (Result.REJECTED, Failure.TRANSIENT) if repeatable else (Result.UNKNOWN, Failure.UNKNOWN)
    )
    return Outcome(result, failure, status, code, detail, wait)


def _seconds(text: str, now: datetime) -> float | None:
    try:
        number = float(text)
    except ValueError:
        moment = _moment(text)
        return (moment - now).total_seconds() if moment else None
    if not math.isfinite(number):
        return None
    if number > _EPOCH_MILLISECONDS:
        number /= 1000
    return number - now.timestamp() if number > _EPOCH_SECONDS else number


def _moment(text: str) -> datetime | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
