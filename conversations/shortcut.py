"""Brings requests of the inbound API straight to it, past what only pages need: sessions, forms, messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

ADDRESSES = "conversations.api_urls"
# The API's description is made of pages.
_INBOUND = re.compile(r"/(?:qa/)?api(?:/(?!v1/(?:schema|docs)$)|$)")


class InboundShortcut:
    """Middleware: answers what systems send, and leaves everything else to the rest of the chain."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The API's answer, complete. Raises DisallowedHost, as pages do."""
        if not _INBOUND.match(request.path_info):
            return self.get_response(request)
        request.get_host()
        view, arguments, keywords = resolve(request.path_info, ADDRESSES)
        response: Any = view(request, *arguments, **keywords)
        if hasattr(response, "render"):
            response.render()
        response["Content-Length"] = str(len(response.content))
        return response  # type: ignore[no-any-return]
