"""Shows times in the reader's own zone: the browser says which it is, in a cookie."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "zone"


class ReadersZone:
    """Middleware: for one request the zone that the browser named, else the one of the settings."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the reader's zone."""
        name = unquote(request.COOKIES.get(COOKIE, ""))
        if name not in _known():
            return self.get_response(request)
        with timezone.override(ZoneInfo(name)):
            return self.get_response(request)


@cache
def _known() -> frozenset[str]:
    """All zone names, read from the disk once."""
    return frozenset(available_timezones())
