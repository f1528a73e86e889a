"""How requests to a REST system prove who sends them, and how its access token is fetched."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from endpoints.adapters.base import EndpointConfig, Step, Token
from endpoints.adapters.exchange import Speaker, as_sent
from endpoints.adapters.rest.declaration import Auth, AuthKind, Request, RestDeclaration
from endpoints.adapters.values import canonical_value, text_of
from endpoints.http import HttpClient, HttpRequest
from endpoints.outcomes import Failure, Outcome, Result
from oneio.paths import MISSING, compile_path

TOKEN_LIFETIME = 3600.0
"""Seconds a token is good for when the answer does not say."""
_DEAD_CREDENTIALS = frozenset({400, 401, 403})


@dataclass(frozen=True, slots=True)
class RestSpeaker(Speaker):
    """A speaker that may carry its API key in the query, where no recorded step shows it."""

    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    def _request(self, step: Step) -> HttpRequest:
        request = Speaker._request(self, step)
        return replace(request, params={**request.params, **self.params}) if self.params else request


def speaker_for(
    endpoint: EndpointConfig,
    declaration: RestDeclaration,
    request: Request,
    http: HttpClient,
    read_timeout: float,
) -> RestSpeaker:
    """The speaker of one declared request: it proves who we are and knows the request's success codes."""
    auth, secrets = declaration.auth, endpoint.secrets
    headers, params, login = dict(declaration.headers), {}, None
    match auth.kind:
        case AuthKind.BASIC:
            login = str(endpoint.settings.get("username", "")), secrets.get("password", "")
        case AuthKind.BEARER:
            headers["Authorization"] = f"Bearer {secrets.get('api_key', '')}"
        case AuthKind.OAUTH2:
            headers["Authorization"] = f"Bearer {endpoint.token}"
        case AuthKind.HEADER:
            headers[auth.name] = f"{auth.prefix}{secrets.get('api_key', '')}"
        case AuthKind.QUERY:
            params[auth.name] = secrets.get("api_key", "")
    return RestSpeaker(
        endpoint,
        http,
        lambda body: explain(declaration, body),
        headers,
        login,
        read_timeout,
        success_codes=request.success,
        params=params,
    )


def explain(declaration: RestDeclaration, body: Any) -> str:
    """The system's own words in the body of a refusal."""
    found = compile_path(declaration.error).first(body) if declaration.error else body
    return "" if found is MISSING else text_of(canonical_value(found))


def complaint_of(request: Request, declaration: RestDeclaration, body: Any) -> str | None:
    """What a body says against a good status, by the request's success check."""
    check = request.success_check
    if check is None:
        return None
    found = compile_path(check.path).first(body)
    if found is not MISSING and _same(found, check.equals):
        return None
    return explain(declaration, body) or f"The answer does not hold {check.equals} at {check.path}."


def acquire_token(
    endpoint: EndpointConfig, auth: Auth, http: HttpClient, read_timeout: float
) -> Token | Outcome:
    """A token by the client credentials grant (RFC 6749, 4.4), or why there is none."""
    form = {"grant_type": "client_credentials", **auth.parameters}
    if auth.scope:
        form["scope"] = auth.scope
    step = Step("token", "POST", auth.token_url, headers=_client(endpoint), body=urlencode(form))
    answer = _token_speaker(endpoint, auth, http, read_timeout).ask(step, complaint=_no_token)
    if answer.confirmed:
        return Token(answer.body["access_token"], _lifetime(answer.body.get("expires_in")))
    outcome = replace(answer.outcome, request={**as_sent(step), "body": None}, answer={})
    if outcome.status in _DEAD_CREDENTIALS:
        return replace(outcome, result=Result.REJECTED, failure=Failure.AUTHENTICATION)
    return outcome


def _token_speaker(endpoint: EndpointConfig, auth: Auth, http: HttpClient, read_timeout: float) -> Speaker:
    elsewhere = not auth.token_url.startswith("/")
    base_url = "" if elsewhere else endpoint.base_url
    usual = replace(endpoint, base_url=base_url, success_codes=frozenset(), unrecoverable_codes=frozenset())
    return Speaker(usual, http, _explain_token, read_timeout=read_timeout)


def _client(endpoint: EndpointConfig) -> dict[str, str]:
    pair = f"{endpoint.settings.get('client_id', '')}:{endpoint.secrets.get('client_secret', '')}"
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
    }


def _no_token(body: Any) -> str | None:
    if isinstance(body, Mapping) and isinstance(body.get("access_token"), str) and body["access_token"]:
        return None
    return "The token address answered without an access token."


def _explain_token(body: Any) -> str:
    if not isinstance(body, Mapping):
        return ""
    return ": ".join(str(body[name]) for name in ("error", "error_description") if body.get(name))


def _lifetime(raw: Any) -> float:
    try:
        return float(raw)
    except (TypeError, ValueError):
        return TOKEN_LIFETIME


def _same(found: Any, expected: Any) -> bool:
    return text_of(canonical_value(found)).casefold() == text_of(canonical_value(expected)).casefold()
