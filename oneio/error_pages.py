"""The page shown when a page fails, and what the log keeps of it: where and as what, never the values."""

import logging
import secrets
import sys
import traceback

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

FRAMES = 12

logger = logging.getLogger(__name__)


def failed(request: HttpRequest) -> HttpResponse:
    """Status 500 with a number that stands in the log too, beside the exception's class and its places."""
    number = secrets.token_hex(4)
    kind, _, trace = sys.exc_info()
    # An exception's text may quote a ticket; a path without its query and the places in our code do not.
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)[-FRAMES:]]
    logger.error("page failed %s %s %s: %s", number, request.path, kind and kind.__name__, " > ".join(places))
    return render(request, "500.html", {"number": number}, status=500)
