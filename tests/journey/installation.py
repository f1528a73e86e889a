"""`manage.py demo` as a person starts it, with a state folder of its own; and ways to kill its parts."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from rich.console import Console

from conversations.demo.display import Display
from conversations.demo.passwords import Passwords
from conversations.demo.programs import RECEIVERS
from conversations.demo.story import Scene, Story
from conversations.demo.systems import Jira, Oneio, ServiceNow, System
from endpoints.http import HttpClient
from endpoints.network import NetworkPolicy
from oneio.embedded_postgres import DATABASE, PORT, ROLE, EmbeddedPostgres
from oneio.state import CHECKOUT

START_SECONDS = 240.0
PLACE = re.compile(r"^  (oneio|ServiceNow|Jira) +(http://[\d.]+:\d+)", re.MULTILINE)


class Installation:
    """One state folder and the demo that runs from it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.postgres = EmbeddedPostgres(state)
        self.http = HttpClient(NetworkPolicy(allow_loopback=True))
        self._output = state / "demo-output.txt"
        self._demo: subprocess.Popen[bytes] | None = None

    def run(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the demo."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ONEIO_") and name not in {"DATABASE_URL", "PYTHONWARNINGS"}
        }
        # Short leases, so that work of a killed pump is taken over soon.
        own = {"ONEIO_STATE_DIR": str(self.state), "ONEIO_LEASE_SECONDS": "4"}
        with self._output.open("wb") as output:
            self._demo = subprocess.Popen(
                [sys.executable, "manage.py", "demo", *options],
                cwd=CHECKOUT,
                env=inherited | own,
                stdout=output,
                stderr=output,
            )
        return self._demo

    def start(self) -> None:
        """Start the demo and wait until its story is told."""
        demo = self.run()
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C stops everything" not in self.output:
            assert demo.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send the demo a signal and wait for its end; its exit code."""
        assert self._demo is not None
        self._demo.send_signal(number)
        return self._demo.wait(START_SECONDS)

    def close(self) -> None:
        """Stop what runs and delete everything."""
        if self._demo and self._demo.poll() is None:
            self.stop()
        self.http.close()
        self.postgres.remove()
        shutil.rmtree(self.state)

    @property
    def output(self) -> str:
        """What the demo has printed."""
        return self._output.read_text()

    def story(self) -> Story:
        """A new story, to be told step by step."""
        places = dict(PLACE.findall(self.output))
        passwords = Passwords(**json.loads((self.state / "demo" / "passwords.json").read_text()))
        log = self.state / "log"
        scene = Scene(
            servicenow=ServiceNow(System("ServiceNow", places["ServiceNow"], self.http)),
            jira=Jira(System("Jira", places["Jira"], self.http), passwords.jira),
            oneio=Oneio(
                System("oneio", places["oneio"], self.http),
                RECEIVERS["servicenow"],
                passwords.receiver_servicenow,
            ),
            servicenow_log=log,
            jira_log=log,
            web_log=log,
            workers_log=log,
        )
        return Story(scene, Display(Console(file=io.StringIO())), START_SECONDS)

    def kill(self, victim: str) -> None:
        """kill -9 of a program's first process, or of a part of the workers, or of PostgreSQL."""
        if victim == "PostgreSQL":
            self.postgres.stop("immediate")
        elif victim == "pump":
            os.kill(self._pump(), signal.SIGKILL)
        elif victim == "sentinel":
            [sentinel] = psutil.Process(self._leader("workers")).children()
            sentinel.kill()
        elif victim == "all of the web-server":
            for process in psutil.Process(self._leader("web-server")).children():
                process.kill()
            os.kill(self._leader("web-server"), signal.SIGKILL)
        else:
            os.kill(self._leader(victim), signal.SIGKILL)

    def processes(self) -> list[str]:
        """The command lines of everything that runs for this state folder, PostgreSQL included."""
        found = []
        for process in psutil.process_iter():
            try:
                words, folder = process.cmdline(), process.cwd()
                ours = process.environ().get("ONEIO_STATE_DIR") == str(self.state)
            except psutil.Error:
                continue
            if ours or Path(folder) == self.postgres.data:
                found.append(" ".join(words))
        return found

    def _leader(self, program: str) -> int:
        [*_, (leader, _began)] = json.loads((self.state / "run" / f"{program}.json").read_text())
        return int(leader)

    def _pump(self) -> int:
        place = {"host": str(self.postgres.socket), "port": PORT, "user": ROLE, "dbname": DATABASE}
        with psycopg.connect(**place) as connection:
            row = connection.execute(
                "SELECT pid FROM oneio_pumpheartbeat WHERE pid IS NOT NULL ORDER BY beat_at DESC"
            ).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def installation() -> Iterator[Installation]:
    """A fresh state folder, deleted after; below /tmp, where every user of the machine may pass."""
    folder = Path(tempfile.mkdtemp(prefix="oneio-journey-"))
    folder.chmod(0o711)
    place = Installation(folder)
    try:
        yield place
    finally:
        place.close()
