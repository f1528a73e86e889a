"""How a connected system proves who it is: its receiver username and password, and their change.

A password is 256 random bits, so a keyed hash keeps it safe; a slow hash would only slow down receiving.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from endpoints.models import Endpoint, ReceiverLogin
from oneio.crypto import keyed_hash
from oneio.deadline import database_deadline
from oneio.together import shared

PASSWORD_BYTES = 32
GRACE = timedelta(hours=24)
# How long a process may take a sender's word without asking the database, and how many senders it knows.
IDENTIFIED_SECONDS = 1.0
IDENTIFIED_AT_MOST = 1000
_identified: dict[bytes, tuple[Endpoint, float]] = {}
# Compared with when nobody has that username, so that the answer takes as long as for a wrong password.
_NOBODY = secrets.token_bytes(32)


class UsernameRefused(ValueError):
    """This receiver username cannot be used; the text says why and what to do."""


def generate_password() -> str:
    """A new receiver password of 256 random bits, safe in a URL."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def set_password(endpoint: Endpoint, username: str, password: str, grace: timedelta = GRACE) -> None:
    """Make `username` and `password` the endpoint's receiver login, from now on.

    The login used so far works on for `grace` (zero: ends now); one before it ends now in any case.
    Raises UsernameRefused.
    """
    check_username(username)
    try:
        with transaction.atomic():
            Endpoint.objects.select_for_update().get(pk=endpoint.pk)
            _retire(endpoint.receiver_logins.all(), grace)
            endpoint.receiver_logins.create(
                organization_id=endpoint.organization_id,
                username=username,
                password_hash=_password_hash(username, password),
                token_hash=_token_hash(password),
            )
    except IntegrityError:
        raise UsernameRefused(
            f"Another endpoint already uses the receiver username “{username}”. Choose a different one."
        ) from None
    forget_identified()


def check_username(username: str) -> None:
    """Refuse what HTTP Basic cannot carry. Raises UsernameRefused."""
    if not username or ":" in username or not username.isprintable() or len(username) > 100:
        raise UsernameRefused("A receiver username has 1 to 100 printable characters and no colon.")


def grace_ends(endpoint: Endpoint) -> datetime | None:
    """Until when the previous receiver password still works; None if only the current one does."""
    old = endpoint.receiver_logins.filter(valid_until__gt=Now()).first()
    return old.valid_until if old else None


def identify(username: str, password: str) -> Endpoint | None:
    """The endpoint these HTTP Basic credentials belong to, with its environment; one query a second."""
    given = _password_hash(username, password)
    return _recently(given) or _by_password((username, given))


def identify_token(token: str) -> Endpoint | None:
    """The endpoint whose receiver password is `token`, with its environment; one query a second."""
    given = _token_hash(token)
    return _recently(given) or _by_token(given)


def forget_identified() -> None:
    """Ask the database about every sender again."""
    _identified.clear()


@shared
def _by_password(login: tuple[str, bytes]) -> Endpoint | None:
    username, given = login
    return _recently(given) or _remember(given, "password_hash", _valid().filter(username=username))


@shared
def _by_token(given: bytes) -> Endpoint | None:
    return _recently(given) or _remember(given, "token_hash", _valid().filter(token_hash=given))


def _recently(given: bytes) -> Endpoint | None:
    endpoint, until = _identified.get(given, (None, 0.0))
    return endpoint if time.monotonic() < until else None


def _remember(given: bytes, column: str, logins: QuerySet[ReceiverLogin]) -> Endpoint | None:
    """Known senders only, so that guesses do not fill the memory."""
    with database_deadline():
        endpoint = _matching(given, ((bytes(getattr(login, column)), login) for login in logins))
    if endpoint is not None:
        if len(_identified) >= IDENTIFIED_AT_MOST:
            _identified.clear()
        _identified[given] = (endpoint, time.monotonic() + IDENTIFIED_SECONDS)
    return endpoint


def _retire(logins: QuerySet[ReceiverLogin], grace: timedelta) -> None:
    logins.filter(valid_until__isnull=False).delete()
    if grace > timedelta(0):
        logins.update(valid_until=Now() + grace)
    else:
        logins.delete()


def _valid() -> QuerySet[ReceiverLogin]:
    current = Q(valid_until=None) | Q(valid_until__gt=Now())
    return ReceiverLogin.objects.filter(current).select_related("endpoint__environment")


def _matching(given: bytes, stored: Iterable[tuple[bytes, ReceiverLogin]]) -> Endpoint | None:
    found = None
    hmac.compare_digest(given, _NOBODY)
    for known, login in stored:
        if hmac.compare_digest(given, known):
            found = login.endpoint
    return found


def _password_hash(username: str, password: str) -> bytes:
    return keyed_hash("receiver password", username, password)


def _token_hash(password: str) -> bytes:
    return keyed_hash("receiver token", password)
