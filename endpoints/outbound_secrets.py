"""Keeps an endpoint's outbound secrets: they are written, named, and never shown again."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from endpoints.models import Credentials, Endpoint


def keep(endpoint: Endpoint, given: Mapping[str, str]) -> None:
    """Store the secrets that were given; an empty one leaves the stored one as it is.

    A changed secret makes the access token worthless: the next request fetches a new one.
    """
    new = {name: value for name, value in given.items() if value}
    if not new:
        return
    with transaction.atomic():
        credentials = Credentials.objects.select_for_update().get(endpoint=endpoint)
        credentials.secrets = {**credentials.secrets, **new}
        credentials.token = None
        credentials.token_obtained_at = credentials.token_expires_at = None
        credentials.save()


def stored(endpoint: Endpoint) -> frozenset[str]:
    """The names of the secrets that are stored, never their values."""
    credentials = Credentials.objects.get(endpoint=endpoint)
    return frozenset(name for name, value in credentials.secrets.items() if value)
