"""Takes out of addresses of pages what no text in the database can hold."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

PAGES = "/admin/"
NUL = "%00"


def without_nul(
    answer: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: a NUL in what a person searches or pastes is read as if it were not there."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        query = request.META.get("QUERY_STRING", "")
        if NUL in query and request.path.startswith(PAGES):
            request.META["QUERY_STRING"] = query.replace(NUL, "")
        return answer(request)

    return middleware
