"""The page that tests a rule's draft on real messages: what would change, before it counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from conversations import proving
from conversations.admin import rule_words
from conversations.proving import Change, Compared, RuleTest
from conversations.trial import KEPT, FieldChange
from oneio import access
from oneio.access import Permission
from oneio.admin.base import may
from oneio.admin.display import chip
from routing import proof
from routing.errors import RuleError
from routing.models import RoutingRule, RuleVersion

SAME_SHOWN = 50
LOOKS: dict[Change, tuple[str, Any, str, str]] = {
    Change.FAILS: ("Fails", "red", "error", "A mapping cannot be worked out any more."),
    Change.NO_LONGER: ("No longer matches", "amber", "remove_circle", "The current version takes it."),
    Change.MATCHES_NOW: ("Newly matches", "blue", "add_circle", "The current version does not take it."),
    Change.DIFFERS: ("Changes", "blue", "edit", "What is sent differs."),
    Change.SAME: ("Same", "grey", "check", "Nothing differs."),
}


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Which messages; then what the draft makes of each."""
    rule = testable(request, pk)
    draft = proving.candidate(rule)
    context = {
        **admin.site.each_context(request),
        "title": f"Test {rule} on real messages",
        "opts": RoutingRule._meta,
        "rule": rule,
        "environment_shown": rule,
        "draft": draft,
        "sizes": proving.LAST,
        "last": _last(request),
        "tickets": request.POST.get("tickets", ""),
    }
    if draft is not None and request.method == "POST":
        context |= _tested(request, rule, draft)
    if draft is not None and draft.published_at is None:
        context["proof"] = proof.test_of(draft)
    return TemplateResponse(request, "routing/rule_test.html", context)


def testable(request: HttpRequest, pk: int) -> RoutingRule:
    """A rule that the person may change and whose messages they may read. Raises Http404 or
    PermissionDenied."""
    found = access.readable(request.user, RoutingRule).filter(pk=pk)
    rule = found.select_related("environment__organization", "current_version").first()
    if rule is None:
        raise Http404
    if not (may(request, Permission.INTEGRATE, rule) and may(request, Permission.READ_PAYLOAD, rule)):
        raise PermissionDenied
    return rule


def _tested(request: HttpRequest, rule: RoutingRule, draft: RuleVersion) -> dict[str, Any]:
    tickets = request.POST.get("tickets", "").replace(",", " ").split()[: proving.TICKETS_AT_ONCE]
    before = request.POST.get("before", "")
    messages = proving.chosen(request.user, rule, tickets, int(before) if before.isdecimal() else None)
    try:
        test = proving.carry_out(request.user, rule, draft, messages, _last(request))
    except RuleError as error:
        return {"problem": f"{error} (field: {error.field.replace('_', ' ')})"}
    return {"test": test, **_lines(test), "rest": max(test.of - test.tested, 0)}


def _lines(test: RuleTest) -> dict[str, Any]:
    order = list(Change)
    found = sorted(test.compared, key=lambda one: order.index(one.change))
    moved = [_line(one) for one in found if one.change is not Change.SAME]
    same = [_line(one) for one in found if one.change is Change.SAME]
    counts = [(chip(*LOOKS[change]), test.counts[change]) for change in Change if test.counts[change]]
    return {"moved": moved, "same": same[:SAME_SHOWN], "hidden": len(same[SAME_SHOWN:]), "counts": counts}


def _line(one: Compared) -> dict[str, Any]:
    account = one.after.account
    return {
        "row": one.message,
        "chip": chip(*LOOKS[one.change]),
        "before": rule_words.short(one.before.finding),
        "after": rule_words.short(one.after.finding),
        "failing": rule_words.failing_conditions(account.verdict) if account else (),
        "problem": one.after.problem,
        "changes": _grouped(one.changes),
        "fields": _grouped(FieldChange(name, None, field) for name, field in one.after.effects.items()),
    }


def _grouped(found: Iterable[FieldChange]) -> tuple[list[FieldChange], list[FieldChange]]:
    """What is sent, and by their own names the conversation variables that are kept."""
    sent: list[FieldChange] = []
    kept: list[FieldChange] = []
    for one in found:
        name = one.name.removeprefix(KEPT)
        (sent if name == one.name else kept).append(replace(one, name=name))
    return sent, kept


def _last(request: HttpRequest) -> int:
    """How many messages: one of those offered."""
    wanted = request.POST.get("last", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) in proving.LAST else 100


view = admin.site.admin_view(page)
