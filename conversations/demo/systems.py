"""The three systems as the people of the story meet them: over HTTP, from outside.

What changes something looks first whether it is done already, so that it may be repeated after an answer
that got lost on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from endpoints.http import HttpAnswer, HttpClient, HttpRequest

ANSWER_SECONDS = 10.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# The simulated instance's own administrator, who looks but changes nothing.
SERVICENOW_LOOKS_AS = ("admin", "admin")
CALLER = "abel.tuter"
AGENT = "ada@example.com"
MARK = "oneio-"
"""How a label begins by which oneio knows an issue it made."""


class Unanswered(Exception):
    """A system did not answer as expected; the text says which and how."""


@dataclass(frozen=True, slots=True)
class System:
    """One system under its address."""

    name: str
    url: str
    http: HttpClient

    def ask(self, method: str, path: str, **parts: Any) -> Any:
        """One request; the answer's JSON, None where it has none. Raises HttpFailure and Unanswered."""
        return self.send(method, path, **parts).json()

    def send(self, method: str, path: str, **parts: Any) -> HttpAnswer:
        """One request and its answer, which is a success or a redirect. Raises HttpFailure and Unanswered."""
        request = HttpRequest(
            method, self.url + path, read_timeout=ANSWER_SECONDS, deadline=ANSWER_SECONDS, **parts
        )
        answer = self.http.send(request)
        if answer.status >= 400:
            raise Unanswered(f"{self.name} answered {answer.status}")
        return answer

    def submit(self, path: str, **fields: str) -> None:
        """Fill in a form on one of its pages and send it."""
        self.send("POST", path, headers=FORM, body=urlencode(fields))

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of one of a simulated system's tables."""
        rows: list[dict[str, Any]] = self.ask("GET", "/_sandbox/records", params={"table": name})
        return rows


class ServiceNow:
    """The simulated ServiceNow. Abel Tuter works in its pages; what we look at comes from its Table API."""

    def __init__(self, system: System) -> None:
        self.system = system

    def open_incident(self, fields: dict[str, str], mark: str) -> dict[str, Any]:
        """An incident opened by Abel; `mark` stands in its description and in no other's."""
        if (incident := self._find(mark)) is None:
            self.system.submit("/new", person=CALLER, **fields)
            incident = self._find(mark)
        if incident is None:
            raise Unanswered("ServiceNow has taken the form but made no incident")
        return incident

    def incident(self, sys_id: str) -> dict[str, Any]:
        """An incident as people see it: display values."""
        query = {"sysparm_display_value": "true", "sysparm_exclude_reference_link": "true"}
        path = f"/api/now/table/incident/{quote(sys_id)}"
        found: dict[str, Any] = self.system.ask("GET", path, params=query, auth=SERVICENOW_LOOKS_AS)["result"]
        return found

    def comment(self, sys_id: str, text: str) -> None:
        """Abel writes an additional comment."""
        if not any(entry["value"] == text for entry in self.journal(sys_id)):
            self.system.submit(f"/incident/{quote(sys_id)}", person=CALLER, comments=text)

    def journal(self, sys_id: str) -> list[dict[str, Any]]:
        """Comments and work notes of an incident, oldest first."""
        return [entry for entry in self.system.table("sys_journal_field") if entry["element_id"] == sys_id]

    def posted(self, sys_id: str) -> list[dict[str, Any]]:
        """What its business rules have posted about an incident, with the answers, oldest first."""
        return [post for post in self.system.table("_outbox") if post["about"] == f"incident:{sys_id}"]

    def _find(self, mark: str) -> dict[str, Any] | None:
        query = {"sysparm_query": f"descriptionLIKE{mark}"}
        found = self.system.ask("GET", "/api/now/table/incident", params=query, auth=SERVICENOW_LOOKS_AS)
        return next(iter(found["result"]), None)


class Jira:
    """The simulated Jira, as Ada Lovelace uses it."""

    def __init__(self, system: System, password: str) -> None:
        self.system = system
        self._auth = (AGENT, password)

    def issues_about(self, number: str) -> list[dict[str, Any]]:
        """The issues whose description names an incident's number."""
        query = {"jql": f'description ~ "{number}"', "fields": "*all"}
        found = self._ask("GET", "/rest/api/2/search/jql", params=query)
        issues: list[dict[str, Any]] = found["issues"]
        return issues

    def issue(self, key: str) -> dict[str, Any]:
        """An issue's fields."""
        fields: dict[str, Any] = self._ask("GET", f"/rest/api/2/issue/{quote(key)}")["fields"]
        return fields

    def comments(self, key: str) -> list[str]:
        """The texts of an issue's comments, oldest first."""
        found = self._ask("GET", f"/rest/api/2/issue/{quote(key)}/comment")
        return [comment["body"] for comment in found["comments"]]

    def comment(self, key: str, text: str) -> None:
        """Ada writes a comment."""
        if text not in self.comments(key):
            self._ask("POST", f"/rest/api/2/issue/{quote(key)}/comment", json={"body": text})

    def move(self, key: str, status: str, resolution: str = "") -> None:
        """Ada moves an issue to a status that its workflow offers."""
        if self.issue(key)["status"]["name"] == status:
            return
        path = f"/rest/api/2/issue/{quote(key)}/transitions"
        steps = self._ask("GET", path)["transitions"]
        step = next((each for each in steps if each["to"]["name"] == status), None)
        if step is None:
            raise Unanswered(f"Jira's workflow does not lead {key} to {status}")
        fields = {"resolution": {"name": resolution}} if resolution else {}
        self._ask("POST", path, json={"transition": {"id": step["id"]}, "fields": fields})

    def _ask(self, method: str, path: str, **parts: Any) -> Any:
        return self.system.ask(method, path, auth=self._auth, **parts)


class Oneio:
    """oneio as a connected system sees it: the receiver API, with that system's own credentials."""

    def __init__(self, system: System, username: str, password: str) -> None:
        self.system = system
        self._auth = (username, password)

    def status(self, response_id: str) -> dict[str, Any]:
        """What became of a message."""
        found: dict[str, Any] = self.system.ask(
            "GET", f"/api/v1/messages/{quote(response_id)}", auth=self._auth
        )
        return found
