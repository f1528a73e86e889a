"""The login page: a refusal is told in its form, with the status and header that programs look for.

Not among the admin's modules: the admin's site imports the form while it is being made, they need it made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from oneio.logins import TooManyTries

if TYPE_CHECKING:
    from django.contrib.admin.forms import AdminAuthenticationForm as AuthenticationForm
else:
    from unfold.forms import AuthenticationForm


class LoginForm(AuthenticationForm):
    """Username and password."""

    refusal: TooManyTries | None = None

    def clean(self) -> dict[str, Any]:
        """Look the person up. Raises ValidationError."""
        try:
            return super().clean()
        except TooManyTries as refusal:
            self.refusal = refusal
            raise ValidationError(str(refusal), code="too_many_tries") from None


def login(request: HttpRequest) -> HttpResponse:
    """The login page; 429 where further tries are refused."""
    response = admin.site.login(request)
    context = response.context_data if isinstance(response, TemplateResponse) else None
    refusal = getattr((context or {}).get("form"), "refusal", None)
    if refusal is not None:
        response.status_code = 429
        response["Retry-After"] = str(refusal.seconds)
    return response
