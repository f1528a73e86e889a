"""The management API: configuration out and in for scripts, on behalf of a person's account."""

from __future__ import annotations

from typing import Any, cast

from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.request import QueryDict
from rest_framework.authentication import BasicAuthentication
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from oneio import access
from oneio.access import Permission
from oneio.logins import TooManyTries
from oneio.models import Environment
from oneio.plain_yaml import MAX_LENGTH
from routing.models import RoutingRule
from routing.portable import companions, reading, writing
from routing.portable.importing import Options, Report, import_document
from routing.portable.noting import note_golden, note_import


class YamlParser(BaseParser):
    """Hands the text on; whether it is a document is for the reader to say."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, str]:
        """The body's text, under `text`. Raises ValidationError."""
        body: bytes = stream.read(MAX_LENGTH + 1)
        try:
            return {"text": body.decode("utf-8-sig")}
        except UnicodeDecodeError:
            raise ValidationError("The body is no text in UTF-8. Send YAML as written by export.") from None


class Refused(APIException):
    """429: too many failed logins; the answer's Retry-After says for how many seconds."""

    status_code = 429

    def __init__(self, refusal: TooManyTries) -> None:
        super().__init__(str(refusal))
        self.wait = refusal.seconds


class PersonAuthentication(BasicAuthentication):
    """HTTP Basic with a person's account."""

    def authenticate_credentials(self, userid: str, password: str, request: Any = None) -> Any:
        """The person. Raises AuthenticationFailed, or Refused after too many failures."""
        try:
            return super().authenticate_credentials(userid, password, request)
        except TooManyTries as refusal:
            raise Refused(refusal) from None


class ManagementView(APIView):
    """What people's scripts may do; a person's account and roles decide."""

    authentication_classes = (PersonAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)

    def get_exception_handler(self) -> Any:
        """Plain answers, not those of the receiver API."""
        return exception_handler

    def environment(self, request: Request, permission: Permission, **named: str) -> Environment:
        """The environment in the address. Raises Http404 if the person does not see it, PermissionDenied
        if a role is missing."""
        place = {"organization__slug": named["organization"], "kind": named["environment"]}
        found = access.environments(request.user).filter(**place).first()
        if found is None:
            raise Http404
        if not access.may(request.user, permission, found.pk):
            raise PermissionDenied("Your role does not allow this here. Ask an administrator.")
        return found


class Configuration(ManagementView):
    """An environment's configuration: read it, compare it, bring it in."""

    parser_classes = (YamlParser,)

    def get(self, request: Request, **named: str) -> HttpResponse:
        """All of it as YAML, without secrets; with `golden=1` also the golden tickets, for those who may read
        what tickets say."""
        environment = self.environment(request, Permission.VIEW, **named)
        document = writing.environment_document(environment)
        if request.query_params.get("golden") in ("1", "true"):
            self.environment(request, Permission.READ_PAYLOAD, **named)
            rules = access.readable(request.user, RoutingRule).filter(environment=environment)
            document = companions.with_golden(document, rules)
            note_golden(request, document, rules)
        return HttpResponse(writing.text(document), content_type="application/yaml; charset=utf-8")

    def post(self, request: Request, **named: str) -> Response:
        """Bring in the YAML in the body: all of it or nothing. `dry_run=1` only says what would change."""
        environment = self.environment(request, Permission.INTEGRATE, **named)
        options, trial = _options(request.query_params, request.user)
        text = cast(dict[str, str], request.data)["text"]
        try:
            report = _brought_in(request, environment, text, options, trial=trial)
        except reading.Unimportable as error:
            return Response({"problems": list(map(str, error.problems))}, status=422)
        return Response(_words(report), status=422 if report.problems else 200)


def _brought_in(
    request: Request, environment: Environment, text: str, options: Options, *, trial: bool
) -> Report:
    document = reading.read(text)
    with transaction.atomic():
        report = import_document(environment, document, options, trial=trial)
        if not trial:
            note_import(request, environment, report, "Brought in by a script")
    return report


def _options(given: QueryDict, by: Any) -> tuple[Options, bool]:
    flags = {name: given.get(name) in ("1", "true") for name in ("dry_run", "publish", "overwrite_endpoints")}
    reason = given.get("reason", "").strip()
    if flags["publish"] and not reason:
        raise ValidationError("Say why with reason=…: it is kept with each version that is published.")
    return Options(flags["overwrite_endpoints"], flags["publish"], reason, by), flags["dry_run"]


def _words(report: Report) -> dict[str, Any]:
    return {
        "changes": [
            {
                "kind": one.kind,
                "name": one.name,
                "fate": one.fate,
                "differences": list(map(str, one.differences)),
                "note": one.note,
            }
            for one in report.changes
        ],
        "notes": report.notes,
        "problems": list(map(str, report.problems)),
    }
