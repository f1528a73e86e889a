"""The form field that makes a new receiver password: shown once, working from Save on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.core import signing
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.widgets import INPUT_CLASSES, SELECT_CLASSES

from endpoints import receiver_logins

SALT = "receiver password"
GOOD_FOR_SECONDS = 3600
GRACES = {"24": "in 24 hours", "1": "in 1 hour", "168": "in 7 days", "0": "now"}


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A receiver login to be set: an empty username means the present one, or one made from names."""

    username: str
    password: str
    grace: timedelta


def offer() -> str:
    """A new password, signed: only passwords that we made are accepted back."""
    return signing.dumps(receiver_logins.generate_password(), salt=SALT)


def opened(token: str) -> str | None:
    """The password in a signed offer; None when it is too old or not ours."""
    try:
        password: str = signing.loads(token, salt=SALT, max_age=GOOD_FOR_SECONDS)
    except signing.BadSignature:
        return None
    return password


def fragment(name: str, token: str, username: str = "", grace: str = "24") -> SafeString:
    """The part of the form that shows a new password."""
    context = {
        "name": name,
        "token": token,
        "password": opened(token),
        "username": username,
        "grace": grace,
        "graces": GRACES.items(),
        "input_classes": " ".join(INPUT_CLASSES),
        "select_classes": " ".join(SELECT_CLASSES),
    }
    return render_to_string("endpoints/new_password.html", context)


class NewPasswordWidget(forms.Widget):
    """A button that fetches a new password, or the password that was fetched."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, str] | None:
        """What the fragment's fields hold; None when no password was generated."""
        if not data.get(f"{name}-token"):
            return None
        return {part: data.get(f"{name}-{part}", "") for part in ("token", "username", "grace")}

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The button, or the fragment again after an error elsewhere in the form."""
        shown = fragment(name, **value) if isinstance(value, dict) and opened(value["token"]) else ""
        return render_to_string("endpoints/generate_password.html", {"name": name, "shown": shown})


class NewPasswordField(forms.Field):
    """Cleans to a NewLogin, or None when nothing was generated."""

    widget = NewPasswordWidget

    def clean(self, value: Any) -> NewLogin | None:
        """Check signature, username and grace."""
        if not value:
            return None
        password = opened(value["token"])
        if password is None:
            raise forms.ValidationError("This password is no longer valid. Generate a new one.")
        username = value["username"].strip()
        if value["grace"] not in GRACES:
            raise forms.ValidationError("Choose when the old password ends.")
        if username:
            self._check(username)
        return NewLogin(username, password, timedelta(hours=int(value["grace"])))

    def _check(self, username: str) -> None:
        try:
            receiver_logins.check_username(username)
        except receiver_logins.UsernameRefused as refused:
            raise forms.ValidationError(str(refused)) from None
