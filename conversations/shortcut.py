"""Brings requests of the inbound API straight to it, past what only pages need: sessions, forms, messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, resolve

ADDRESSES = "conversations.api_urls"
ADDRESSES_KEPT = 64
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
        view, arguments, keywords = _resolved(request.path_info)
        response: Any = view(request, *arguments, **keywords)
        if hasattr(response, "render"):
            response.render()
        response["Content-Length"] = str(len(response.content))
        return response  # type: ignore[no-any-return]


@lru_cache(maxsize=ADDRESSES_KEPT)
def _resolved(path: str) -> ResolverMatch:
    """Who answers this address; nearly all requests have the same few. Raises Resolver404."""
    return resolve(path, ADDRESSES)
