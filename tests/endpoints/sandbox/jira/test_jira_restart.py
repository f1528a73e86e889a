"""Data that survives the end of the process."""

from collections.abc import Callable
from pathlib import Path

import requests

from endpoints.sandbox.jira import JiraSandbox, create_app
from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import Store
from endpoints.sandbox.systems import Options
from tests.endpoints.sandbox.conftest import Receiver
from tests.endpoints.sandbox.jira.conftest import Site

Start = Callable[..., SandboxServer]


def _run(path: Path, http: requests.Session, started: Start, options: Options | None = None) -> Site:
    app = create_app(Store(path), options or Options())
    started(app)
    return Site(app, http)


def test_everything_is_there_after_a_restart(tmp_path: Path, http: requests.Session) -> None:
    path = tmp_path / "jira.journal"
    with SandboxServer(JiraSandbox(Store(path))) as server:
        site = Site(server.app, http)  # type: ignore[arg-type]
        key = site.create(labels=["kept"])
        site.ask("POST", f"issue/{key}/comment", {"body": "Kept"}, api="2")
        files = {"file": ("a.bin", b"\x00\xff")}
        site.ask("POST", f"issue/{key}/attachments", files=files, headers={"X-Atlassian-Token": "no-check"})
        site.control("settings", {"automation": True})

    with SandboxServer(JiraSandbox(Store(path))) as server:
        site = Site(server.app, http)  # type: ignore[arg-type]
        fields = site.fields(key)
        assert (fields["labels"], fields["comment"]["comments"][0]["body"]) == (["kept"], "Kept")
        assert site.ask("GET", f"attachment/content/{fields['attachment'][0]['id']}").content == b"\x00\xff"
        assert site.app.deployment.settings["automation"] is True
        assert site.create() == "OPS-2"


def test_waiting_webhook_is_posted_after_a_restart(
    tmp_path: Path, http: requests.Session, started: Start, receiver: Receiver
) -> None:
    path = tmp_path / "jira.journal"
    with SandboxServer(create_app(Store(path), Options(receiver_url="http://127.0.0.1:9/"))) as server:
        Site(server.app, http).create()  # type: ignore[arg-type]

    site = _run(path, http, started, Options(receiver_url=f"{receiver.base_url}/hook"))

    assert site.app.outbox.wait_idle(60)
    assert [body["issue"]["key"] for body in receiver.bodies] == ["OPS-1"]


def test_token_of_the_options_is_what_counts(tmp_path: Path, http: requests.Session, started: Start) -> None:
    site = _run(tmp_path / "jira.journal", http, started, Options(password="other"))

    codes = [
        site.ask("GET", "myself", auth=("integration@example.com", token)).status_code
        for token in ("other", "jira-sandbox-token")
    ]

    assert codes == [200, 401]
