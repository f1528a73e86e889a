"""`manage.py sandbox`: serve one simulated outside system in the foreground."""

import os
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from endpoints.sandbox.server import SandboxServer
from endpoints.sandbox.store import DamagedJournalError, Store, StoreInUseError
from endpoints.sandbox.systems import SYSTEMS, Options, create_app
from endpoints.sandbox.tls import ensure_certificate
from oneio.state import state_directory

SECRETS = ("receiver_password", "password", "client_secret")


class Command(BaseCommand):
    """Serves a simulated ServiceNow or Jira until SIGTERM or Ctrl-C."""

    help = (
        "Serve a simulated ServiceNow or Jira until SIGTERM or Ctrl-C. Secrets come from files or from the "
        "environment: SANDBOX_RECEIVER_PASSWORD, SANDBOX_PASSWORD, SANDBOX_CLIENT_SECRET."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("system", choices=sorted(SYSTEMS))
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
        parser.add_argument("--data", type=Path, help="file that keeps the records; without it memory only")
        parser.add_argument("--tls", action="store_true", help="serve https with a certificate made here")
        parser.add_argument("--tls-folder", type=Path, help="where the certificate is kept")
        parser.add_argument("--receiver-url", default="", help="where events are posted")
        parser.add_argument("--receiver-user", default="", help="user name at the receiver")
        parser.add_argument("--receiver-ca", type=Path, help="CA file of the receiver's certificate")
        for secret in SECRETS:
            parser.add_argument(f"--{secret.replace('_', '-')}-file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        # Signals first, so that one during the start ends it cleanly too.
        with _stop_signals() as stopped:
            self._serve(options, stopped)

    def _serve(self, options: dict[str, Any], stopped: threading.Event) -> None:
        certificate = ensure_certificate(_tls_folder(options)) if options["tls"] else None
        try:
            store = Store(options["data"])
            app = create_app(options["system"], store, _options(options))
            server = SandboxServer(app, options["host"], options["port"], certificate)
        except (OSError, DamagedJournalError, StoreInUseError) as error:
            raise CommandError(f"The sandbox could not start: {error}") from error
        with server:
            self.stdout.write(f"{options['system']} sandbox at {server.url}")
            self.stdout.flush()
            stopped.wait()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tls_folder(options: dict[str, Any]) -> Path:
    if options["tls_folder"]:
        return Path(options["tls_folder"])
    return state_directory() / "sandbox"


def _options(options: dict[str, Any]) -> Options:
    return Options(
        receiver_url=options["receiver_url"],
        receiver_user=options["receiver_user"],
        verify=str(options["receiver_ca"]) if options["receiver_ca"] else True,
        **{name: _secret(name, options[f"{name}_file"]) for name in SECRETS},
    )


def _secret(name: str, file: Path | None) -> str:
    return file.read_text().strip() if file else os.environ.get(f"SANDBOX_{name.upper()}", "")
