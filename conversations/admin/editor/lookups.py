"""The lookups of the rule on the screen: what they ask about the sample, and what was answered last.

Nobody is asked while a rule is written; only a person's "Try it" asks, and its answer is kept like one that
a message got.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, JsonResponse

from conversations import audit
from conversations.admin.editor import door
from conversations.admin.editor.samples import Sample, Unreadable, find, load
from conversations.lookups import ask_once, kept
from endpoints.admin.checks import client
from endpoints.canonical import Value
from endpoints.configs import EndpointConfigs
from routing.context import view
from routing.drafting import Draft, compile_rule
from routing.lookups import Asked, Lookup
from routing.models import RuleVersion

LONGEST_WAIT = 20.0
"""For so many seconds a person who tries a lookup waits at most."""


@dataclass(frozen=True, slots=True)
class Found:
    """One lookup: what it asks about the sample (None: nothing), and the records of the latest answer (None:
    not answered yet)."""

    place: str
    lookup: Lookup | None
    asked: Asked | None = None
    records: list[Value] | None = None


def found(draft: Draft, sample: Sample, version: RuleVersion) -> list[Found]:
    """Every lookup of the draft, tried on the sample."""
    return list(_found(draft, sample, version))


def read(looked: list[Found]) -> dict[str, Value]:
    """By name what the rule reads of the answers."""
    return {
        one.lookup.name: one.lookup.nothing if one.records is None else one.lookup.read(one.records)
        for one in looked
        if one.lookup is not None
    }


def try_it(request: HttpRequest, pk: int) -> JsonResponse:
    """Ask the question of one lookup, named by its place, about the sample."""
    rule = door.rule_of(request, pk)
    sent = door.sent(request)
    node, _ = door.node_of(rule, sent.get("rule"))
    version = door.version_of(rule)
    message = find(request, sent.get("sample"), version.source_endpoint_id) if version else None
    if node is None or version is None or message is None:
        return JsonResponse({"problem": "Choose a message to try it on first."})
    audit.payload_read(request.user, message)
    draft = compile_rule(node, {}, door.endpoints_of(rule))
    with suppress(Unreadable):
        sample = load(message, version.target_endpoint_id, ())
        for one in _found(draft, sample, version):
            if one.place == f"{node.place}.{sent.get('place')}":
                return JsonResponse({"problem": _ask(one, version)})
    return JsonResponse({"problem": "This lookup cannot be asked yet. Correct it first."})


def _ask(one: Found, version: RuleVersion) -> str:
    if one.lookup is None:
        return "This lookup cannot be asked yet. Correct it first."
    if one.asked is None:
        return "This message lacks what the lookup asks by, so nothing is asked."
    configs = EndpointConfigs()
    seconds = min(one.lookup.timeout.total_seconds(), LONGEST_WAIT)
    source, endpoint = configs.get(version.source_endpoint_id), configs.get(one.asked.endpoint_id)
    http = client()
    try:
        return ask_once(source, endpoint, one.asked, seconds, http)
    finally:
        http.close()


def _found(draft: Draft, sample: Sample, version: RuleVersion) -> Iterator[Found]:
    source = EndpointConfigs().get(version.source_endpoint_id)
    earlier = sample.lookups.get(version.rule_id, {})
    seen = view(sample.document)
    for one in draft.looked:
        asked = one.lookup.question(seen) if one.lookup and one.lookup.endpoint_id else None
        records = kept(source, asked) if asked else None
        if records is None and asked and one.lookup and one.lookup.name in earlier:
            records = _records(earlier[one.lookup.name])
        yield Found(one.place, one.lookup, asked, records)


def _records(answer: Any) -> list[Value]:
    """The records of an answer as a decision kept it."""
    if isinstance(answer, list):
        return answer
    return [answer] if answer else []
