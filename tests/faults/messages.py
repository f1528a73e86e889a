"""The messages of a fault run: each is named by its mark, the ticket and its number among that ticket's."""

from __future__ import annotations

import json
from typing import Any

FILLER = "The uplink of the core switch in building 4 drops for about ten seconds every few minutes. " * 8
ASKABLE, MUTE = "network", "storage"
"""Categories, by which the rules choose the target that can be asked and the one that cannot."""
COMMENT_EVERY = 3
MUTE_EVERY = 8


def mark_of(ticket: str, number: int) -> str:
    """What names one message on its whole way."""
    return f"{ticket}-{number:03d}"


def split(mark: str) -> tuple[str, int]:
    """Ticket and number of a mark. Raises ValueError for any other text."""
    ticket, _, number = mark.rpartition("-")
    return ticket, int(number)


def is_comment(number: int) -> bool:
    """Whether that message of a ticket is a comment; the first creates it, all others update it."""
    return number > 0 and number % COMMENT_EVERY == 0


def is_mute(ticket: str) -> bool:
    """Whether the ticket goes to the target that cannot be asked."""
    return ticket[-1:].isdigit() and int(ticket.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") or 0) % MUTE_EVERY == 7


def body(mark: str, *, mute: bool = False) -> bytes:
    """The message as its sender posts it."""
    ticket, number = split(mark)
    document: dict[str, Any] = {
        "event": {"id": mark, "type": "created" if number == 0 else "updated"},
        "ticket": {"id": ticket, "number": f"INC-{ticket}", "category": MUTE if mute else ASKABLE},
    }
    if is_comment(number):
        document["event"]["type"] = "commented"
        document["comment"] = {"id": mark, "text": mark}
    else:
        document["ticket"] |= {"title": mark, "description": FILLER}
    return json.dumps(document).encode()
