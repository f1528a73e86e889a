"""A small receiver and running sandboxes for tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import SandboxApp, json_response, route
from endpoints.sandbox.outbox import plain_address
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.servicenow import ServiceNowApp
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options
from endpoints.sandbox.tls import Certificate, ensure_certificate


class Receiver(SandboxApp):
    """Takes every POST as an integration platform would, answers 202 with a response id and remembers it."""

    def __init__(self) -> None:
        super().__init__(Store(), plain_address)
        self.posts: list[Request] = []
        self.answers: list[int] = []

    @route("/<path:path>", methods=["POST"])
    def take(self, request: Request, path: str) -> Response:
        """Remember the request; answer with the next of `answers`, else 202."""
        request.get_data()
        self.posts.append(request)
        status = self.answers.pop(0) if self.answers else 202
        return json_response({"response_id": f"r-{len(self.posts)}"}, status)

    @property
    def bodies(self) -> list[Any]:
        """The JSON bodies received, in order."""
        return [post.get_json() for post in self.posts if post.is_json]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver; `receiver.base_url` is its address."""
    app = Receiver()
    with SandboxServer(app):
        yield app


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """An HTTP client that ignores proxies and CA variables of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for sandbox servers of this test run."""
    folder: Path = tmp_path_factory.mktemp("tls")
    return ensure_certificate(folder)


class Instance:
    """A running simulated ServiceNow and a client logged in as one of its users."""

    def __init__(self, app: ServiceNowApp, session: requests.Session, user: str, password: str) -> None:
        self.app = app
        self.url = app.base_url
        self._session = session
        self._auth = (user, password)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request; `path` starts with a slash."""
        options.setdefault("auth", self._auth)
        return self._session.request(method, self.url + path, timeout=20, **options)

    def table(self, method: str, path: str, body: Any = None, **params: str) -> requests.Response:
        """Send one request to the Table API."""
        return self.call(method, f"/api/now/table/{path}", json=body, params=params)

    def create(self, table: str = "incident", **values: str) -> dict[str, Any]:
        """Create a record and return it as answered."""
        answer = self.table("POST", table, values)
        assert answer.status_code == 201, answer.text
        return answer.json()["result"]

    def records(self, table: str) -> list[dict[str, Any]]:
        """Return the raw contents of a table."""
        return self.call("GET", f"/_sandbox/records?table={table}").json()

    def as_user(self, user: str, password: str) -> "Instance":
        """Return the same instance seen by another user."""
        return Instance(self.app, self._session, user, password)


@pytest.fixture
def servicenow(http: requests.Session) -> Iterator[Instance]:
    """A simulated ServiceNow in memory, used as `admin`."""
    app = ServiceNowApp(Store(), Options())
    with SandboxServer(app):
        yield Instance(app, http, "admin", "admin")


@pytest.fixture
def integration(servicenow: Instance) -> Instance:
    """The same instance, used as the integration user."""
    return servicenow.as_user("oneio", "oneio")


@pytest.fixture
def posting(servicenow: Instance, receiver: Receiver) -> Instance:
    """The simulated ServiceNow whose business rules post to `receiver`."""
    address = {"url": f"{receiver.base_url}/api/v1/messages", "user": "sn", "password": "s3cret"}
    servicenow.call("PUT", "/_sandbox/receiver", json=address)
    return servicenow
