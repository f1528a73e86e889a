"""The error answers of the inbound API: a code, a sentence and what to do, whatever went wrong."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, UnreadablePostError

from conversations.incoming import Malformed, Unsupported
from endpoints.adapters import ADAPTERS
from endpoints.models import Endpoint

if TYPE_CHECKING:
    from rest_framework.response import Response

logger = logging.getLogger(__name__)
DATABASE_RETRY_SECONDS = 5
INTERNAL_RETRY_SECONDS = 60
DATABASE_ERRORS = (
    OperationalError,
    InterfaceError,
    InternalError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)


@dataclass(eq=False)
class Problem(Exception):
    """An answer that is no success: HTTP status, a code for programs, a sentence, and what to do."""

    status: int
    code: str
    message: str
    what_to_do: str
    headers: Mapping[str, str] = field(default_factory=dict)
    response_id: str = ""

    def response(self) -> Response:
        """The JSON answer, with the Response ID where something was recorded."""
        from rest_framework.response import Response  # workers never answer: they need not load it

        content: dict[str, Any] = {
            "error": {"code": self.code, "message": self.message, "what_to_do": self.what_to_do}
        }
        if self.response_id:
            content["response_id"] = self.response_id
        return Response(content, status=self.status, headers=dict(self.headers))


def malformed(message: str, response_id: str = "") -> Problem:
    """400: the body or a parameter cannot be understood."""
    advice = "Correct it and send it again."
    if response_id:
        advice = f"Correct it and send it again. What arrived is kept as a faulty message, {response_id}."
    return Problem(400, "malformed", message, advice, response_id=response_id)


def incomplete() -> Problem:
    """400: the sender stopped before the body was complete."""
    return Problem(
        400, "incomplete", "The body ended before it was complete; nothing was stored.", "Send it again."
    )


def unauthorized(message: str, what_to_do: str) -> Problem:
    """401: nobody, or nobody here, has these credentials."""
    headers = {"WWW-Authenticate": 'Basic realm="oneio", charset="UTF-8"'}
    return Problem(401, "unauthorized", message, what_to_do, headers)


def message_too_large(limit: int) -> Problem:
    """413 for a message; names the address that takes files."""
    return Problem(
        413, "too_large", f"A message may have {limit:,} bytes; this one has more.",
        "Send files to /api/v1/attachments (in QA /qa/api/v1/attachments) and the ticket without them here.",
        {"Connection": "close"},
    )  # fmt: skip


def attachment_too_large(limit: int) -> Problem:
    """413 for a file."""
    return Problem(
        413, "too_large", f"A file may have {limit:,} bytes; this one has more, so nothing was stored.",
        "Send a smaller file, or ask your administrator to raise ONEIO_ATTACHMENT_MAX_BYTES.",
        {"Connection": "close"},
    )  # fmt: skip


def length_required() -> Problem:
    """411 for a file of which nobody could tell whether all of it arrived."""
    return Problem(
        411, "length_required",
        "A file sent without its length could break off unnoticed, so it is not taken.",
        "Send the header Content-Length or the parameter size, or a form (multipart/form-data).",
        {"Connection": "close"},
    )  # fmt: skip


def unsupported(message: str, what_to_do: str) -> Problem:
    """415: a format or encoding that is not read."""
    return Problem(415, "unsupported_media_type", message, what_to_do)


def key_reused() -> Problem:
    """422: the Idempotency-Key belongs to a different message."""
    return Problem(
        422, "idempotency_key_reused",
        "This Idempotency-Key was used before for a different message; this one was not stored.",
        "Use a new key for each new message, and the same key only to repeat the very same one.",
    )  # fmt: skip


def come_back(endpoint: Endpoint, code: str, message: str, seconds: float) -> Problem:
    """429 or 503, as this sort of sender understands it, with the seconds to wait."""
    adapter = ADAPTERS.get(endpoint.kind)
    status = adapter.throttle_answer if adapter else 429
    wait = max(1, math.ceil(seconds))
    advice = f"Nothing was stored. Send it again in {wait} seconds."
    return Problem(status, code, message, advice, {"Retry-After": str(wait)})


def unavailable() -> Problem:
    """503: the database is down, full of waiting, or slow."""
    return Problem(
        503, "database_unavailable",
        "The database does not answer, so it is not certain that your message was stored.",
        "Send it again shortly, with the same Idempotency-Key if you use one.",
        {"Retry-After": str(DATABASE_RETRY_SECONDS)},
    )  # fmt: skip


def answer(exc: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's exception handler: every exception becomes an answer, none a 500."""
    return as_problem(exc).response()


def as_problem(error: Exception) -> Problem:
    """The answer to an exception of any kind."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DATABASE_ERRORS):
        return unavailable()
    return _unreadable(error) or _refusal(error) or _surprise(error)


def _unreadable(error: Exception) -> Problem | None:
    if isinstance(error, UnreadablePostError | ConnectionError):
        return incomplete()
    if isinstance(error, Unsupported):
        return unsupported(str(error), "Send JSON with Content-Type: application/json.")
    if isinstance(error, Malformed):
        return malformed(str(error), error.response_id)
    if isinstance(error, SuspiciousOperation):
        return malformed("The parameters of the address cannot be read; there may be too many.")
    return None


def _refusal(error: Exception) -> Problem | None:
    from rest_framework import exceptions

    if isinstance(error, exceptions.NotFound | Http404):
        return Problem(
            404, "not_found", "There is nothing at this address for you.", "Check address and Response ID."
        )
    if isinstance(error, exceptions.MethodNotAllowed):
        return Problem(
            405,
            "method_not_allowed",
            "This address takes no such request.",
            "See /api/v1/docs for what it takes.",
        )
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed | PermissionDenied):
        return unauthorized(
            "No credentials came with the request.", "Send the endpoint's receiver username and password."
        )
    return None


def _surprise(error: Exception) -> Problem:
    # Its text may quote the message: only where it happened is logged.
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
    logger.error("inbound API failed with %s at %s", type(error).__name__, place)
    return Problem(
        503, "internal", "Something went wrong on our side; nothing was stored.",
        "Send it again in a minute. If it keeps failing, tell your administrator the time of this answer.",
        {"Retry-After": str(INTERNAL_RETRY_SECONDS)},
    )  # fmt: skip
