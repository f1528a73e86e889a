import logging

import pytest
import requests
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Refused, json_response, route
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options, create_app
from tests.endpoints.sandbox.conftest import Receiver


class Broken(Receiver):
    @route("/broken")
    def fail(self, request: Request) -> Response:
        """Fail in a way nobody foresaw."""
        return json_response({"never": 1 / 0})

    @route("/refusing")
    def refuse(self, request: Request) -> Response:
        """Write, then refuse."""
        with self.store.transaction():
            self.store.put("ticket", "1", "written")
            raise Refused(409, {"error": "conflict"}, {"X-Reason": "test"})


def test_unforeseen_failure_answers_500(http: requests.Session, caplog: pytest.LogCaptureFixture) -> None:
    with SandboxServer(Broken()) as server, caplog.at_level(logging.CRITICAL, "endpoints.sandbox.app"):
        answer = http.get(server.url + "/broken")

    assert (answer.status_code, "ZeroDivision" in answer.text) == (500, False)


def test_refusal_undoes_the_transaction(http: requests.Session) -> None:
    with SandboxServer(Broken()) as server:
        answer = http.get(server.url + "/refusing")
        kept = http.get(server.url + "/_sandbox/records?table=ticket").json()

    assert (answer.status_code, answer.json(), answer.headers["X-Reason"]) == (
        409,
        {"error": "conflict"},
        "test",
    )
    assert kept == []


def test_systems_are_built_by_name() -> None:
    assert create_app("servicenow", Store(), Options()).name == "servicenow"
    with pytest.raises(KeyError):
        create_app("nonsense", Store(), Options())
