"""The incident that the benchmarks send: 2 KB of JSON, told apart by its reference."""

from __future__ import annotations

import json
from typing import Any

SIZE = 2048
"""Bytes of one message."""
_SENTENCE = "The uplink of the core switch in building 4 drops for about ten seconds every few minutes. "


def reference(ticket: str, sequence: int) -> str:
    """What identifies one message on its whole way: its ticket and its number among that ticket's."""
    return f"{ticket}-{sequence:03d}"


def split(mark: str) -> tuple[str, int]:
    """The ticket and the number that make up a reference."""
    ticket, _, sequence = mark.rpartition("-")
    return ticket, int(sequence)


def body(ticket: str, sequence: int) -> bytes:
    """One message of `ticket`: number 0 creates it, later ones change its title."""
    document = _document(ticket, sequence)
    document["ticket"]["description"] = ""
    missing = SIZE - len(json.dumps(document))
    document["ticket"]["description"] = (_SENTENCE * (missing // len(_SENTENCE) + 1))[: max(missing, 0)]
    return json.dumps(document).encode()


def _document(ticket: str, sequence: int) -> dict[str, Any]:
    mark = reference(ticket, sequence)
    return {
        "event": {
            "id": f"event-{mark}",
            "type": "incident.created" if sequence == 0 else "incident.updated",
            "at": "2026-01-15T09:30:00Z",
            "actor": {"id": "u-4711", "name": "Abel Tuter", "email": "abel.tuter@example.com"},
        },
        "ticket": {
            "id": ticket,
            "number": f"INC{ticket}",
            "mark": mark,
            "title": f"Core switch drops its uplink ({sequence})",
            "status": "in_progress",
            "priority": "1",
            "category": "network",
            "group": "Network Operations",
            "caller": {"id": "u-1", "name": "Bea Winter", "email": "bea.winter@example.com"},
            "item": {"id": "ci-98", "name": "core-switch-04", "class": "network gear"},
            "location": {"site": "Helsinki", "building": "4", "floor": "2"},
            "impact": "2 - Medium",
            "urgency": "1 - High",
            "opened_at": "2026-01-15T09:28:11Z",
        },
    }
