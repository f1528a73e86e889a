"""Keeps an endpoint's outbound secrets: they are written, named, and never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import transaction

from endpoints.models import Credentials, Endpoint
from oneio.crypto import Undecryptable


class Stored(NamedTuple):
    """The names of the secrets that are stored, never their values; `problem`: why they cannot be read, in
    words."""

    names: frozenset[str] = frozenset()
    problem: str = ""


def keep(endpoint: Endpoint, given: Mapping[str, str]) -> None:
    """Store the secrets that were given; an empty one leaves the stored one as it is, and what cannot be
    read gives way to what was given. Raises Undecryptable where nothing can be stored, see `obstacle`.

    A changed secret makes the access token worthless: the next request fetches a new one.
    """
    new = {name: value for name, value in given.items() if value}
    with transaction.atomic():
        credentials = Credentials.objects.select_for_update().get(endpoint=endpoint)
        old, problem = _opened(credentials)
        if not new and not problem:
            return
        credentials.secrets = {**old, **new}
        credentials.token = None
        credentials.token_obtained_at = credentials.token_expires_at = None
        credentials.save()


def stored(endpoint: Endpoint) -> Stored:
    """Which secrets are stored."""
    secrets, problem = _opened(Credentials.objects.get(endpoint=endpoint))
    return Stored(frozenset(name for name, value in secrets.items() if value), problem)


def obstacle(endpoint: Endpoint) -> str:
    """Why no secrets can be stored for this endpoint now, in words; empty if they can."""
    field: Any = Credentials._meta.get_field("secrets")
    try:
        field.seal_at({}, endpoint.organization_id, "")
    except Undecryptable as problem:
        return str(problem)
    return ""


def _opened(credentials: Credentials) -> tuple[Mapping[str, str], str]:
    """The secrets; none, and why, where they cannot be read."""
    try:
        return credentials.secrets, ""
    except Undecryptable as problem:
        return {}, str(problem)
