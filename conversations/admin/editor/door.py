"""Who may edit a rule, what it says now, and what the page sends about it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse

from endpoints.models import Endpoint
from oneio import access
from oneio.access import Permission
from oneio.admin.base import may
from routing import compiled, rules, versions
from routing.models import RoutingRule, RuleVersion, TranslationTable
from routing.portable import reading, shape, writing
from routing.portable.reading import Problem
from routing.translation import TableRow


def rule_of(request: HttpRequest, pk: int) -> RoutingRule:
    """The rule, for somebody who may change it."""
    rows = access.readable(request.user, RoutingRule).select_related(
        "environment__organization", "owner", "current_version"
    )
    rule = rows.filter(pk=pk).first()
    if rule is None:
        raise Http404
    if not may(request, Permission.INTEGRATE, rule):
        raise PermissionDenied
    return rule


def version_of(rule: RoutingRule) -> RuleVersion | None:
    """What is edited: the draft, or the current version as long as there is none."""
    found = versions.find_draft(rule) or rule.current_version
    rows = rule.versions.select_related(
        "source_endpoint", "source_entity", "target_endpoint", "target_entity", "rule__owner"
    )
    return rows.get(pk=found.pk) if found else None


def comparison(rule: RoutingRule, version: RuleVersion) -> str:
    """The address of the comparison of draft and current version; empty where one is missing."""
    if rule.current_version_id is None or version.pk == rule.current_version_id:
        return ""
    return reverse("admin:routing_routingrule_compare", args=[rule.pk, rule.current_version_id, version.pk])


def fingerprint(rule: RoutingRule) -> str:
    """The same as long as nobody changes what is edited."""
    version = version_of(rule)
    document = writing.rule_document(rule, version) if version else {}
    text = json.dumps([version.number if version else 0, document], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:32]


def sent(request: HttpRequest) -> dict[str, Any]:
    """The JSON object that the page sends; empty if it is none that can be kept."""
    try:
        found = json.loads(request.body, parse_constant=_refuse)
    except (RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def node_of(rule: RoutingRule, raw: Any) -> tuple[reading.RuleNode | None, list[Problem]]:
    """The rule as the page describes it, and what cannot be read of it."""
    document, problems = reading.look_at({"oneio": shape.FORMAT, "rules": {rule.slug: raw}})
    return next(iter(document.rules), None), problems


def endpoints_of(rule: RoutingRule) -> dict[str, int]:
    """The ids of the environment's endpoints by slug."""
    return dict(access.beside(rule, Endpoint).values_list("slug", "pk"))


def tables_of(rule: RoutingRule) -> dict[str, compiled.TranslationTable]:
    """The environment's translation tables by name; those that cannot run are left out."""
    found = {}
    rows = access.beside(rule, TranslationTable).prefetch_related("rows")
    for row in rows:
        try:
            found[row.name] = rules.table(row)
        except compiled.RuleError:
            continue
    return found


def unsaved_tables(raw: Any) -> dict[str, compiled.TranslationTable]:
    """Tables as they stand in the page, not saved yet; those that cannot be read are left out."""
    document, _ = reading.look_at({"oneio": shape.FORMAT, "tables": raw or {}})
    found = {}
    for node in document.tables:
        wide = bool(node.fields["inputs"])
        try:
            found[node.name] = compiled.TranslationTable(
                node.name,
                rows=() if wide else tuple((sources[0], targets[0]) for sources, targets in node.rows),
                wide=tuple(TableRow(*row) for row in node.rows) if wide else (),
                **{name: _frozen(value) for name, value in node.fields.items()},
            )
        except compiled.RuleError:
            continue
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON.")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def told(problems: list[Problem], place: str) -> list[dict[str, str]]:
    """Problems for the page, each once at its place within the rule; the last word on a place counts."""
    prefix = f"{place}."
    said = {problem.place.removeprefix(prefix): problem.sentence for problem in problems}
    return [{"place": at, "sentence": sentence} for at, sentence in said.items()]
