from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.outcomes import (
    LONGEST_WAIT,
    Failure,
    Outcome,
    Phase,
    Result,
    classify_answer,
    classify_failure,
    retry_after,
)

NOW = datetime(2025, 11, 21, 12, 0, 0, tzinfo=UTC)


def answer(
    status: int,
    headers: dict[str, str] | None = None,
    *,
    repeatable: bool = False,
    success: tuple[int, ...] = (),
    unrecoverable: tuple[int, ...] = (),
    body_failure: str | None = None,
) -> Outcome:
    return classify_answer(
        status,
        headers or {},
        repeatable=repeatable,
        success=frozenset(success),
        unrecoverable=frozenset(unrecoverable),
        body_failure=body_failure,
        now=NOW,
    )


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize(
    ("status", "result", "failure"),
    [
        (200, Result.CONFIRMED, None),
        (201, Result.CONFIRMED, None),
        (204, Result.CONFIRMED, None),
        (301, Result.REJECTED, Failure.CONFIGURATION),
        (302, Result.REJECTED, Failure.CONFIGURATION),
        (304, Result.REJECTED, Failure.CONFIGURATION),
        (308, Result.REJECTED, Failure.CONFIGURATION),
        (400, Result.REJECTED, Failure.DATA),
        (401, Result.REJECTED, Failure.AUTHENTICATION),
        (402, Result.REJECTED, Failure.CONFIGURATION),
        (403, Result.REJECTED, Failure.PERMISSION),
        (404, Result.REJECTED, Failure.DATA),
        (405, Result.REJECTED, Failure.CONFIGURATION),
        (407, Result.REJECTED, Failure.CONFIGURATION),
        (408, Result.NOT_EXECUTED, Failure.TRANSIENT),
        (409, Result.REJECTED, Failure.DATA),
        (410, Result.REJECTED, Failure.CONFIGURATION),
        (412, Result.REJECTED, Failure.DATA),
        (413, Result.REJECTED, Failure.DATA),
        (415, Result.REJECTED, Failure.CONFIGURATION),
        (422, Result.REJECTED, Failure.DATA),
        (423, Result.REJECTED, Failure.TRANSIENT),
        (425, Result.NOT_EXECUTED, Failure.TRANSIENT),
        (429, Result.NOT_EXECUTED, Failure.RATE_LIMITED),
        (499, Result.REJECTED, Failure.DATA),
        (501, Result.REJECTED, Failure.CONFIGURATION),
        (505, Result.REJECTED, Failure.CONFIGURATION),
    ],
)
def test_status_decides_whatever_the_request(
    status: int, result: Result, failure: Failure | None, repeatable: bool
) -> None:
    outcome = answer(status, repeatable=repeatable)

    assert (outcome.result, outcome.failure, outcome.status) == (result, failure, status)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 520, 522, 599])
def test_server_error_is_unknown_unless_repeatable(status: int) -> None:
    once, again = answer(status), answer(status, repeatable=True)

    assert (once.result, once.failure) == (Result.UNKNOWN, Failure.UNKNOWN)
    assert (again.result, again.failure) == (Result.REJECTED, Failure.TRANSIENT)


def test_503_with_retry_after_was_not_executed() -> None:
    outcome = answer(503, {"Retry-After": "30"})

    assert (outcome.result, outcome.failure) == (Result.NOT_EXECUTED, Failure.RATE_LIMITED)
    assert outcome.retry_after == 30


def test_503_with_unreadable_retry_after_was_not_executed() -> None:
    outcome = answer(503, {"Retry-After": "soon"})

    assert (outcome.result, outcome.retry_after) == (Result.NOT_EXECUTED, None)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_retry_after_cannot_undo_other_errors(status: int) -> None:
    outcome = answer(status, {"Retry-After": "30"})

    assert (outcome.result, outcome.retry_after) == (Result.UNKNOWN, 30)


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "60"}, {"X-RateLimit-Remaining": "0"}, {"RateLimit-Remaining": "0"}]
)
def test_403_that_throttles_is_no_missing_right(headers: dict[str, str]) -> None:
    outcome = answer(403, headers)

    assert (outcome.result, outcome.failure) == (Result.NOT_EXECUTED, Failure.RATE_LIMITED)


def test_403_with_remaining_calls_is_missing_right() -> None:
    assert answer(403, {"X-RateLimit-Remaining": "12"}).failure is Failure.PERMISSION


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("Retry-After", "17", 17),
        ("retry-after", " 1.5 ", 1.5),
        ("RETRY-AFTER", "0", 0),
        ("Retry-After", "-5", 0),
        ("Retry-After", "Fri, 21 Nov 2025 12:00:40 GMT", 40),
        ("Retry-After", "Fri, 21 Nov 2025 11:00:00 GMT", 0),
        ("Retry-After", "Friday, 21-Nov-25 12:00:40 GMT", 40),
        ("Retry-After", "Fri Nov 21 12:00:40 2025", 40),
        ("Retry-After", "999999999", LONGEST_WAIT),
        ("Retry-After", "inf", None),
        ("Retry-After", "nan", None),
        ("Retry-After", "later", None),
        ("Retry-After", "", None),
        ("X-RateLimit-Reset", "1763726425", 25),
        ("X-RateLimit-Reset", "1763726425000", 25),
        ("X-RateLimit-Reset", "45", 45),
        ("X-RateLimit-Reset", "2025-11-21T12:01Z", 60),
        ("X-RateLimit-Reset", "2025-11-21T13:00:10+01:00", 10),
        ("X-Rate-Limit-Reset", "8", 8),
        ("RateLimit-Reset", "9", 9),
        ("X-Other", "9", None),
    ],
)
def test_wait_is_read_from_headers(header: str, value: str, seconds: float | None) -> None:
    assert answer(429, {header: value}).retry_after == seconds


def test_unreadable_retry_after_falls_to_reset() -> None:
    assert retry_after({"Retry-After": "?", "X-RateLimit-Reset": "5"}, NOW) == 5


@given(st.text(), st.text())
def test_any_header_gives_bounded_wait(name: str, value: str) -> None:
    for header in (name, "Retry-After", "X-RateLimit-Reset"):
        wait = retry_after({header: value}, NOW)

        assert wait is None or 0 <= wait <= LONGEST_WAIT


@given(st.integers(100, 999), st.booleans())
def test_only_success_is_confirmed(status: int, repeatable: bool) -> None:
    outcome = answer(status, repeatable=repeatable)

    assert outcome.confirmed == (200 <= status < 300)
    assert (outcome.failure is None) == outcome.confirmed


@pytest.mark.parametrize(
    ("status", "success", "confirmed"),
    [(201, (201,), True), (409, (201, 409), True), (304, (200, 304), True), (202, (200, 202), True)],
)
def test_own_success_codes_confirm(status: int, success: tuple[int, ...], confirmed: bool) -> None:
    assert answer(status, success=success).confirmed is confirmed


def test_success_code_off_the_list_is_unconfirmed() -> None:
    once, again = answer(202, success=(201,)), answer(202, success=(201,), repeatable=True)

    assert once.result is Result.UNKNOWN
    assert (again.result, again.failure) == (Result.REJECTED, Failure.DATA)


def test_failure_body_on_create_is_unknown() -> None:
    outcome = answer(200, body_failure="status: error")

    assert (outcome.result, outcome.failure) == (Result.UNKNOWN, Failure.UNKNOWN)
    assert (outcome.code, outcome.detail) == ("failure_body", "status: error")


def test_failure_body_on_update_is_data() -> None:
    outcome = answer(200, body_failure="status: error", repeatable=True)

    assert (outcome.result, outcome.failure) == (Result.REJECTED, Failure.DATA)


@pytest.mark.parametrize("status", [400, 401, 408, 429, 500, 503])
@pytest.mark.parametrize("repeatable", [True, False])
def test_unrecoverable_code_is_held(status: int, repeatable: bool) -> None:
    outcome = answer(status, {"Retry-After": "1"}, unrecoverable=(status,), repeatable=repeatable)

    assert (outcome.result, outcome.failure) == (Result.REJECTED, Failure.DATA)


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("dns", Failure.TRANSIENT),
        ("refused", Failure.TRANSIENT),
        ("unreachable", Failure.TRANSIENT),
        ("connect_timeout", Failure.TRANSIENT),
        ("tls", Failure.TRANSIENT),
        ("reset", Failure.TRANSIENT),
        ("deadline", Failure.TRANSIENT),
        ("certificate", Failure.CONFIGURATION),
        ("blocked_address", Failure.CONFIGURATION),
        ("bad_url", Failure.CONFIGURATION),
        ("bad_request", Failure.DATA),
    ],
)
def test_failure_before_sending_is_not_sent(reason: str, failure: Failure, repeatable: bool) -> None:
    outcome = classify_failure(Phase.CONNECT, reason, "why", repeatable=repeatable)

    assert (outcome.result, outcome.failure) == (Result.NOT_SENT, failure)
    assert (outcome.code, outcome.detail) == (reason, "why")


@pytest.mark.parametrize("phase", [Phase.SEND, Phase.RECEIVE])
@pytest.mark.parametrize(
    "reason", ["reset", "read_timeout", "write_timeout", "deadline", "bad_answer", "body_too_large"]
)
def test_failure_after_sending_is_unknown(phase: Phase, reason: str) -> None:
    outcome = classify_failure(phase, reason, "why", repeatable=False)

    assert (outcome.result, outcome.failure) == (Result.UNKNOWN, Failure.UNKNOWN)


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("reset", Failure.TRANSIENT),
        ("read_timeout", Failure.TRANSIENT),
        ("deadline", Failure.TRANSIENT),
        ("bad_answer", Failure.TRANSIENT),
        ("body_too_large", Failure.CONFIGURATION),
    ],
)
def test_failure_of_repeatable_request_is_retried(reason: str, failure: Failure) -> None:
    outcome = classify_failure(Phase.RECEIVE, reason, "why", repeatable=True)

    assert (outcome.result, outcome.failure) == (Result.REJECTED, failure)
