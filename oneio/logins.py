"""How many failed logins of people are let through, and for how long further ones are refused.

Nobody is locked: a login is refused while there are too many failures among those of the last minutes, and
refused ones are not among them. Names and networks are kept as keyed hashes only: people type passwords into
the wrong field, and nobody needs to read them back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from oneio.client_address import network
from oneio.crypto import keyed_hash
from oneio.models import LoginTry

logger = logging.getLogger(__name__)
# A network from which somebody got in stays theirs for so long, and is noted again after a while.
KNOWN_FOR = timedelta(days=30)
NOTED_FOR = timedelta(days=1)
ROWS_AT_ONCE = 500


class TooManyTries(Exception):
    """Logins like this one are refused for `seconds` more, the right password included."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = max(1, math.ceil(wait.total_seconds()))
        minutes = math.ceil(self.seconds / 60)
        super().__init__(
            "There were too many failed logins with this username or from your network. To keep out people "
            "who guess passwords, none is accepted for now, not even with the right password. Try again in "
            f"{minutes} minute{'' if minutes == 1 else 's'}, or ask an administrator to let you in."
        )


@dataclass(frozen=True, slots=True)
class Login:
    """Who tries to get in (a hash) and from where (as text for the log, and a hash; empty if not known)."""

    name: bytes
    place: str
    network: bytes

    @classmethod
    def of(cls, name: str, place: str) -> Login:
        """A login with that username, existing or not, from that network."""
        return cls(_name_hash(name), place, _network_hash(place) if place else b"")


class Try(NamedTuple):
    """One earlier login and how long ago it was."""

    name: bytes
    network: bytes
    succeeded: bool
    age: timedelta


def check(login: Login) -> list[Try]:
    """The tries that count for this one. Raises TooManyTries."""
    tries = _tries(login)
    wait = remaining(login, tries)
    if wait > timedelta(0):
        raise TooManyTries(wait)
    return tries


def failed(login: Login) -> None:
    """Keep that it failed."""
    LoginTry.objects.create(name=login.name, network=login.network, succeeded=False)
    wait = remaining(login, _tries(login))
    if wait > timedelta(0):
        seconds = math.ceil(wait.total_seconds())
        logger.warning(
            "Too many failed logins, the last from %s: refused for %d s", login.place or "?", seconds
        )


def succeeded(login: Login) -> None:
    """Forget what failed here before, and keep that this person comes from this network.

    Raises TooManyTries if others used up the tries while the password was compared."""
    own = _own(login, check(login))
    if own and all(one.succeeded and one.age < NOTED_FOR for one in own):
        return
    with transaction.atomic():
        _delete(LoginTry.objects.filter(name=login.name, network=login.network))
        LoginTry.objects.create(name=login.name, network=login.network, succeeded=True)


def free(name: str = "", address: str = "") -> int:
    """Forget the failures with a username, from an address, or both together; without either, all.

    Returns how many there were."""
    failures = LoginTry.objects.filter(succeeded=False)
    if name:
        failures = failures.filter(name=_name_hash(name))
    if address:
        failures = failures.filter(network=_network_hash(network(address)))
    return _delete(failures)


def forget_old() -> int:
    """Delete what counts no more. Returns how many rows."""
    past = Q(succeeded=False, at__lte=Now() - _window()) | Q(at__lte=Now() - KNOWN_FOR)
    return _delete(LoginTry.objects.filter(past))


def remaining(login: Login, tries: Iterable[Try]) -> timedelta:
    """For how long a login is still refused, by the earlier ones; nothing or less: not at all.

    Failures from elsewhere keep nobody out of a network from which they got in before: otherwise a stranger
    who goes on guessing could keep a person out for ever.
    """
    failures = [one for one in tries if not one.succeeded]
    known = any(one.succeeded for one in _own(login, tries))
    per_name = 0 if known else settings.LOGIN_FAILURES_PER_NAME
    per_address = settings.LOGIN_FAILURES_PER_ADDRESS if login.network else 0
    return max(
        _until_fewer(settings.LOGIN_FAILURES, _own(login, failures)),
        _until_fewer(per_name, [one for one in failures if one.name == login.name]),
        _until_fewer(per_address, [one for one in failures if one.network == login.network]),
    )


def _until_fewer(limit: int, failures: list[Try]) -> timedelta:
    """How long until fewer than `limit` are recent; a limit of 0 limits nothing."""
    if not 0 < limit <= len(failures):
        return timedelta(0)
    return _window() - sorted(one.age for one in failures)[limit - 1]


def _own(login: Login, tries: Iterable[Try]) -> list[Try]:
    return [one for one in tries if (one.name, one.network) == (login.name, login.network)]


def _tries(login: Login) -> list[Try]:
    near = Q(name=login.name) | Q(network=login.network)
    recent = near & Q(succeeded=False, at__gt=Now() - _window())
    known = Q(name=login.name, network=login.network, succeeded=True, at__gt=Now() - KNOWN_FOR)
    rows = LoginTry.objects.filter(recent | known).annotate(age=Now() - F("at"))
    return [
        Try(bytes(name), bytes(place), succeeded, age)
        for name, place, succeeded, age in rows.values_list("name", "network", "succeeded", "age")
    ]


def _delete(rows: QuerySet[LoginTry]) -> int:
    """Delete batch after batch; what somebody else has in hand is being deleted by them."""
    gone = 0
    while True:
        with transaction.atomic():
            found = rows.select_for_update(skip_locked=True).values_list("pk", flat=True)
            keys = list(found[:ROWS_AT_ONCE])
            LoginTry.objects.filter(pk__in=keys).delete()
        gone += len(keys)
        if len(keys) < ROWS_AT_ONCE:
            return gone


def _window() -> timedelta:
    return timedelta(seconds=settings.LOGIN_WINDOW_SECONDS)


def _name_hash(name: str) -> bytes:
    return keyed_hash("login name", name)


def _network_hash(place: str) -> bytes:
    return keyed_hash("login network", place)
