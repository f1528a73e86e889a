"""The inbound API: where connected systems post their messages and files."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import orjson
from django.conf import settings
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations import limits
from conversations.api_answers import ErrorAnswer, FileAccepted, MessageAccepted, MessageStatus, status_of
from conversations.attachments import IncomingFile, plain_file_name, take_in
from conversations.incoming import Malformed, media_type
from conversations.ingest import Arrival, accept, record_faulty
from conversations.models import Message
from conversations.multipart import Upload, first_file, is_multipart
from conversations.problems import attachment_too_large, length_required, malformed, message_too_large
from conversations.receiver import TOKEN_PARAMETER, Caller
from conversations.request_body import check_encoding, declared_length, exactly, pieces, read_whole
from endpoints.models import Endpoint
from oneio.access import of_endpoint

KEY_LENGTH = 255
HEADER_LENGTH = 500
# What of the sender's headers is worth keeping: who sent it, and its own id of the event.
# Where Django keeps each of them, and its name.
KEPT_HEADERS = {
    "CONTENT_TYPE": "content-type",
    **{
        f"HTTP_{name.upper().replace('-', '_')}": name
        for name in (
            "user-agent",
            "x-request-id",
            "x-correlation-id",
            "x-atlassian-webhook-identifier",
            "x-atlassian-webhook-retry",
            "x-atlassian-webhook-flow",
            "x-github-event",
            "x-github-delivery",
            "x-zendesk-webhook-id",
            "x-zendesk-webhook-invocation-id",
        )
    },
}
# The frame around the file in a form.
FORM_BYTES = 64 * 1024
ERRORS = {
    status: OpenApiResponse(ErrorAnswer, description=description)
    for status, description in {
        400: "Malformed; recorded as a faulty message where a Response ID comes with it.",
        401: "Unknown credentials, or credentials of the other environment.",
        411: "A bare file without Content-Length and size.",
        413: "Too large.",
        415: "A format that is not read.",
        422: "The Idempotency-Key was used for a different message.",
        429: "Too fast; Retry-After says when to come back.",
        503: "Not available now; Retry-After says when to come back.",
    }.items()
}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="Your own id of this message: the same key and content give the same Response ID again.",
)


class AlwaysJson(BaseContentNegotiation):
    """Answers JSON whatever the sender says it accepts: a ticket is not refused for that."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """The one renderer there is."""
        return renderers[0], renderers[0].media_type


class ReceiverView(APIView):
    """What all addresses of the inbound API share."""

    content_negotiation_class = AlwaysJson
    metadata_class = None
    http_method_names = ["get", "post"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Only who is calling: there are no versions, and limits come with the endpoint."""
        self.perform_authentication(request)
        self.check_permissions(request)


class Messages(ReceiverView):
    """Takes one message."""

    @extend_schema(
        operation_id="post_message",
        summary="Send a message",
        description="One JSON object or XML document per request. All query parameters are kept with it.",
        parameters=[IDEMPOTENCY_KEY],
        request={"application/json": OpenApiTypes.OBJECT, "application/xml": OpenApiTypes.STR},
        responses={202: MessageAccepted, **ERRORS},
    )
    def post(self, request: Request, environment: str) -> HttpResponse:
        """Store it, then answer 202 with its Response ID."""
        endpoint = caller(request)
        limits.check(endpoint)
        check_encoding(request._request)
        limit = settings.MESSAGE_MAX_BYTES
        content_type = str(media_type(request.META.get("CONTENT_TYPE") or ""))
        raw = read_whole(request._request, limit, message_too_large(limit))
        response_id = accept(endpoint, arrival(request, raw, content_type))
        return accepted({"response_id": response_id})


class MessageState(ReceiverView):
    """Tells what became of a message."""

    @extend_schema(
        operation_id="get_message",
        summary="Ask what became of a message",
        responses={200: MessageStatus, 401: ERRORS[401], 404: ErrorAnswer, 503: ERRORS[503]},
    )
    def get(self, request: Request, environment: str, response_id: UUID) -> Response:
        """State, conversation and deliveries of one of the caller's own messages."""
        message = of_endpoint(caller(request), Message).filter(body_id=response_id).first()
        if message is None:
            raise Http404
        return Response(status_of(message))


class Attachments(ReceiverView):
    """Takes one file."""

    @extend_schema(
        operation_id="post_attachment",
        summary="Send a file",
        description="The body is the file itself, or a form (multipart/form-data) whose first file is taken.",
        parameters=[
            OpenApiParameter("entity_type", required=True, description="As in the endpoint's entity types."),
            OpenApiParameter("external_id", required=True, description="Your own id of the ticket."),
            OpenApiParameter("file_name", description="May be left out where the form names the file."),
            OpenApiParameter("size", int, description="Bytes; for a bare file without Content-Length."),
            IDEMPOTENCY_KEY,
        ],
        request={
            "application/octet-stream": OpenApiTypes.BINARY,
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
            },
        },
        responses={202: FileAccepted, **ERRORS},
    )
    def post(self, request: Request, environment: str) -> HttpResponse:
        """Store it while it arrives, then answer 202."""
        endpoint = caller(request)
        limits.check(endpoint)
        check_encoding(request._request)
        check_file_length(request)
        came = arrival(request, b"", "application/json")
        try:
            attachment = take_in(endpoint, came, incoming_file(request))
        except Malformed as error:
            error.response_id = record_faulty(endpoint, came, str(error)).response_id
            raise
        assert attachment.message is not None
        content = {"response_id": attachment.message.response_id, "attachment_id": str(attachment.pk)}
        return accepted(content)


class Nothing(ReceiverView):
    """Every other address under /api."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Say in JSON that there is nothing."""
        raise Http404

    post = get


def accepted(content: dict[str, str]) -> HttpResponse:
    """The 202 with these ids, written without asking which renderer."""
    return HttpResponse(orjson.dumps(content), content_type="application/json", status=202)


def caller(request: Request) -> Endpoint:
    """The endpoint whose credentials came with the request."""
    return cast("Caller", request.user).endpoint


def arrival(request: Request, raw: bytes, content_type: str) -> Arrival:
    """What is kept of a request: everything but credentials. Raises Problem for a useless Idempotency-Key."""
    meta = request._request.META
    key = meta.get("HTTP_IDEMPOTENCY_KEY", "").strip()
    if len(key) > KEY_LENGTH:
        raise malformed(f"The Idempotency-Key is longer than {KEY_LENGTH} characters.")
    headers = {name: meta[place][:HEADER_LENGTH] for place, name in KEPT_HEADERS.items() if place in meta}
    parameters = kept_parameters(request) if meta.get("QUERY_STRING") else {}
    return Arrival(raw, content_type, parameters, headers, key)


def kept_parameters(request: Request) -> dict[str, str]:
    """The parameters of the address without the token. Raises Problem for what no database stores."""
    parameters = {name: str(value) for name, value in request.query_params.items() if name != TOKEN_PARAMETER}
    if any("\0" in text for pair in parameters.items() for text in pair):
        raise malformed("A query parameter holds the character NUL (%00), which no database stores.")
    return parameters


def check_file_length(request: Request) -> None:
    """Refuse a file that says itself that it is too large, or that could be cut off, before reading it.

    The web server ends a broken body as if it were complete. A form has an end mark, a bare file has not.
    """
    limit, length = settings.ATTACHMENT_MAX_BYTES, declared_length(request._request)
    told = length is not None or bool(request.query_params.get("size"))
    if not told and not is_multipart(request.META.get("CONTENT_TYPE") or ""):
        raise length_required()
    if (length or 0) > limit + FORM_BYTES:
        raise attachment_too_large(limit)


def incoming_file(request: Request) -> IncomingFile:
    """The file of the request and the ticket that its parameters name. Raises Malformed."""
    entity_type = _parameter(request, "entity_type", 60)
    external_id = _parameter(request, "external_id", 255)
    content_type = request.META.get("CONTENT_TYPE") or ""
    body = pieces(request._request)
    upload = first_file(content_type, body) if is_multipart(content_type) else Upload("", content_type, body)
    name = plain_file_name(request.query_params.get("file_name") or upload.file_name)
    if not name:
        raise Malformed("The parameter file_name is missing, and no name came with the file.")
    content = exactly(_size(request), upload.pieces)
    return IncomingFile(entity_type, external_id, name, upload.content_type, content)


def _size(request: Request) -> int | None:
    text = request.query_params.get("size", "")
    if text and not (text.isascii() and text.isdecimal()):
        raise Malformed("The parameter size is not a number of bytes.")
    return int(text) if text else None


def _parameter(request: Request, name: str, length: int) -> str:
    value = request.query_params.get(name, "").strip()
    if not value or len(value) > length:
        raise Malformed(f"The parameter {name} is missing or longer than {length} characters.")
    return value
