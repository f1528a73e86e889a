"""Saves what the editor shows: the whole draft, or one translation table; never over another's work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse

from conversations.admin.editor import door, offers
from oneio import access
from oneio.admin import display
from oneio.admin.base import decisions_on, note
from routing.drafting import compile_rule
from routing.models import RoutingRule
from routing.portable import importing, reading, shape
from routing.portable.noting import note_import
from routing.portable.reading import Problem, RuleNode, Unimportable

CONFLICT = 409


def save(request: HttpRequest, pk: int) -> JsonResponse:
    """Write the draft, unless it cannot run or somebody else has changed it meanwhile."""
    rule = door.rule_of(request, pk)
    sent = door.sent(request)
    node, problems = door.node_of(rule, sent.get("rule"))
    if node is not None:
        problems = [
            *problems,
            *compile_rule(node, door.tables_of(rule), door.endpoints_of(rule)).problems,
            *_identity(request, rule, node),
        ]
    if node is None or problems:
        return _refused(problems, node.place if node else "")
    with transaction.atomic():
        access.beside(rule, RoutingRule).select_for_update(of=("self",)).get(pk=rule.pk)
        if sent.get("fingerprint") != door.fingerprint(rule):
            return JsonResponse({"saved": False, "conflict": _who(rule)}, status=CONFLICT)
        try:
            draft = importing.write_draft(rule, node)
        except Unimportable as refused:
            return _refused(list(refused.problems), node.place)
        note(request, [rule], f"Saved the draft of v{draft.number}")
    answer: dict[str, Any] = {"saved": True, "number": draft.number, "compare": door.comparison(rule, draft)}
    answer |= {"fingerprint": door.fingerprint(rule), "findings": offers.findings(rule)}
    return JsonResponse(answer)


def save_table(request: HttpRequest, pk: int) -> JsonResponse:
    """Write one translation table; it counts at once, for every rule that uses it."""
    rule = door.rule_of(request, pk)
    sent = door.sent(request)
    document, problems = reading.look_at({"oneio": shape.FORMAT, "tables": sent.get("table") or {}})
    if problems or len(document.tables) != 1:
        return _refused(problems, "")
    try:
        with transaction.atomic():
            report = importing.import_document(rule.environment, document)
            note_import(request, rule.environment, report, "Saved in the mapping editor")
    except Unimportable as refused:
        return _refused(list(refused.problems), "")
    return JsonResponse(
        {"saved": True, "changed": [str(one) for change in report.changes for one in change.differences]}
    )


def _identity(request: HttpRequest, rule: RoutingRule, node: RuleNode) -> Iterator[Problem]:
    """What is wrong with the rule itself: a name that another has, an owner whom one may not name."""
    others = access.beside(rule, RoutingRule).exclude(pk=rule.pk)
    if others.filter(name=node.rule["name"]).exists():
        yield Problem(
            f"{node.place}.name", "Another rule of this environment has this name. Choose a different one."
        )
    if node.owner and node.owner not in offers.owners(rule, request.user):
        yield Problem(f"{node.place}.owner", "You may name yourself. Ask an administrator for somebody else.")


def _refused(problems: list[Problem], place: str) -> JsonResponse:
    return JsonResponse({"saved": False, "problems": door.told(problems, place)})


def _who(rule: RoutingRule) -> str:
    """Who changed the rule last, in a sentence."""
    last: Any = decisions_on(rule).order_by("-action_time").first()
    by = f"{last.user} saved it {display.relative(last.action_time)}" if last else "It was saved meanwhile"
    return (
        f"{by}, after you opened it. Your changes are still here and were not saved. Look at the other draft"
        " in a second window, then load it here and make your changes again."
    )
