"""A small remote ticket system: it does what it is asked, blindly, and journals all it did in that order.

It recognises no repetition, so whatever is sent to it twice is there twice. It can be asked for an effect
key; the endpoint of a system that cannot be asked simply has no lookup in its declaration.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.faults.framing import Framed, answer, read_message
from tests.faults.messages import split

Answer = tuple[str, Any]
NOT_FOUND: Answer = ("404 Not Found", {"error": "There is no such ticket."})

_COMMON = """
attributes:
  title: title
  description: description
  category: category
inbound:
  id: id
operations:
  create:
    path: /tickets
    body: {ticket: "{{ fields }}", effect_key: "{{ effect_key }}"}
    id: id
    number: number
    success: [201]
  update:
    method: PUT
    path: /tickets/{{ target.id }}
    body: {ticket: "{{ fields }}"}
  comment:
    path: /tickets/{{ target.id }}/comments
    body: {text: "{{ comment.text }}", effect_key: "{{ effect_key }}"}
    id: id
    success: [201]
"""
_LOOKUPS = """  lookup:
    path: /tickets
    query: {effect_key: "{{ effect_key }}"}
    items: found
    key: effect_key
    id: id
    number: number
  lookup_comment:
    path: /tickets/{{ target.id }}/comments
    query: {effect_key: "{{ effect_key }}"}
    items: found
    key: effect_key
    id: id
"""
ASKABLE = _COMMON + _LOOKUPS
"""The declaration of the system when it can be asked for what it has."""
MUTE = _COMMON
"""The declaration of a system that cannot be asked."""


class Applied(NamedTuple):
    """One thing done: `what` is create, update or comment; `mark` names the message that led to it."""

    what: str
    ticket_id: str
    mark: str
    effect_key: str


@dataclass(slots=True)
class Ticket:
    """One ticket as the system holds it."""

    id: str
    effect_key: str
    fields: dict[str, Any]
    comments: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, str]:
        """What a search shows of it."""
        return {"id": self.id, "number": self.id, "effect_key": self.effect_key}


class TicketSystem:
    """The system and its HTTP server. The ids of its tickets begin with `prefix`."""

    def __init__(self, prefix: str = "T") -> None:
        self.prefix = prefix
        self.tickets: dict[str, Ticket] = {}
        self.journal: list[Applied] = []
        self.lookups = 0
        self._by_effect: dict[str, list[Ticket]] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Serve on a free port; that port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Take no new connections."""
        if self._server is not None:
            self._server.close()

    def titles(self) -> dict[str, str]:
        """Ticket id → the title it has now."""
        return {ticket.id: ticket.fields["title"] for ticket in self.tickets.values()}

    def carry_out(self, method: str, path: str, document: dict[str, Any]) -> Answer:
        """Do what one request asks; status line and document of the answer."""
        parts = urlsplit(path)
        effect_key = parse_qs(parts.query).get("effect_key", [""])[0]
        match method, parts.path.strip("/").split("/"):
            case "POST", ["tickets"]:
                return self._create(document)
            case "GET", ["tickets"]:
                return self._found([ticket.as_json() for ticket in self._by_effect.get(effect_key, [])])
            case "PUT", ["tickets", ticket_id]:
                return self._update(ticket_id, document)
            case "POST", ["tickets", ticket_id, "comments"]:
                return self._comment(ticket_id, document)
            case "GET", ["tickets", ticket_id, "comments"] if ticket_id in self.tickets:
                comments = self.tickets[ticket_id].comments
                return self._found([one for one in comments if one["effect_key"] == effect_key])
        return NOT_FOUND

    def _create(self, document: dict[str, Any]) -> Answer:
        ticket = Ticket(f"{self.prefix}{len(self.tickets) + 1}", document["effect_key"], document["ticket"])
        self.tickets[ticket.id] = ticket
        self._by_effect.setdefault(ticket.effect_key, []).append(ticket)
        self._note("create", ticket, ticket.fields["title"], ticket.effect_key)
        return "201 Created", ticket.as_json()

    def _update(self, ticket_id: str, document: dict[str, Any]) -> Answer:
        ticket = self.tickets.get(ticket_id)
        if ticket is None:
            return NOT_FOUND
        ticket.fields |= document["ticket"]
        self._note("update", ticket, ticket.fields["title"], "")
        return "200 OK", ticket.as_json()

    def _comment(self, ticket_id: str, document: dict[str, Any]) -> Answer:
        ticket = self.tickets.get(ticket_id)
        if ticket is None:
            return NOT_FOUND
        comment = {**document, "id": f"{ticket.id}-C{len(ticket.comments) + 1}"}
        ticket.comments.append(comment)
        self._note("comment", ticket, comment["text"], comment["effect_key"])
        return "201 Created", {"id": comment["id"]}

    def _found(self, items: list[dict[str, str]]) -> Answer:
        self.lookups += 1
        return "200 OK", {"found": items}

    def _note(self, what: str, ticket: Ticket, mark: str, effect_key: str) -> None:
        split(mark)  # what is no message of ours must not be counted as one
        self.journal.append(Applied(what, ticket.id, mark, effect_key))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(self._answer(await read_message(reader)))
                await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            return  # whoever asked has gone, or all is over
        finally:
            writer.close()

    def _answer(self, asked: Framed) -> bytes:
        method, path, _ = asked.words
        return answer(*self.carry_out(method, path, json.loads(asked.body or b"{}")))
