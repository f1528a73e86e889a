"""The one way in for people, whichever door they come to: username and password, with failures limited."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from oneio import logins
from oneio.client_address import network_of
from oneio.logins import Login

NUL = "\0"


class LimitedBackend(ModelBackend):
    """Django's accounts; who guesses is refused for a while."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The person these belong to. Raises TooManyTries, which says until when."""
        if username is None or password is None:
            return None
        login = Login.of(username, network_of(request))
        logins.check(login)
        # No text in the database can hold a NUL, so nobody is called so.
        user = None if NUL in username else super().authenticate(request, username, password)
        if user is None:
            logins.failed(login)
        else:
            logins.succeeded(login)
        return user

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The same for callers that do not block: Django's own would pass the limits by."""
        return await sync_to_async(self.authenticate)(request, username, password)
