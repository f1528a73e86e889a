"""The systems that one target of a fault run can be, by name, and how an endpoint gets in there."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from endpoints.sandbox.jira.app import JiraSandbox
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options, create_app
from tests.faults import target
from tests.faults.messages import split
from tests.faults.target import Applied, TicketSystem


@dataclass(frozen=True, slots=True)
class Access:
    """An endpoint's settings for one system, and the path of the request that makes a ticket there."""

    kind: str
    creates: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)
    entity: Mapping[str, str] = field(default_factory=lambda: {"name": "incident", "remote_name": "incident"})


INCIDENTS = "/api/now/table/incident"
ACCESS = {
    "rest": Access("rest", "/tickets", {"declaration": target.ASKABLE}),
    "mute": Access("rest", "/tickets", {"declaration": target.MUTE}),
    "servicenow": Access(
        "servicenow", INCIDENTS, {"auth": "basic", "username": "oneio"}, {"password": "oneio"}
    ),
    "servicenow-oauth": Access(
        "servicenow",
        INCIDENTS,
        {"auth": "oauth", "client_id": "oneio-client"},
        {"client_secret": "oneio-secret"},
    ),
    "jira": Access(
        "jira",
        "/rest/api/3/issue",
        {"auth": "basic", "email": "integration@example.com", "project": "OPS"},
        {"api_token": "jira-sandbox-token"},
        {"name": "issue", "remote_name": "Incident", "resolving_value": "*"},
    ),
}
_TICKETS = {"servicenow": ("incident", "short_description"), "jira": ("issue", "summary")}


class System(Protocol):
    """What a fault line needs of the system at its end."""

    @property
    def journal(self) -> list[Applied]:
        """What was done there, in that order."""

    async def start(self) -> int:
        """Serve on a free port; that port."""

    async def stop(self) -> None:
        """Take no new connections."""

    def titles(self) -> dict[str, str]:
        """Ticket id → the title it has now."""


class Simulated:
    """A vendor's simulated system. `index_lag`: seconds by which Jira's search is behind."""

    def __init__(self, name: str, index_lag: float = 0.0) -> None:
        self._kind = ACCESS[name].kind
        self.app = create_app(self._kind, Store(None), Options())
        if isinstance(self.app, JiraSandbox):
            self.app.deployment.change_settings({"index_lag": index_lag})
        self._server = SandboxServer(self.app)

    @property
    def journal(self) -> list[Applied]:
        """One entry for each ticket of ours that is there."""
        return [Applied("create", ticket_id, title, "") for ticket_id, title in self.titles().items()]

    async def start(self) -> int:
        """Serve on a free port; that port."""
        return self._server.start().port

    async def stop(self) -> None:
        """End the server."""
        self._server.stop()

    def titles(self) -> dict[str, str]:
        """Ticket id → title, of the tickets that bear a mark of ours."""
        table, title = _TICKETS[self._kind]
        rows = {str(row.get("id") or row["sys_id"]): _find(row, title) for row in self.app.store.rows(table)}
        return {ticket_id: mark for ticket_id, mark in rows.items() if _is_mark(mark)}

    def requests(self, path: str) -> list[int]:
        """The status of each answer to a request whose path begins so."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self._server.url}/_sandbox/requests", timeout=10) as answer:
            return [one["status"] for one in json.load(answer) if one["path"].startswith(path)]


def system_of(name: str, index_lag: float = 0.0) -> System:
    """The system with that name, not started yet."""
    return TicketSystem() if ACCESS[name].kind == "rest" else Simulated(name, index_lag)


def _find(row: Mapping[str, Any], name: str) -> str:
    return str(row.get(name) or row.get("fields", {}).get(name, ""))


def _is_mark(text: str) -> bool:
    try:
        split(text)
    except ValueError:
        return False
    return True
