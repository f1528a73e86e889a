"""The management API about rules and real messages: test drafts, check golden tickets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from conversations import golden, proving
from conversations.golden import Checked
from conversations.models import GoldenTicket
from conversations.proving import Change, Compared, RuleTest
from conversations.sender import Outgoing
from endpoints.canonical import encode
from oneio import access
from oneio.access import Permission
from routing.api import ManagementView
from routing.errors import RuleError
from routing.models import RoutingRule


class RuleTestView(ManagementView):
    """A draft on real messages."""

    parser_classes = (JSONParser, FormParser)

    def post(self, request: Request, **named: str) -> Response:
        """Try the draft on the `last` messages of its source; with `ticket`, which may stand several times,
        only on those of these tickets."""
        environment = self.environment(request, Permission.INTEGRATE, **named)
        self.environment(request, Permission.READ_PAYLOAD, **named)
        rules = access.readable(request.user, RoutingRule).filter(environment=environment)
        rule = rules.select_related("current_version").filter(slug=named["rule"]).first()
        draft = proving.candidate(rule) if rule else None
        if rule is None or draft is None:
            raise Http404
        tickets = request.query_params.getlist("ticket")[: proving.TICKETS_AT_ONCE]
        before = _number(request, "before", None)
        messages = proving.chosen(request.user, rule, tickets, before)
        last = _number(request, "last", 100)
        try:
            test = proving.carry_out(request.user, rule, draft, messages, min(last or 100, max(proving.LAST)))
        except RuleError as error:
            return Response({"problems": [f"{error.field}: {error}"]}, status=422)
        return Response(_words(test))


class GoldenTicketsView(ManagementView):
    """Golden tickets, checked when they are asked for."""

    def get(self, request: Request, **named: str) -> Response:
        """Check those of the environment, or of one `rule`; with `drafts=1` drafts where there are any."""
        environment = self.environment(request, Permission.READ_PAYLOAD, **named)
        cases = access.readable(request.user, GoldenTicket, Permission.READ_PAYLOAD)
        cases = cases.filter(environment=environment).select_related("rule__current_version")
        if slug := request.query_params.get("rule", ""):
            cases = cases.filter(rule__slug=slug)
        drafts = request.query_params.get("drafts") in ("1", "true")
        found = golden.check(cases.order_by("rule__slug", "name"), drafts=drafts)
        failed = sum(not one.passed for one in found)
        return Response({"checked": len(found), "failed": failed, "cases": [_case(one) for one in found]})


def _case(one: Checked) -> dict[str, Any]:
    return {
        "rule": one.case.rule.slug,
        "name": one.case.name,
        "passed": one.passed,
        "problem": one.problem,
        "deviations": [asdict(deviation) for deviation in one.deviations],
    }


def _number(request: Request, name: str, otherwise: int | None) -> int | None:
    given = request.query_params.get(name, "")
    if not given:
        return otherwise
    if not given.isdecimal() or len(given) > 18:
        raise ValidationError(f"{name} must be a number.")
    return int(given)


def _words(test: RuleTest) -> dict[str, Any]:
    current = test.rule.current_version
    return {
        "rule": test.rule.slug,
        "draft": test.draft.number,
        "current": current.number if current else None,
        "of": test.of,
        "tested": test.tested,
        "matches": test.matches,
        "matched": test.matched,
        "fails": test.failing,
        "changes": {change.value: test.counts[change] for change in Change},
        "continue_before": test.left,
        "messages": [_message(one) for one in test.compared],
    }


def _message(one: Compared) -> dict[str, Any]:
    return {
        "message": one.message.pk,
        "ticket": one.message.number or one.message.external_id,
        "change": one.change.value,
        "before": one.before.finding,
        "after": one.after.finding,
        "problem": one.after.problem,
        "fields": {name: _field(field) for name, field in one.after.effects.items()},
        "differences": [
            {"field": change.name, "before": _field(change.before), "after": _field(change.after)}
            for change in one.changes
        ],
    }


def _field(field: Outgoing | None) -> Any:
    if field is None:
        return None
    return {"problem": field.problem} if field.problem else {"value": encode(field.value)}
