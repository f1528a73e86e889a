"""Answers what the rule on the screen would make of a real message; writes nothing but who read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, JsonResponse

from conversations import audit
from conversations.admin.editor import door, lookups
from conversations.admin.editor.requests import requests
from conversations.admin.editor.samples import Sample, Unreadable, find, load
from conversations.models import Message
from endpoints.configs import EndpointConfigs
from oneio.paths import MISSING
from oneio.template_values import to_text
from routing.drafting import Draft, compile_rule
from routing.models import RuleVersion
from routing.trying import Answer, Given, Trial, try_on

MAX_SHOWN = 2000
"""Characters of one value."""


def preview(request: HttpRequest, pk: int) -> JsonResponse:
    """What cannot run, and with a message what each condition and mapping gives and what would be sent."""
    rule = door.rule_of(request, pk)
    sent = door.sent(request)
    node, problems = door.node_of(rule, sent.get("rule"))
    version = door.version_of(rule)
    if node is None or version is None:
        return JsonResponse({"problems": door.told(problems, "")})
    tables = door.tables_of(rule) | door.unsaved_tables(sent.get("tables"))
    draft = compile_rule(node, tables, door.endpoints_of(rule))
    answer: dict[str, Any] = {"problems": door.told([*problems, *draft.problems], node.place)}
    message = find(request, sent.get("sample"), version.source_endpoint_id)
    if message is not None:
        answer |= _tried(request, draft, message, version, node.place)
    return JsonResponse(answer)


def _tried(
    request: HttpRequest, draft: Draft, message: Message, version: RuleVersion, place: str
) -> dict[str, Any]:
    audit.payload_read(request.user, message)
    targets = {name for one in draft.mapped if one.row for name in one.row.targets}
    try:
        sample = load(message, version.target_endpoint_id, targets)
    except Unreadable as problem:
        return {"unreadable": str(problem)}
    routes = draft.rule.action == "route"
    looked = lookups.found(draft, sample, version)
    document = {**sample.document, "lookups": lookups.read(looked)}
    sample = replace(sample, document=document)
    created = try_on(draft, {**document, "target": {}}, "create" if routes else None)
    updated = try_on(draft, document, "update") if sample.ticket and routes else None
    trial = updated or created
    return {
        "sample": _sample(sample),
        "matched": trial.matched,
        "action": ("update" if updated else "create") if routes else "",
        "answers": [_answer(one, place) for one in trial.answers],
        "given": [_given(one, place) for one in _both(created, updated)],
        "lookups": [_looked(one, place) for one in looked],
        "variables": {name: _text(value) for name, value in trial.variables.items()},
        "requests": _requests(draft, created, updated, sample, version),
    }


def _both(created: Trial, updated: Trial | None) -> list[Given]:
    """What each mapping gives in the case that the message is; of one that runs only in the other, that."""
    if updated is None:
        return list(created.given)
    pairs = zip(created.given, updated.given, strict=True)
    return [
        replace(before, why="only on create") if now.fate == "left_out" and "only on" in now.why else now
        for before, now in pairs
    ]


def _requests(
    draft: Draft, created: Trial, updated: Trial | None, sample: Sample, version: RuleVersion
) -> list[dict[str, Any]]:
    if version.target_endpoint_id is None or version.target_entity is None or draft.rule.action != "route":
        return []
    target = EndpointConfigs().get(version.target_endpoint_id)
    return requests(draft, created, updated, sample, target, version.target_entity.name)


def _sample(sample: Sample) -> dict[str, Any]:
    canonical = sample.canonical
    return {
        "id": sample.message.pk,
        "operation": canonical.operation.value,
        "attributes": {name: _text(value) for name, value in canonical.attributes.items()},
        "codes": dict(canonical.codes),
        "changed": list(sample.changed),
    }


def _answer(one: Answer, place: str) -> dict[str, Any]:
    actual = "" if one.actual is MISSING else _text(one.actual)
    return {"place": one.place.removeprefix(f"{place}."), "holds": one.holds, "actual": actual,
            "missing": one.actual is MISSING}  # fmt: skip


def _looked(one: lookups.Found, place: str) -> dict[str, Any]:
    asked = one.asked.criteria if one.asked else ()
    records = [record for record in one.records or () if isinstance(record, dict)]
    told = [{name: _text(value) for name, value in record.items()} for record in records]
    return {
        "place": one.place.removeprefix(f"{place}."),
        "asked": [[name, _text(text)] for name, text in asked],
        "records": None if one.records is None else told,
    }


def _given(one: Given, place: str) -> dict[str, Any]:
    values = {name: _text(value) for name, value in one.values.items()}
    return {"place": one.place.removeprefix(f"{place}."), "fate": one.fate, "values": values, "why": one.why}


def _text(value: Any) -> str:
    text = "" if value is None else to_text(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
