"""Starts the product as in production, in a state folder of its own: database, web server, workers, sink."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import load
from oneio import serving, state
from oneio.embedded_postgres import EmbeddedPostgres
from oneio.processes import Program

PUMPS = 2
HTTP_THREADS = 96
START_SECONDS = 60.0
STOP_SECONDS = 40.0


class BenchmarkError(Exception):
    """The benchmark cannot go on; the text says what happened."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the load generator gets in: the value of its Authorization header."""

    authorization: str


class Process:
    """A child process with its output in a file."""

    def __init__(self, program: Program, environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = program.name, log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                program.command, env=environment, cwd=state.CHECKOUT, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def check(self) -> None:
        """Raise BenchmarkError if it has ended."""
        if self._child.poll() is not None:
            raise BenchmarkError(f"The {self.name} has ended. It said:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Ask it to end and wait; kill it when that takes too long."""
        self._child.terminate()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


class Product:
    """One installation that runs. Web server and workers start separately, so that each can be measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = _environment(folder)
        self.postgres = EmbeddedPostgres(folder)
        self.sink = Sink(self.environment)
        self.port = _free_port()
        self._web: Process | None = None
        self._workers: Process | None = None

    def set_up(self) -> Access:
        """Make database, tables and the example organization that sends to the sink."""
        self.manage("migrate", "--verbosity", "0")
        return self.organization(self.sink, "benchmark")

    def organization(self, sink: Sink, name: str) -> Access:
        """Make an organization that sends to `sink`."""
        return Access(**json.loads(self.python("benchmarks.organization", sink.url, name)))

    def start_web(self) -> None:
        """Start the web server and wait until it answers."""
        program = serving.web_server(self.port)
        self._web = self._start(program)
        _wait(program.ready, self._web)

    def start_workers(self) -> None:
        """Start the workers; they begin with whatever waits."""
        self._workers = self._start(serving.workers())

    def stop(self) -> None:
        """Stop everything but the database."""
        for process in (self._workers, self._web):
            if process is not None:
                process.stop()
        self._workers = self._web = None
        self.sink.stop()

    def roots(self) -> dict[str, int]:
        """The process ids at the top of each part that runs."""
        running = {"web": self._web, "worker": self._workers}
        roots = {name: process.pid for name, process in running.items() if process is not None}
        return roots | {"postgres": int((self.postgres.data / "postmaster.pid").read_text().split("\n")[0])}

    def check(self) -> None:
        """Raise BenchmarkError if a part has ended by itself."""
        for process in (self._web, self._workers):
            if process is not None:
                process.check()

    def manage(self, *arguments: str) -> None:
        """Run a management command."""
        _run([sys.executable, "manage.py", *arguments], self.environment)

    def python(self, module: str, *arguments: str, text: str = "") -> str:
        """Run a module of the benchmarks in the product's environment; its output."""
        return _run([sys.executable, "-m", module, *arguments], self.environment, text)

    def post(self, plan: load.Plan) -> list[load.Sent]:
        """Send what the plan says; what became of each message. Raises BenchmarkError for any but 202."""
        rows = json.loads(
            _run([sys.executable, "-m", "benchmarks.load"], self.environment, load.to_text(plan))
        )
        sent = [load.Sent(*row) for row in rows]
        refused = {row.status for row in sent} - {202}
        if refused:
            raise BenchmarkError(
                f"The web server did not accept every message; it answered {sorted(refused)}."
            )
        return sent

    def _start(self, program: Program) -> Process:
        log = self.folder / f"{program.name.replace(' ', '-')}.log"
        return Process(program, self.environment | dict(program.environment), log)


class Sink:
    """The sink process and its controls."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"],
            env=environment,
            cwd=state.CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._child.stdout.readline())}"

    def answer_after(self, seconds: float) -> None:
        """From now on take so long for each answer."""
        self._ask(f"delay/{seconds}")

    def forget(self) -> None:
        """Forget what has arrived."""
        self._ask("forget")

    def count(self) -> int:
        """How many requests have arrived since the last `forget`."""
        return int(self._ask("count"))

    def arrivals(self) -> list[tuple[str, float]]:
        """Reference and time (monotonic seconds) of each request that has arrived, in that order."""
        return [(reference, at) for reference, at in self._ask("arrivals")]

    def stop(self) -> None:
        """End the process."""
        if self._child.poll() is None:
            self._child.terminate()
            self._child.wait(STOP_SECONDS)
        assert self._child.stdout is not None
        self._child.stdout.close()

    def _ask(self, command: str) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/_{command}", timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def installed() -> Iterator[Product]:
    """A product with a running database in a temporary folder; everything is stopped and deleted after."""
    folder = Path(tempfile.mkdtemp(prefix="oneio-bench-"))
    folder.chmod(0o711)  # as root the database server runs as a user of its own
    product = None
    try:
        product = Product(folder)
        with product.postgres.running():
            yield product
            product.stop()
    finally:
        if product is not None:
            product.stop()
            product.postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    """As in production, with fresh keys; the sink is on this machine, so loopback is allowed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ONEIO_")}
    inherited.pop("DATABASE_URL", None)
    return (
        inherited
        | state.new_keys()
        | {
            "ONEIO_ENV": "production",
            "ONEIO_STATE_DIR": str(folder),
            "ONEIO_SSL_REDIRECT": "0",
            "ONEIO_ALLOW_LOOPBACK": "1",
            "ONEIO_PUMPS": str(PUMPS),
            "ONEIO_HTTP_THREADS": str(HTTP_THREADS),
            "DJANGO_SETTINGS_MODULE": "oneio.settings",
        }
    )


def _run(command: list[str], environment: Mapping[str, str], text: str = "") -> str:
    done = subprocess.run(
        command, env=environment, cwd=state.CHECKOUT, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:4])} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _wait(ready: Callable[[], bool], process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        process.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"The {process.name} did not start within {START_SECONDS:.0f} s.")
        time.sleep(0.05)


def _free_port() -> int:
    """Any free port: several runs on one machine must not meet on one address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
