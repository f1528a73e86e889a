"""The report of a long fault run."""

import json

from benchmarks.faults.report import Whole, text_of
from tests.faults.history import History, examine
from tests.faults.recovery import Measured, Recovery
from tests.faults.run import Plan, Report

NOTHING = examine(History([], [], []))


def whole(*seconds: float) -> Whole:
    """A run in which nothing happened but that a sentinel's group took so long to end."""
    storm = Report(Plan(0, 0, 0, 0.0), NOTHING, [], {}, 0, 0, 0.0, 0.0)
    recovery = Recovery([Measured("sentinel killed", 5.0, seconds)], NOTHING)
    return Whole(storm, 0, NOTHING, 0, [], recovery, 0.0)


def test_report_tells_what_took_longer_than_asked() -> None:
    text = text_of(whole(1.0, 2.0, 6.0))

    assert text.startswith("Every guarantee held, but work went on later than asked.")
    assert "6.0 worst   2.0 median  asked 5, LONGER THAN ASKED" in text


def test_report_is_content_with_what_was_in_time() -> None:
    run = whole(1.0, 2.0, 5.0)

    assert text_of(run).startswith("Every guarantee held.\n")
    assert json.loads(json.dumps(run.as_json()))["recovery"]["measured"][0]["worst"] == 5.0
