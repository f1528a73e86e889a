"""What serving takes: tables and static files in place, a person who can log in, a port, web and workers."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from django.conf import settings
from django.contrib.auth import get_user_model

from oneio.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from oneio.processes import ProcessError, Program
from oneio.state import CHECKOUT, state_directory

PORT = 8000
PORTS_TRIED = 50
# What waits for the disk at the same time is written together: more threads, larger batches.
WEB_THREADS = 16
CORES_PER_WEB_PROCESS = 4
ADMINISTRATOR = "admin"
ASK_SECONDS = 2.0
FIRST_SERVER_ERROR = 500
PREPARATIONS = ("migrate", "collectstatic")


class _RedirectsAnswer(HTTPRedirectHandler):
    """Takes a redirect as the answer: in production it leads to https, where only the proxy listens."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class PortTaken(Exception):
    """No port to serve on; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Login:
    """How a person gets in. The password is known only where it was just made."""

    username: str
    password: str = ""


def prepare() -> None:
    """Bring tables and static files up to date. Raises ProcessError where that fails.

    Processes that end do it: in this one, which stays, what it takes would stay too.
    """
    words = [[sys.executable, "manage.py", name, "--no-input", "--verbosity", "0"] for name in PREPARATIONS]
    running = [subprocess.Popen(command, cwd=CHECKOUT) for command in words]  # noqa: S603 (our own)
    try:
        failed = [name for name, one in zip(PREPARATIONS, running, strict=True) if one.wait()]
    finally:
        for one in running:
            one.terminate()
            one.wait()
    if failed:
        raise ProcessError(f"manage.py {failed[0]} failed; what it said stands above.")


def ensure_administrator(password: str = "") -> Login:
    """The login of an administrator, made with `password` (or a new one) where there is none."""
    users = get_user_model().objects
    existing = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if existing is None:
        password = password or secrets.token_urlsafe(12)
        users.create_superuser(ADMINISTRATOR, password=password)
        return Login(ADMINISTRATOR, password)
    known = bool(password) and existing.check_password(password)
    return Login(existing.get_username(), password if known else "")


def free_port(first: int, host: str = "127.0.0.1", taken: frozenset[int] = frozenset()) -> int:
    """The first free port from `first` on, but none of `taken`. Raises PortTaken if there is none near."""
    for port in range(first, min(first + PORTS_TRIED, 65_536)):
        if port not in taken and is_free(port, host):
            return port
    raise PortTaken(f"No port from {first} to {first + PORTS_TRIED - 1} is free. Name one with --port.")


def exact_port(port: int, host: str = "127.0.0.1") -> int:
    """That port. Raises PortTaken with advice where another program uses it."""
    if not is_free(port, host):
        raise PortTaken(
            f"Port {port} is used by another program. Choose another with --port or ONEIO_PORT, or end that "
            "program."
        )
    return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server may listen there. Raises PortTaken where this user or machine may never."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return True
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        reason = error.strerror or str(error)
        raise PortTaken(
            f"Nobody can listen on {host} port {port} here ({reason}). Change --host or --port."
        ) from None


def web_server(port: int, host: str = "127.0.0.1", environment: dict[str, str] | None = None) -> Program:
    """The web server: pages and the inbound API."""
    processes = max(1, (os.cpu_count() or 1) // CORES_PER_WEB_PROCESS)
    options = {
        "--host": host,
        "--port": port,
        "--interface": "wsgi",
        "--workers": processes,
        "--blocking-threads": WEB_THREADS,
        "--log-level": "warning",
        "--workers-kill-timeout": 8,
    }
    words = [word for name, value in options.items() for word in (name, str(value))]
    switches = ["--no-ws", "--no-access-log", "--respawn-failed-workers"]
    near = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 (compared, not bound)
    return Program(
        name="web server",
        command=(sys.executable, "-m", "granian", *words, *switches, "oneio.wsgi:application"),
        environment={"DJANGO_SETTINGS_MODULE": "oneio.settings", "ONEIO_POOL": "1"} | (environment or {}),
        ready=answers(f"http://{near}:{port}/api/v1/messages"),
        stop_seconds=12.0,
    )


def workers(environment: dict[str, str] | None = None) -> Program:
    """The supervised workers."""
    return Program(
        name="workers",
        command=(sys.executable, "manage.py", "worker"),
        environment=environment or {},
        stop_seconds=30.0,
        ends_alone=True,
    )


def answers(url: str) -> Callable[[], bool]:
    """A question: does anything answer HTTP there, be it a refusal?"""
    opener = build_opener(ProxyHandler({}), _RedirectsAnswer)

    def ask() -> bool:
        try:
            opener.open(url, timeout=ASK_SECONDS).close()
        except HTTPError as refusal:
            refusal.close()
            return refusal.code < FIRST_SERVER_ERROR
        except OSError:
            return False
        return True

    return ask


def keep_database_running() -> None:
    """Start the embedded PostgreSQL again if it has ended."""
    if not settings.EMBEDDED_DATABASE:
        return
    server = EmbeddedPostgres(state_directory())
    if not server.is_running():
        with suppress(EmbeddedPostgresError):
            server.ensure_running()
