"""What a message says, ready to be shown: attributes that rules use first, native values, variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from conversations.models import (
    Attachment,
    Conversation,
    Delivery,
    DeliveryContent,
    Message,
    MessageBody,
)
from endpoints.canonical import decode_attributes
from oneio import access
from oneio.access import Permission
from routing.models import Condition, RuleVersion
from routing.models import Mapping as MappingRow

RAW_SHOWN = 20_000
NATIVE_SHOWN = 500
_NAME = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `used` when a rule that took the message reads it."""

    name: str
    value: Any
    code: Any = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable, before and after the message."""

    name: str
    before: Any
    after: Any

    @property
    def changed(self) -> bool:
        """Whether the message changed it."""
        return bool(self.before != self.after)


def content_of(body: MessageBody, used: frozenset[str]) -> dict[str, Any]:
    """What a message says, as the page shows it; opens the encrypted body. `used` are folded names."""
    canonical = body.canonical or {}
    raw = bytes(body.raw or b"").decode("utf-8", errors="replace")
    native = canonical.get("native")
    shown = attributes(canonical, used)
    rows = native_values(native, shown) if native else []
    return {
        "emptied_at": body.emptied_at,
        "problem": body.problem,
        "actor": canonical.get("actor", {}).get("name", ""),
        "attributes": shown,
        "comments": canonical.get("comments", []),
        "native": native,
        "native_rows": rows[:NATIVE_SHOWN],
        "native_hidden": max(len(rows) - NATIVE_SHOWN, 0),
        "parameters": body.parameters,
        "raw": raw[:RAW_SHOWN],
        "raw_is_cut": len(raw) > RAW_SHOWN,
    }


def attributes(canonical: Mapping[str, Any], used: frozenset[str]) -> list[Attribute]:
    """The attributes, those in use first, each group in the order of the message."""
    codes = canonical.get("codes") or {}
    found = [
        Attribute(name, value, codes.get(name), name.casefold() in used)
        for name, value in decode_attributes(canonical.get("attributes", {})).items()
    ]
    return sorted(found, key=lambda one: not one.used)


def native_values(native: Any, shown: list[Attribute]) -> list[Attribute]:
    """The values of the message as it was sent, by their paths; those that attributes in use come from are
    found by being the same."""
    told = {str(part) for one in shown if one.used for part in (one.value, one.code) if part}
    return [Attribute(path, value, used=str(value) in told) for path, value in flat(native)]


def names_used(request: HttpRequest, deliveries: list[Delivery]) -> frozenset[str]:
    """The folded words in conditions and mappings of the rules that took a message: names of attributes
    among them."""
    tried = [attempt.rule_version_id for row in deliveries for attempt in row.attempts.all()]
    versions = set(filter(None, tried)) or {row.rule.current_version_id for row in deliveries}
    of_versions = (
        access.readable(request.user, RuleVersion).filter(pk__in=filter(None, versions)).values("pk")
    )
    texts = [
        *access.readable(request.user, Condition).filter(version__in=of_versions).values_list("path"),
        *access.readable(request.user, MappingRow)
        .filter(version__in=of_versions)
        .values_list("source", "template"),
    ]
    return frozenset(word.casefold() for row in texts for text in row for word in _NAME.findall(text))


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a JSON document with their paths."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from flat(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from flat(part, f"{path}[{index}]")
    else:
        yield path, value


def variables(request: HttpRequest, message: Message) -> list[Variable]:
    """The conversation's variables before and after a message; empty where none is set or it is in none."""
    own = _snapshots(request, message).filter(delivery__message=message).first()
    if own is None or message.conversation_id is None:
        return []
    before = decode_attributes(own.snapshot.get("conversation", {}))
    later = _snapshots(request, message).filter(delivery__message__gt=message.pk).first()
    if later is not None:
        after = decode_attributes(later.snapshot.get("conversation", {}))
    else:
        readable = access.readable(request.user, Conversation, Permission.READ_PAYLOAD)
        after = decode_attributes(readable.get(pk=message.conversation_id).variables)
    return [Variable(name, before.get(name), after.get(name)) for name in {**before, **after}]


def runtime_variables(request: HttpRequest, message: Message) -> list[tuple[str, dict[str, Any]]]:
    """What each rule worked out for itself, by the rule's name."""
    found: dict[str, dict[str, Any]] = {}
    for content in _snapshots(request, message).filter(delivery__message=message):
        worked_out = decode_attributes(content.snapshot.get("variables", {}))
        if worked_out:
            found.setdefault(content.delivery.rule.name, {}).update(worked_out)
    return list(found.items())


def files(request: HttpRequest, message: Message) -> list[Attachment]:
    """The files that came with a message; their names are encrypted."""
    rows = access.readable(request.user, Attachment, Permission.READ_PAYLOAD)
    return list(rows.filter(message=message))


def _snapshots(request: HttpRequest, message: Message) -> Any:
    rows = access.readable(request.user, DeliveryContent, Permission.READ_PAYLOAD)
    own = rows.filter(delivery__conversation=message.conversation_id).exclude(delivery__part="write_back")
    return own.select_related("delivery__rule").order_by("delivery__message_id", "delivery__pk")
