"""Tells which endpoint is calling: HTTP Basic, or a token for systems that cannot do Basic."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from conversations.problems import Problem, unauthorized
from endpoints.models import Endpoint
from endpoints.receiver_logins import identify, identify_token
from oneio.models import EnvironmentKind

TOKEN_PARAMETER = "auth_token"  # noqa: S105 (a name)


@dataclass(frozen=True, slots=True)
class Caller:
    """The endpoint on whose behalf a request came in; what `request.user` is in the inbound API."""

    endpoint: Endpoint
    is_authenticated: ClassVar[bool] = True


class ReceiverAuthentication(BaseAuthentication):
    """Identifies the endpoint by its credentials and checks that the address is its environment's."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        """The calling endpoint, or None where no credentials came. Raises Problem (401)."""
        offered = _offered(request)
        if offered is None:
            return None
        endpoint = _identified(*offered)
        if endpoint is None:
            raise _unknown()
        _check_environment(endpoint, request.parser_context["kwargs"]["environment"])
        return Caller(endpoint), None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Basic realm="oneio", charset="UTF-8"'


class ReceiverScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API description shows the ways to authenticate."""

    target_class = ReceiverAuthentication
    name = ["basic", "bearer", "tokenHeader", "tokenParameter"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """One entry per name."""
        return [
            {"type": "http", "scheme": "basic"},
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            {"type": "apiKey", "in": "query", "name": TOKEN_PARAMETER},
        ]


def _offered(request: Request) -> tuple[str, ...] | None:
    """Username and password, or a token alone."""
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "basic":
        return _basic(value)
    if scheme.lower() == "bearer" and value.strip():
        return (value.strip(),)
    token = request.META.get("HTTP_X_AUTH_TOKEN") or request.query_params.get(TOKEN_PARAMETER)
    return (token,) if token else None


def _basic(value: str) -> tuple[str, str]:
    try:
        plain = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise _unknown() from None
    try:
        text = plain.decode()
    except UnicodeDecodeError:
        text = plain.decode("latin-1")
    username, colon, password = text.partition(":")
    if not colon or "\0" in username:
        raise _unknown()
    return username, password


def _identified(first: str, *rest: str) -> Endpoint | None:
    return identify(first, rest[0]) if rest else identify_token(first)


def _unknown() -> Problem:
    return unauthorized(
        "No endpoint has these credentials, or they have been replaced.",
        "Compare them with the endpoint's page in oneio; if in doubt, generate a new password there.",
    )


def _check_environment(endpoint: Endpoint, kind: str) -> None:
    own = endpoint.environment
    if own.kind != kind:
        raise unauthorized(
            f"These are credentials of {own.get_kind_display()}, and this is the address of "
            f"{EnvironmentKind(kind).label}.",
            f"Post to {own.receiver_path}, or use the {EnvironmentKind(kind).label} endpoint's credentials.",
        )
