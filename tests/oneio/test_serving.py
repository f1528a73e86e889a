"""What serving needs: a free port, somebody who can log in, a server that answers."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings as configured
from django.contrib.auth import authenticate

from oneio import serving
from oneio.management.commands.serve import chosen_port
from oneio.processes import ProcessError
from oneio.serving import (
    WEB_THREADS,
    PortTaken,
    answers,
    ensure_administrator,
    exact_port,
    free_port,
    is_free,
    web_server,
)
from tests.patience import PATIENCE


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_next_free_port_is_found(taken: int) -> None:
    assert free_port(taken) > taken


def test_taken_port_says_what_to_change(taken: int) -> None:
    with pytest.raises(PortTaken, match="--port or ONEIO_PORT"):
        exact_port(taken)


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortTaken, match="--host"):
        is_free(8000, "203.0.113.7")


def test_port_of_the_environment_is_kept(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_PORT", str(taken))

    with pytest.raises(PortTaken, match=f"Port {taken}"):
        chosen_port("127.0.0.1", None)


def test_production_takes_no_other_port(
    settings: object, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.delenv("ONEIO_PORT", raising=False)
    settings.PRODUCTION = True  # type: ignore[attr-defined]
    monkeypatch.setattr("oneio.serving.PORT", taken)

    with pytest.raises(PortTaken):
        chosen_port("127.0.0.1", None)


@pytest.mark.django_db
def test_first_administrator_gets_new_password() -> None:
    login = ensure_administrator()

    assert authenticate(username=login.username, password=login.password).is_superuser


@pytest.mark.django_db
def test_password_is_told_only_once() -> None:
    ensure_administrator()

    assert ensure_administrator().password == ""


@pytest.mark.django_db
def test_given_password_is_told_while_it_works() -> None:
    ensure_administrator("given-password")

    assert ensure_administrator("given-password").password == "given-password"
    assert ensure_administrator("another-password").password == ""


def test_server_without_access_log_and_with_pool() -> None:
    program = web_server(8000)

    assert "--no-access-log" in program.command
    assert program.environment["ONEIO_POOL"] == "1"


@pytest.mark.parametrize(("status", "ready"), [(200, True), (401, True), (503, False)])
def test_refusal_is_an_answer_but_breakdown_is_not(
    status: int, ready: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setattr(serving, "ASK_SECONDS", PATIENCE)

        assert answers(f"http://127.0.0.1:{server.server_port}/")() is ready
        thread.join()


def test_nobody_there_is_no_answer() -> None:
    assert not answers("http://127.0.0.1:9/")()


def test_every_thread_can_have_a_connection() -> None:
    assert configured.POOL_CONNECTIONS >= WEB_THREADS


def test_preparation_that_fails_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving, "PREPARATIONS", ("no_such_work",))

    with pytest.raises(ProcessError, match="no_such_work failed"):
        serving.prepare()
    assert "Unknown command" in capfd.readouterr().err
