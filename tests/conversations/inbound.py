"""A small caller of the inbound API for tests: posts as one endpoint and reads the answer."""

import base64
from typing import Any

from django.http import HttpResponse
from django.test import Client

from endpoints.models import Endpoint
from tests.factories import make_endpoint, make_environment, make_receiver_login

MESSAGES = "/api/v1/messages"
ATTACHMENTS = "/api/v1/attachments?entity_type=incident&external_id=abc&file_name=log.txt"


class Sender:
    """An endpoint with a receiver login, and a client that posts with it."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self.endpoint = endpoint or make_endpoint()
        self.login, self.password = make_receiver_login(self.endpoint)
        self.auth = (self.login.username, self.password)
        self.basic = basic(self.login.username, self.password)

    def post(
        self,
        body: bytes | str = b'{"sys_id": "abc"}',
        path: str = MESSAGES,
        content_type: str = "application/json",
        **headers: Any,
    ) -> HttpResponse:
        """Post with HTTP Basic; `headers` as in `HTTP_IDEMPOTENCY_KEY`."""
        extra = {"HTTP_AUTHORIZATION": self.basic} | headers
        return Client().generic("POST", path, body, content_type, **extra)  # type: ignore[return-value]

    def get(self, path: str) -> HttpResponse:
        """Get with HTTP Basic."""
        return Client().get(path, HTTP_AUTHORIZATION=self.basic)  # type: ignore[return-value]


def qa_sender() -> Sender:
    """A sender of a QA environment."""
    return Sender(make_endpoint(environment=make_environment(kind="qa")))


def basic(username: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
