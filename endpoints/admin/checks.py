"""Tests an endpoint as it is saved: is it reachable, and does it accept our credentials?"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from endpoints import configs
from endpoints.http import HttpClient, HttpFailure, HttpRequest, NetworkPolicy
from endpoints.models import Endpoint
from endpoints.outcomes import Failure, Outcome, Result
from oneio.crypto import Undecryptable

PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test found, in a sentence for people."""

    good: bool
    sentence: str


def client() -> HttpClient:
    """The outbound client with this installation's network policy. Close it after use."""
    policy = NetworkPolicy(settings.ALLOW_LOOPBACK, settings.ALLOW_PRIVATE_NETWORKS, settings.EXTRA_CA_FILE)
    return HttpClient(policy)


def reach(endpoint: Endpoint) -> Finding:
    """Whether anything answers at the base URL; credentials are neither sent nor needed."""
    if not endpoint.base_url:
        return Finding(False, f"{endpoint.name} has no base URL. Enter it and save, then test again.")
    http = client()
    try:
        answer = http.send(
            HttpRequest(
                "GET",
                endpoint.base_url,
                connect_timeout=PATIENCE_SECONDS,
                read_timeout=PATIENCE_SECONDS,
                deadline=PATIENCE_SECONDS,
            )
        )
    except HttpFailure as failure:
        return Finding(False, f"{endpoint.name} cannot be reached. {failure.message}")
    finally:
        http.close()
    took = f"{answer.elapsed * 1000:.0f} ms"
    return Finding(True, f"{endpoint.name} is reachable: it answered in {took} (HTTP {answer.status}).")


def log_in(endpoint: Endpoint) -> Finding:
    """Whether the system accepts the stored credentials, by a harmless request."""
    try:
        adapter = configs.load(endpoint).adapter
    except Undecryptable as problem:
        said = f"{endpoint.name} was not asked: its stored secrets cannot be read. {problem}"
        return Finding(False, f"{said} Or enter them again, save, then test again.")
    http = client()
    try:
        outcome = adapter.check_credentials(http)
    finally:
        http.close()
    if outcome.confirmed:
        return Finding(True, f"{endpoint.name} accepted our credentials.")
    if outcome.result is Result.NOT_SENT:
        return Finding(False, f"{endpoint.name} cannot be reached. {outcome.detail}")
    return Finding(False, f"{endpoint.name}: {_meaning(outcome)} {outcome.detail}".strip())


def _meaning(outcome: Outcome) -> str:
    status = f" (HTTP {outcome.status})" if outcome.status else ""
    match outcome.failure:
        case Failure.AUTHENTICATION:
            return f"our user name or password was rejected{status}. Correct them and save, then test again."
        case Failure.PERMISSION:
            return f"we may log in, but our user lacks a right{status}. Give it the roles the guide names."
        case Failure.CONFIGURATION:
            return f"the address we asked does not exist there{status}. Check the base URL."
        case Failure.RATE_LIMITED:
            return f"it asks us to come back later{status}. Test again in a minute."
    return f"the test did not succeed{status}. Test the connection first."
