"""What follows from an outcome: the table of failures, and what holds for all of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.models import HoldReason
from conversations.verdicts import (
    BACKOFF_MOST_SECONDS,
    GIVE_UP_AFTER,
    RATE_LIMIT_DEFAULT_SECONDS,
    VERIFY_FIRST_SECONDS,
    VERIFY_MOST_SECONDS,
    Case,
    GateNote,
    Next,
    Verdict,
    after_send,
    after_verify,
    backoff_ceiling,
)
from endpoints.outcomes import (
    Failure,
    Found,
    Outcome,
    Phase,
    Result,
    Verification,
    classify_answer,
    classify_failure,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CREATE = Case(
    now=NOW,
    tries=0,
    checks=0,
    first_tried_at=NOW,
    in_doubt_since=None,
    repeatable=False,
    settles_in=timedelta(seconds=10),
    resend_unknown=False,
)
UPDATE = replace(CREATE, repeatable=True)
OLD = {"first_tried_at": NOW - GIVE_UP_AFTER}
RESEND = {"resend_unknown": True}
LISTED = {"unrecoverable": True}


def longest(ceiling: float) -> float:
    """Jitter that always draws the ceiling."""
    return ceiling


def answered(status: int, repeatable: bool = False, **headers: str) -> Outcome:
    """The outcome of an HTTP answer, as adapters classify it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    nothing: frozenset[int] = frozenset()
    return classify_answer(
        status, named, repeatable=repeatable, success=nothing, unrecoverable=nothing, now=NOW
    )


def broken(phase: Phase, reason: str, repeatable: bool = False) -> Outcome:
    """The outcome of an exchange without an answer."""
    return classify_failure(phase, reason, "no answer", repeatable=repeatable)


def verdict_on_create(outcome: Outcome, **case: Any) -> Verdict:
    return after_send(outcome, replace(CREATE, **case), longest)


def hold(reason: HoldReason, gate: GateNote = GateNote.NOTHING) -> Verdict:
    return Verdict(Next.HOLD, gate, hold_reason=reason)


def retry(delay: float, gate: GateNote = GateNote.FAILURE, spend: bool = True) -> Verdict:
    return Verdict(Next.RETRY, gate, delay=delay, spend=spend)


LOOK_UP = Verdict(Next.VERIFY, GateNote.FAILURE, delay=VERIFY_FIRST_SECONDS)
DONE = Verdict(Next.DELIVERED, GateNote.SUCCESS)


@pytest.mark.parametrize(
    ("outcome", "case", "expected"),
    [
        # done
        (answered(200), {}, DONE),
        (answered(201), {}, DONE),
        (answered(204), OLD, DONE),
        # not sent, or not looked at: soon again
        (broken(Phase.CONNECT, "dns"), {}, retry(2)),
        (broken(Phase.CONNECT, "refused"), {"tries": 1}, retry(4)),
        (broken(Phase.CONNECT, "timeout"), {"tries": 5}, retry(64)),
        (broken(Phase.CONNECT, "refused"), {"tries": 500}, retry(BACKOFF_MOST_SECONDS)),
        (answered(408), {}, retry(2)),
        (answered(425), {}, retry(2)),
        (answered(423), {}, retry(2)),
        (broken(Phase.CONNECT, "refused"), OLD, hold(HoldReason.EXHAUSTED, GateNote.FAILURE)),
        # told to wait: no try spent, not even after three days
        (answered(429), {}, retry(RATE_LIMIT_DEFAULT_SECONDS, GateNote.THROTTLE, spend=False)),
        (answered(429, retry_after="7"), {}, retry(7, GateNote.THROTTLE, spend=False)),
        (answered(429, retry_after="0"), {}, retry(0, GateNote.THROTTLE, spend=False)),
        (answered(429, retry_after="7"), OLD, retry(7, GateNote.THROTTLE, spend=False)),
        (answered(503, retry_after="90"), {}, retry(90, GateNote.THROTTLE, spend=False)),
        (answered(403, x_ratelimit_remaining="0"), {}, retry(30, GateNote.THROTTLE, spend=False)),
        # credentials and rights
        (answered(401), {}, retry(0, GateNote.CREDENTIALS, spend=False)),
        (answered(403), {}, hold(HoldReason.PERMISSION, GateNote.REFUSAL)),
        # a person must act
        (answered(400), {}, hold(HoldReason.REFUSED, GateNote.ANSWER)),
        (answered(404), {}, hold(HoldReason.REFUSED, GateNote.ANSWER)),
        (answered(409), {}, hold(HoldReason.REFUSED, GateNote.ANSWER)),
        (answered(422), {}, hold(HoldReason.REFUSED, GateNote.ANSWER)),
        (answered(405), {}, hold(HoldReason.REFUSED, GateNote.ANSWER)),
        (answered(302), {}, hold(HoldReason.REFUSED, GateNote.ANSWER)),
        (broken(Phase.CONNECT, "certificate"), {}, hold(HoldReason.REFUSED)),
        (broken(Phase.CONNECT, "blocked_address"), {}, hold(HoldReason.REFUSED)),
        (Outcome(Result.NOT_SENT, Failure.INTERNAL), {}, hold(HoldReason.INTERNAL)),
        (answered(400), LISTED, hold(HoldReason.UNRECOVERABLE)),
        (answered(503), LISTED, hold(HoldReason.UNRECOVERABLE)),
        # nobody can say: look it up, whatever the policy and however late
        (answered(500), {}, LOOK_UP),
        (answered(502), {}, LOOK_UP),
        (answered(503), {}, LOOK_UP),
        (answered(504), {}, LOOK_UP),
        (answered(500), RESEND, LOOK_UP),
        (answered(500), OLD, LOOK_UP),
        (broken(Phase.RECEIVE, "timeout"), {}, LOOK_UP),
        (broken(Phase.SEND, "reset"), {}, LOOK_UP),
    ],
)
def test_try_of_a_create_leads_to(outcome: Outcome, case: dict[str, Any], expected: Verdict) -> None:
    assert verdict_on_create(outcome, **case) == expected


@pytest.mark.parametrize("outcome", [answered(status, repeatable=True) for status in (500, 502, 503, 504)])
def test_broken_update_is_sent_again(outcome: Outcome) -> None:
    assert after_send(outcome, UPDATE, longest) == retry(2)


@pytest.mark.parametrize("phase", [Phase.SEND, Phase.RECEIVE])
def test_interrupted_update_is_sent_again(phase: Phase) -> None:
    assert after_send(broken(phase, "reset", repeatable=True), UPDATE, longest) == retry(2)


def found(answer: Found, outcome: Outcome | None = None, **case: Any) -> Verdict:
    return after_verify(Verification(answer, outcome), replace(CREATE, **case), longest)


JUST_NOW = {"in_doubt_since": NOW - timedelta(seconds=3)}
SETTLED = {"in_doubt_since": NOW - timedelta(seconds=10)}
REFUSED = answered(400)


@pytest.mark.parametrize(
    ("answer", "outcome", "case", "expected"),
    [
        (Found.YES, None, {}, DONE),
        (Found.YES, None, OLD, DONE),
        (Found.NO, None, JUST_NOW, Verdict(Next.VERIFY, delay=1)),
        (Found.NO, None, JUST_NOW | {"checks": 3}, Verdict(Next.VERIFY, delay=8)),
        (Found.NO, None, JUST_NOW | {"checks": 90}, Verdict(Next.VERIFY, delay=VERIFY_MOST_SECONDS)),
        (Found.NO, None, {}, Verdict(Next.VERIFY, delay=1)),
        (Found.NO, None, SETTLED, Verdict(Next.RETRY)),
        (Found.UNANSWERABLE, None, {}, hold(HoldReason.UNKNOWN)),
        (Found.UNANSWERABLE, None, SETTLED, hold(HoldReason.UNKNOWN)),
        (Found.UNANSWERABLE, None, RESEND, Verdict(Next.RETRY, possible_duplicate=True)),
        (Found.UNANSWERABLE, None, RESEND | {"sent_again": True}, hold(HoldReason.UNKNOWN)),
        (Found.FAILED, answered(401), {}, Verdict(Next.VERIFY, GateNote.CREDENTIALS, delay=1)),
        (Found.FAILED, answered(429), {}, Verdict(Next.VERIFY, GateNote.THROTTLE, delay=30)),
        (Found.FAILED, answered(429, retry_after="9"), OLD, Verdict(Next.VERIFY, GateNote.THROTTLE, delay=9)),
        (Found.FAILED, answered(500), SETTLED, Verdict(Next.VERIFY, GateNote.FAILURE, delay=2)),
        (Found.FAILED, answered(500), {"checks": 4}, Verdict(Next.VERIFY, GateNote.FAILURE, delay=32)),
        (Found.FAILED, REFUSED, {}, Verdict(Next.VERIFY, GateNote.FAILURE, delay=2)),
        (Found.FAILED, None, {}, Verdict(Next.VERIFY, GateNote.FAILURE, delay=2)),
        (Found.FAILED, answered(500), OLD, hold(HoldReason.UNKNOWN)),
    ],
)
def test_look_up_leads_to(
    answer: Found, outcome: Outcome | None, case: dict[str, Any], expected: Verdict
) -> None:
    assert found(answer, outcome, **case) == expected


fractions = st.floats(0, 1)
cases = st.builds(
    replace,
    st.just(CREATE),
    tries=st.integers(0, 10_000),
    checks=st.integers(0, 10_000),
    first_tried_at=st.timedeltas(timedelta(0), timedelta(days=9)).map(lambda age: NOW - age),
    in_doubt_since=st.none() | st.timedeltas(timedelta(0), timedelta(days=9)).map(lambda age: NOW - age),
    repeatable=st.booleans(),
    resend_unknown=st.booleans(),
    settles_in=st.timedeltas(timedelta(0), timedelta(hours=1)),
)
waits = st.none() | st.floats(0, 86_400)
outcomes = st.builds(
    Outcome,
    result=st.sampled_from([Result.REJECTED, Result.NOT_SENT, Result.NOT_EXECUTED]),
    failure=st.sampled_from(Failure),
    retry_after=waits,
)


@given(cases, fractions)
def test_retry_waits_within_the_ceiling(case: Case, fraction: float) -> None:
    verdict = after_send(broken(Phase.CONNECT, "refused"), case, lambda ceiling: fraction * ceiling)

    assert verdict.next in {Next.RETRY, Next.HOLD}
    assert 0 <= verdict.delay <= min(backoff_ceiling(case.tries), BACKOFF_MOST_SECONDS)


@given(st.integers(0, 10_000))
def test_ceiling_grows_and_stays_below_an_hour(tries: int) -> None:
    assert 0 < backoff_ceiling(tries) <= backoff_ceiling(tries + 1) <= 3600


@given(cases, st.floats(0, 86_400), fractions)
def test_never_earlier_than_the_target_asked(case: Case, wait: float, fraction: float) -> None:
    asked = Outcome(Result.NOT_EXECUTED, Failure.RATE_LIMITED, 429, retry_after=wait)

    sent = after_send(asked, case, lambda ceiling: fraction * ceiling)
    looked_up = after_verify(Verification(Found.FAILED, asked), case, lambda ceiling: fraction * ceiling)

    assert sent.delay >= wait
    assert looked_up.delay >= wait


@given(cases, waits)
def test_waiting_as_told_spends_no_try(case: Case, wait: float | None) -> None:
    verdict = after_send(
        Outcome(Result.NOT_EXECUTED, Failure.RATE_LIMITED, 429, retry_after=wait), case, longest
    )

    assert (verdict.next, verdict.spend) == (Next.RETRY, False)


@given(cases, st.sampled_from(Failure), waits)
def test_unknown_create_is_never_blindly_sent_again(case: Case, failure: Failure, wait: float | None) -> None:
    unknown = Outcome(Result.UNKNOWN, failure, retry_after=wait)

    assert after_send(unknown, replace(case, repeatable=False), longest).next is Next.VERIFY


@given(cases, st.sampled_from([Found.NO, Found.FAILED]))
def test_it_is_sent_again_only_once_it_would_show(case: Case, answer: Found) -> None:
    verdict = found_in(case, answer)

    if verdict.next is Next.RETRY:
        assert answer is Found.NO
        assert case.in_doubt_since is None or NOW - case.in_doubt_since >= case.settles_in


def found_in(case: Case, answer: Found) -> Verdict:
    return after_verify(Verification(answer), case, longest)


@given(cases, outcomes, st.sampled_from(Found))
def test_held_verdicts_say_why_and_only_they(case: Case, outcome: Outcome, answer: Found) -> None:
    for verdict in (
        after_send(outcome, case, longest),
        after_verify(Verification(answer, outcome), case, longest),
    ):
        assert (verdict.next is Next.HOLD) == (verdict.hold_reason is not None)
        assert verdict.delay >= 0
