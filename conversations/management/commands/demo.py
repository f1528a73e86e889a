"""`manage.py demo`: the product with an example organization, and a ticket that makes the round trip."""

import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from conversations.demo.display import Display
from conversations.demo.example import ORGANIZATION, ensure_example
from conversations.demo.passwords import Passwords, ensure_passwords
from conversations.demo.programs import RECEIVERS, Places, Programs, choose_places, programs
from conversations.demo.story import Scene, StepFailed, Story
from conversations.demo.systems import Jira, Oneio, ServiceNow, System
from endpoints.http import HttpClient
from endpoints.network import NetworkPolicy
from oneio import serving
from oneio.processes import Children, ProcessError, only_one, stop_left_over
from oneio.signals import interruptible
from oneio.state import log_directory


class Command(BaseCommand):
    """Run the demo."""

    help = "Start everything with an example organization and show a ticket's round trip."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long to stay, and where."""
        parser.add_argument("--once", action="store_true", help="end when the round trip is verified")
        parser.add_argument("--port", type=int, help="of the web server; default: 8000 or the next free one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start, tell the story, stay."""
        self.display = Display()
        try:
            with interruptible(), only_one():
                self._run(options["port"], stay=not options["once"])
        except (ProcessError, serving.PortTaken, StepFailed) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.display.say("Stopped.")
            if not self._verified:
                raise SystemExit(130) from None

    _verified = False

    def _run(self, port: int | None, *, stay: bool) -> None:
        passwords = ensure_passwords()
        with Children(serving.keep_database_running) as children:
            with self.display.part(f"oneio starts, with the example organization {ORGANIZATION}"):
                parts, login = self._start(children, passwords, port)
            with self.display.part("An incident makes the round trip"):
                failure = self._tell(parts, passwords)
            if not stay and failure:
                raise failure
            self._introduce(parts.places, login, passwords)
            if failure:
                self.display.say(f"[bold red]{failure}[/bold red]")
            if stay:
                self.display.say("Ctrl-C stops everything.")
                threading.Event().wait()

    def _start(
        self, children: Children, passwords: Passwords, port: int | None
    ) -> tuple[Programs, serving.Login]:
        stop_left_over()
        parts = programs(choose_places(port), passwords)
        with self.display.step("Simulated ServiceNow and Jira") as line:
            children.start(parts.servicenow, parts.jira)
            line.tell(f"{parts.places.servicenow} and {parts.places.jira}")
        with self.display.step("Database, pages, example rules"):
            serving.prepare()
            login = serving.ensure_administrator(passwords.administrator)
            ensure_example(parts.places, passwords)
        with self.display.step("Web server and workers") as line:
            children.start(parts.web, parts.workers)
            line.tell(parts.places.web)
            for part in (parts.servicenow, parts.jira, parts.web):
                children.wait_ready(part)
        return parts, login

    def _tell(self, parts: Programs, passwords: Passwords) -> StepFailed | None:
        http = HttpClient(NetworkPolicy(allow_loopback=True))
        try:
            Story(scene(parts, passwords, http), self.display).play()
            self._verified = True
        except StepFailed as failure:
            return failure
        finally:
            http.close()
        return None

    def _introduce(self, places: Places, login: serving.Login, passwords: Passwords) -> None:
        password = login.password or "the password you have set"
        self.display.say(f"  oneio        {places.web}/admin/   log in as {login.username}, {password}")
        self.display.say(f"  API          {places.web}/api/v1/docs")
        self.display.say(f"  ServiceNow   {places.servicenow}")
        self.display.say(f"  Jira         {places.jira}")
        self.display.say(f"  Logs         {log_directory()}\n")


def scene(parts: Programs, passwords: Passwords, http: HttpClient) -> Scene:
    """The systems of the story at the addresses where they run."""
    places = parts.places
    return Scene(
        servicenow=ServiceNow(System("ServiceNow", places.servicenow, http)),
        jira=Jira(System("Jira", places.jira, http), passwords.jira),
        oneio=Oneio(
            System("oneio", places.web, http), RECEIVERS["servicenow"], passwords.receiver_servicenow
        ),
        servicenow_log=parts.servicenow.log,
        jira_log=parts.jira.log,
        web_log=parts.web.log,
        workers_log=parts.workers.log,
    )
