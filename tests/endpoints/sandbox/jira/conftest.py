"""Running simulated Jiras and a short way to ask their API."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from endpoints.sandbox.jira import JiraSandbox
from endpoints.sandbox.jira.app import DEFAULT_TOKEN
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.tls import Certificate

INTEGRATION = ("integration@example.com", DEFAULT_TOKEN)
ADA = ("ada@example.com", DEFAULT_TOKEN)


class Clock:
    """A clock that tests move on; starts on a Monday at 09:00 in Berlin."""

    def __init__(self) -> None:
        self.seconds = 1_793_001_600.0

    def __call__(self) -> float:
        return self.seconds


class Site:
    """A running Jira and an HTTP client logged in to it."""

    def __init__(self, app: JiraSandbox, http: requests.Session) -> None:
        self.app = app
        self.http = http
        self.url = app.base_url

    def ask(self, method: str, path: str, body: Any = None, api: str = "3", **options: Any) -> Any:
        """Return the response of an API request."""
        options = {"auth": INTEGRATION, **({} if body is None else {"json": body}), **options}
        return self.http.request(method, f"{self.url}/rest/api/{api}/{path}", timeout=10, **options)

    def get(self, path: str, api: str = "3", **parameters: Any) -> Any:
        """Return the JSON of a GET that succeeds."""
        response = self.ask("GET", path, api=api, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, api: str = "2", auth: Any = INTEGRATION, **fields: Any) -> str:
        """Create an issue, a dull task unless fields say otherwise, and return its key."""
        dull = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "Mail is slow"}
        response = self.ask("POST", "issue", {"fields": dull | fields}, api=api, auth=auth)
        assert response.status_code == 201, response.text
        return str(response.json()["key"])

    def fields(self, key: str, api: str = "2") -> Any:
        """Return the fields of an issue."""
        return self.get(f"issue/{key}", api=api)["fields"]

    def found(self, jql: str) -> list[str]:
        """Return the keys a query finds, in order."""
        answer = self.get("search/jql", jql=jql, fields="key", maxResults=1000)
        return [issue["key"] for issue in answer["issues"]]

    def refusal(self, method: str, path: str, body: Any = None, api: str = "3", **options: Any) -> Any:
        """Return status and errors of a request that is refused."""
        response = self.ask(method, path, body, api, **options)
        errors = response.json()
        assert set(errors) == {"errorMessages", "errors"}
        return response.status_code, errors["errors"] or errors["errorMessages"][0]

    def control(self, name: str, body: Any) -> None:
        """Set a control address of the sandbox."""
        response = self.http.put(f"{self.url}/_sandbox/{name}", json=body, timeout=10)
        assert response.status_code == 200, response.text


@pytest.fixture
def clock() -> Clock:
    """The clock of `site`."""
    return Clock()


@pytest.fixture
def site(clock: Clock, http: requests.Session) -> Iterator[Site]:
    """A running Jira Cloud without a webhook."""
    app = JiraSandbox(Store(), clock=clock)
    with SandboxServer(app):
        yield Site(app, http)


@pytest.fixture
def started() -> Iterator[Callable[..., SandboxServer]]:
    """Start an application, over TLS when a certificate is given; stopped after the test."""
    with ExitStack() as stack:

        def start(app: JiraSandbox, certificate: Certificate | None = None) -> SandboxServer:
            return stack.enter_context(SandboxServer(app, certificate=certificate))

        yield start
