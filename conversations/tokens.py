"""Fetches access tokens for endpoints that need one: one request at a time over all workers."""

from __future__ import annotations

from dataclasses import dataclass

from endpoints import gates
from endpoints.adapters.base import Token
from endpoints.configs import LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Outcome, Result

RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TokenFetched:
    """What came of asking for a token."""

    endpoint: LoadedEndpoint
    answer: Token | Outcome


def fetch(endpoint: LoadedEndpoint, http: HttpClient) -> TokenFetched:
    """Ask for a token, on an HTTP thread. Never raises."""
    try:
        return TokenFetched(endpoint, endpoint.adapter.acquire_token(http))
    except Exception as error:  # noqa: BLE001 (whatever it was, others must be able to try again)
        failed = Outcome(Result.NOT_SENT, Failure.INTERNAL, code=type(error).__name__[:40])
        return TokenFetched(endpoint, failed)


def settle(fetched: TokenFetched) -> None:
    """Keep the token, or see to it that somebody tries again or a person is told."""
    endpoint_id, answer = fetched.endpoint.id, fetched.answer
    if isinstance(answer, Token):
        gates.store_token(endpoint_id, answer)
        return
    if answer.failure in {Failure.AUTHENTICATION, Failure.PERMISSION, Failure.DATA, Failure.CONFIGURATION}:
        gates.pause_for_credentials(endpoint_id)
    else:
        gates.throttle(endpoint_id, answer.retry_after or RETRY_SECONDS)
        gates.note_failure(endpoint_id)
    gates.fail_token(endpoint_id)
