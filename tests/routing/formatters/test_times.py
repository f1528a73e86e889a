"""Patterns of dates: written, read, and refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.formatters.base import FormatterError
from routing.formatters.date_patterns import compile_pattern
from routing.formatters.times import date_format, date_parse, epoch

BERLIN = ZoneInfo("Europe/Berlin")
# Before, clocks were off by odd seconds, which patterns do not write.
MODERN = st.datetimes(datetime(1946, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("pattern", "text", "moment"),
    [
        ("yyyy-MM-dd", "2025-05-01", datetime(2025, 5, 1, tzinfo=BERLIN)),
        ("d.M.yy H:mm", "1.5.25 7:05", datetime(2025, 5, 1, 7, 5, tzinfo=BERLIN)),
        ("MMM d, yyyy h a", "May 1, 2025 12 am", datetime(2025, 5, 1, tzinfo=BERLIN)),
        (
            "EEEE d MMMM yyyy hh:mm a",
            "Thursday 1 MAY 2025 12:30 PM",
            datetime(2025, 5, 1, 12, 30, tzinfo=BERLIN),
        ),
        ("yyyyMMdd'T'HHmmssZ", "20250501T120000Z", datetime(2025, 5, 1, 12, tzinfo=UTC)),
        (
            "yyyy-MM-dd HH:mm:ss.SSSXXX",
            "2025-05-01 12:00:00.250-05:30",
            datetime(2025, 5, 1, 17, 30, 0, 250_000, UTC),
        ),
        ("'o''clock' yyyy", "o'clock 2025", datetime(2025, 1, 1, tzinfo=BERLIN)),
    ],
)
def test_text_is_read_by_its_pattern(pattern, text, moment):
    assert compile_pattern(pattern).read(text, BERLIN) == moment


@given(MODERN, st.sampled_from(["yyyy-MM-dd'T'HH:mm:ss.SSSSSSZZ", "EEE, d MMM yyyy hh:mm:ss.SSSSSS a XX"]))
def test_written_moment_reads_back(moment, pattern):
    text = date_format(moment, pattern=pattern, zone="Asia/Kolkata")

    assert date_parse(text, pattern=pattern, zone="UTC") == moment


@given(MOMENTS)
def test_epoch_reads_back_to_the_second(moment):
    text = date_format(moment, pattern="EpochTime_s", zone="")

    assert timedelta(0) <= moment - date_parse(text, pattern="EpochTime_s", zone="UTC") < timedelta(seconds=1)


def test_epoch_counts_whole_units():
    moment = datetime(2025, 5, 1, 12, 0, 0, 999_999, UTC)

    assert epoch(moment, unit="seconds") == 1746100800
    assert epoch("2025-05-01T12:00:00.5", unit="milliseconds") == 1746100800500
    assert date_format("1969-12-31T23:59:59Z", pattern="EpochTime", zone="") == -1000


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("2025-13-01", "yyyy-MM-dd"),
        ("2025-02-30", "yyyy-MM-dd"),
        ("tomorrow", "yyyy-MM-dd"),
        ("", "EpochTime"),
        ("1e999", "EpochTime"),
        ("nan", "EpochTime_s"),
        (Decimal("1e30"), "EpochTime_s"),
    ],
)
def test_unreadable_time_is_refused_with_words(value, pattern):
    with pytest.raises(FormatterError, match="Correct the pattern"):
        date_parse(value, pattern=pattern, zone="UTC")


def test_text_that_is_no_time_says_what_to_do():
    with pytest.raises(FormatterError, match="Put “Read a date” before it"):
        date_format("01.05.2025", pattern="yyyy", zone="")
