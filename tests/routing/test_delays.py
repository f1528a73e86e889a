"""Delays: what a rule waits for, in which order it is looked at, and what it may carry over afterwards."""

from datetime import UTC, datetime, timedelta

import pytest

from routing.compiled import Condition, RuleError
from routing.delays import Delay, Situation, Wait, wait_of

THEN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
TARGET = 7
APPROVED = Condition("conversation.approved", "equals", "yes")
TIME, VARIABLE, KNOWN = Delay("time", 60), Delay("variable", condition=APPROVED), Delay("target")


def wait(*delays: Delay, after: int = 0, approved: str = "no", **situation: frozenset[int]) -> Wait | None:
    seen = {"conversation": {"approved": approved}}
    at = Situation(THEN + timedelta(seconds=after), THEN, **situation)
    return wait_of(delays, TARGET, at, seen)


def test_time_counts_from_when_it_was_received() -> None:
    assert wait(TIME, after=59) == Wait("time", THEN + timedelta(seconds=60))
    assert wait(TIME, after=60) is None


def test_variable_holds_back_until_its_condition_holds() -> None:
    assert wait(VARIABLE) == Wait("variable")
    assert wait(VARIABLE, approved="YES") is None


def test_target_holds_back_until_its_id_is_known() -> None:
    assert wait(KNOWN) == Wait("target")
    assert wait(KNOWN, identified=frozenset({TARGET})) is None


@pytest.mark.parametrize(
    ("after", "approved", "identified", "reason"),
    [
        (0, "no", (), "time"),
        (60, "no", (), "variable"),
        (60, "yes", (), "target"),
        (60, "yes", (7,), "order"),
    ],
)
def test_delays_are_looked_at_in_order(
    after: int, approved: str, identified: tuple[int, ...], reason: str
) -> None:
    known = {"identified": frozenset(identified), "delayed": frozenset({TARGET})}

    found = wait(KNOWN, VARIABLE, TIME, after=after, approved=approved, **known)

    assert found is not None
    assert found.reason == reason


def test_what_waits_for_another_target_is_no_reason() -> None:
    assert wait(delayed=frozenset({TARGET + 1})) is None


@pytest.mark.parametrize(
    "unfit",
    [
        {"kind": "weather"},
        {"kind": "time"},
        {"kind": "target", "seconds": 5},
        {"kind": "variable"},
        {"kind": "time", "seconds": 5, "condition": APPROVED},
        {"kind": "variable", "condition": Condition("title", "exists")},
    ],
)
def test_delay_without_what_it_needs_is_refused(unfit: dict[str, object]) -> None:
    with pytest.raises(RuleError):
        Delay(**unfit)  # type: ignore[arg-type]
