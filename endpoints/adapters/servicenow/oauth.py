"""ServiceNow's OAuth 2.0 token: how it is asked for and what its refusal means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from endpoints.adapters.base import EndpointConfig, Step, Token
from endpoints.adapters.exchange import Exchange, Speaker
from endpoints.outcomes import Failure, Outcome, Result

TOKEN_PATH = "/oauth_token.do"  # noqa: S105
LIFETIME = 1800.0
"""Seconds a token is good for when the answer does not say."""
_DEAD_CREDENTIALS = frozenset({"invalid_grant", "invalid_client", "access_denied", "unauthorized_client"})


def acquire(endpoint: EndpointConfig, speaker: Speaker) -> Token | Outcome:
    """A fresh token: by password grant with a user name, by client credentials without."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    step = Step("token", "POST", TOKEN_PATH, headers=headers, body=urlencode(_grant(endpoint)))
    answer = speaker.ask(step, complaint=_no_token)
    if answer.confirmed:
        return Token(answer.body["access_token"], _lifetime(answer.body.get("expires_in")))
    return _refusal(answer)


def _grant(endpoint: EndpointConfig) -> dict[str, str]:
    secrets = endpoint.secrets
    client = {
        "client_id": str(endpoint.settings.get("client_id", "")),
        "client_secret": secrets.get("client_secret", ""),
    }
    username = str(endpoint.settings.get("username", ""))
    if not username:
        return {"grant_type": "client_credentials", **client}
    return {"grant_type": "password", **client, "username": username, "password": secrets.get("password", "")}


def _no_token(body: Any) -> str | None:
    if isinstance(body, Mapping) and isinstance(body.get("access_token"), str) and body["access_token"]:
        return None
    return "ServiceNow answered without an access token."


def _lifetime(raw: Any) -> float:
    try:
        return float(raw)
    except (TypeError, ValueError):
        return LIFETIME


def _refusal(answer: Exchange) -> Outcome:
    """The refusal without the form, which holds the credentials; dead credentials need a person."""
    request: dict[str, object] = {"method": "POST", "path": TOKEN_PATH, "query": {}, "body": None}
    outcome = replace(answer.outcome, request=request, answer={})
    error = answer.body.get("error") if isinstance(answer.body, Mapping) else None
    if isinstance(error, str) and error in _DEAD_CREDENTIALS:
        return replace(outcome, result=Result.REJECTED, failure=Failure.AUTHENTICATION, code=error)
    return outcome
