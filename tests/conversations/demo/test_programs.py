"""Where the demo's parts serve: free ports, and secrets that no process list shows."""

import socket
from pathlib import Path

import pytest

from conversations.demo.passwords import Passwords
from conversations.demo.programs import Places, choose_places, programs
from oneio.serving import PortTaken

PASSWORDS = Passwords("admin-word", "snow-post", "jira-post", "snow-word", "client-word", "jira-word")
PLACES = Places("http://127.0.0.1:8000", "http://127.0.0.1:8081", "http://127.0.0.1:8082")


def test_taken_port_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]

        with pytest.raises(PortTaken, match=f"Port {taken} is used by another program"):
            choose_places(taken)


def test_every_part_has_its_own_port() -> None:
    places = choose_places()

    assert len({places.web, places.servicenow, places.jira}) == 3


def test_web_port_is_kept_from_sandboxes() -> None:
    first = choose_places()

    asked = int(first.servicenow.rpartition(":")[2])
    places = choose_places(asked)

    assert places.web == first.servicenow
    assert places.servicenow != places.web


def test_no_password_on_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path))

    parts = programs(PLACES, PASSWORDS)

    words = " ".join(
        " ".join(part.command) for part in (parts.web, parts.workers, parts.servicenow, parts.jira)
    )
    assert not [name for name in PASSWORDS.__slots__ if getattr(PASSWORDS, name) in words]


def test_only_our_side_may_dial_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path))

    parts = programs(PLACES, PASSWORDS)

    assert parts.workers.environment["ONEIO_ALLOW_LOOPBACK"] == "1"
    assert parts.web.environment["ONEIO_PUBLIC_URL"] == PLACES.web


def test_jira_tells_which_issue_each_event_is_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path))

    registered = programs(PLACES, PASSWORDS).jira.command

    assert f"{PLACES.web}/api?issue.id=${{issue.id}}&issue.key=${{issue.key}}" in registered
