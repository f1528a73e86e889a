"""The environment a person works in: chosen once, kept for the session, shown on every page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from oneio import access
from oneio.models import Environment

KEY = "environment"


def choices(request: HttpRequest) -> list[Environment]:
    """The environments that the user may work in; asked once per request."""
    known: list[Environment] | None = request.__dict__.get("_environments")
    if known is None:
        rows = access.environments(request.user).select_related("organization")
        known = request.__dict__["_environments"] = list(rows.order_by("organization__name", "kind"))
    return known


def chosen(request: HttpRequest) -> Environment | None:
    """The one that lists are cut down to: what the address says, else what was chosen; None for all."""
    wanted = request.GET.get(KEY) or str(request.session.get(KEY, ""))
    offered = choices(request)
    only = offered[0] if len(offered) == 1 else None
    return next((row for row in offered if str(row.pk) == wanted), only)


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the choice and go on where the person was."""
    wanted = request.POST.get(KEY, "")
    if any(str(row.pk) == wanted for row in choices(request)):
        request.session[KEY] = wanted
    else:
        request.session.pop(KEY, None)
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure())
    return HttpResponseRedirect(target if safe else reverse("admin:index"))


def bar(request: HttpRequest, page: Any) -> dict[str, Any]:
    """What the bar over a page shows. `page` is the template's context: a page about one row (`row`,
    `original`, or `environment_shown` where those have other uses) shows where that row lies, whatever was
    chosen, and a choice made there leads to the list."""
    row = page.get("environment_shown") or page.get("row") or page.get("original")
    of_row = row if isinstance(row, Environment) else _environment_of(request, row)
    return {
        "request": request,
        "now": of_row or chosen(request),
        "choices": choices(request),
        "next": _list_of(page) if of_row else request.path,
    }


def _environment_of(request: HttpRequest, row: Any) -> Environment | None:
    """Where a row lies, if it names its environment itself."""
    lies_in = getattr(row, "environment_id", None)
    return next((environment for environment in choices(request) if environment.pk == lies_in), None)


def _list_of(page: Any) -> str:
    options = page.get("opts")
    try:
        return reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
    except (AttributeError, NoReverseMatch):
        return reverse("admin:index")
