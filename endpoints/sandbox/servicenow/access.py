"""Who may use the REST API: Basic, OAuth 2.0 bearer tokens and API keys."""

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Refused, json_response, route
from endpoints.sandbox.servicenow.records import api_error
from endpoints.sandbox.store import Store

INTEGRATION_USER = "oneio"
CLIENT_ID = "oneio-client"
ACCESS_SECONDS = 1799
REFRESH_SECONDS = 8_640_000
SETTINGS = "_config"
TOKENS = "_oauth_token"


@dataclass(frozen=True)
class Credentials:
    """What clients log in with: passwords by user name, the OAuth client's secret, an API key."""

    passwords: dict[str, str]
    client_secret: str
    api_key: str


class Access:
    """Finds the user of a request and runs the token endpoint; tokens survive a restart."""

    def __init__(self, store: Store, credentials: Credentials) -> None:
        self._store = store
        self._credentials = credentials

    def user_of(self, request: Request) -> str:
        """Return the user name a request logs in as; raises Refused 401."""
        user = self._by_key(request) or self._by_authorization(request)
        if user is None:
            refused = api_error(401, "User Not Authenticated", "Required to provide Auth information")
            refused.response.headers["WWW-Authenticate"] = 'BASIC realm="Service-now"'
            raise refused
        return user

    @route("/oauth_token.do", methods=["POST"])
    def give_token(self, request: Request) -> Response:
        """Answer a token request."""
        form = request.form
        client = request.authorization
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if client and client.type == "basic":
            client_id, secret = client.username or "", client.password or ""
        if client_id != CLIENT_ID or not _same(secret, self._credentials.client_secret):
            raise _token_error("invalid_client", "Client authentication failed")
        user = self._grant(form)
        if user is None:
            raise _token_error("server_error", "access_denied")
        return json_response(self._issue(user, refreshable=form.get("grant_type") != "client_credentials"))

    @route("/_sandbox/oauth", methods=["GET", "PUT", "DELETE"])
    def control(self, request: Request) -> Response:
        """Show or set the lifetime of access tokens in seconds, or (DELETE) revoke those given out."""
        if request.method == "PUT":
            lifetime = request.get_json(force=True).get("lifetime", ACCESS_SECONDS)
            self._store.put(SETTINGS, "oauth", {"lifetime": int(lifetime)})
        if request.method == "DELETE":
            self._revoke(lambda token: token["kind"] == "access")
        return json_response({"lifetime": self._lifetime})

    @property
    def _lifetime(self) -> int:
        settings = self._store.get(SETTINGS, "oauth") or {}
        return int(settings.get("lifetime", ACCESS_SECONDS))

    def _by_key(self, request: Request) -> str | None:
        return (
            INTEGRATION_USER
            if _same(request.headers.get("x-sn-apikey", ""), self._credentials.api_key)
            else None
        )

    def _by_authorization(self, request: Request) -> str | None:
        given = request.authorization
        if given is None:
            return None
        if given.type == "bearer":
            return self._owner("access", given.token or "")
        return self._checked(given.username or "", given.password or "") if given.type == "basic" else None

    def _checked(self, user: str, password: str) -> str | None:
        return user if _same(password, self._credentials.passwords.get(user, "")) else None

    def _grant(self, form: Any) -> str | None:
        match form.get("grant_type"):
            case "password":
                return self._checked(form.get("username", ""), form.get("password", ""))
            case "client_credentials":
                return INTEGRATION_USER
            case "refresh_token":
                return self._owner("refresh", form.get("refresh_token", ""))
        raise _token_error("unsupported_grant_type", "The grant type is not supported")

    def _owner(self, kind: str, token: str) -> str | None:
        found = self._store.get(TOKENS, token)
        valid = found and found["kind"] == kind and found["until"] > time.time()
        return found["user"] if valid else None

    def _issue(self, user: str, refreshable: bool) -> dict[str, Any]:
        self._revoke(lambda token: token["until"] <= time.time())
        answer: dict[str, Any] = {"access_token": self._new("access", user, self._lifetime)}
        if refreshable:
            answer["refresh_token"] = self._new("refresh", user, REFRESH_SECONDS)
        return answer | {"scope": "useraccount", "token_type": "Bearer", "expires_in": self._lifetime}

    def _new(self, kind: str, user: str, seconds: int) -> str:
        token = secrets.token_urlsafe(64)
        until = time.time() + seconds
        self._store.put(TOKENS, token, {"token": token, "kind": kind, "user": user, "until": until})
        return token

    def _revoke(self, chosen: Any) -> None:
        for token in self._store.rows(TOKENS, chosen):
            self._store.delete(TOKENS, token["token"])


def _same(given: str, wanted: str) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def _token_error(error: str, description: str) -> Refused:
    return Refused(401, {"error": error, "error_description": description})
