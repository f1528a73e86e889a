from datetime import UTC, datetime

import pytest
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from oneio.admin import display
from oneio.zones import ReadersZone

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [
        ("Europe%2FHelsinki", "14:00:00 EET (12:00:00 UTC)"),
        ("America/New_York", "07:00:00 EST (12:00:00 UTC)"),
        ("Nowhere/Land", "12:00:00 UTC"),
        ("", "12:00:00 UTC"),
    ],
)
def test_times_are_told_in_the_readers_zone(cookie: str, shown: str) -> None:
    request = HttpRequest()
    request.COOKIES["zone"] = cookie

    answer = ReadersZone(lambda _: HttpResponse(display.when(NOON)))(request)

    assert f"2026-11-21 {shown}" in answer.content.decode()
    assert timezone.get_current_timezone_name() == "UTC"
