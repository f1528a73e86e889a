"""`manage.py serve`: the whole product in one command, until it is stopped."""

import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from oneio import serving
from oneio.processes import Children, ProcessError, only_one, stop_left_over
from oneio.settings import number
from oneio.signals import interruptible
from oneio.state import log_directory


class Command(BaseCommand):
    """Run web server and workers."""

    help = "Start web server and workers and keep them running until Ctrl-C or SIGTERM."
    # Others load every page, and this process would hold them.
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on; see ONEIO_HOSTS")
        parser.add_argument("--port", type=int, help="default: ONEIO_PORT, else 8000 or the next free one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start everything and stay."""
        try:
            with interruptible(), only_one():
                self._serve(options["host"], options["port"])
        except (ProcessError, serving.PortTaken) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self._say("Stopped.")

    def _serve(self, host: str, asked: int | None) -> None:
        with Children(serving.keep_database_running) as children:
            stop_left_over()
            port = chosen_port(host, asked)
            serving.prepare()
            login = serving.ensure_administrator()
            url = f"http://{'localhost' if host == '127.0.0.1' else host}:{port}"
            environment = {} if settings.PRODUCTION else {"ONEIO_PUBLIC_URL": url}
            web = serving.web_server(port, host, environment)
            children.start(web, serving.workers(environment))
            children.wait_ready(web)
            self._introduce(url, login)
            threading.Event().wait()

    def _introduce(self, url: str, login: serving.Login) -> None:
        self._say(f"oneio runs: {url}/admin/   (API: {url}/api/v1/docs, logs: {log_directory()})")
        if login.password:
            self._say(f"Log in as {login.username} with the password {login.password}")
            self._say("It is shown this once and stored nowhere in plain: keep it, or change it there.")
        self._say("Ctrl-C stops everything.")

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def chosen_port(host: str, asked: int | None) -> int:
    """The port asked for, else the usual one or, outside production, the next free one. Raises PortTaken."""
    port = asked or int(number("ONEIO_PORT", 0))
    if port or settings.PRODUCTION:
        return serving.exact_port(port or serving.PORT, host)
    return serving.free_port(serving.PORT, host)
