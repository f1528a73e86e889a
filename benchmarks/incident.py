"""The incident that the benchmarks send: 2 KB of JSON, told apart by its reference.

Its description differs from ticket to ticket and repeats itself no more than what people write.
"""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

SIZE = 2048
"""Bytes of one message."""
_STORY = """
the uplink of core switch in building drops for about ten seconds every few minutes and then comes back by
itself users on second floor cannot reach shared drives or print while it is gone we saw this first after last
night's maintenance window when firmware was updated log shows many lines like port flapping detected on
interface restarting spanning tree nobody changed cables but an electrician worked near rack yesterday please
check optics replace module if needed call Jonas at reception before you enter server room because alarm stays
armed until eight workaround: move laptops to wireless network which runs over another line so far four teams
are affected including payroll who must finish today at noon
"""
_TEXT = " ".join(random.Random(4711).choices(_STORY.split(), k=20_000))


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
    start = zlib.crc32(ticket.encode()) % (len(_TEXT) - SIZE)
    document["ticket"]["description"] = _TEXT[start : start + max(missing, 0)]
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
