"""One real installation: embedded PostgreSQL, web server and workers as processes that may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from oneio import serving, state
from oneio.embedded_postgres import EmbeddedPostgres
from oneio.processes import Session

READY_SECONDS = 180.0
POLL_SECONDS = 0.1
STOP_SECONDS = 30.0
WEB_STOP_SECONDS = 12.0
SHIFTED = Path(__file__).parent / "shifted"
UNHURRIED = {"ONEIO_LEASE_SECONDS": "30"}
"""For workers of which none is to be taken for dead, however long the machine makes them stand still."""


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """One target endpoint: where it is, what it is, and how it is treated.

    `system` names one of `tests.faults.systems`; without it the target takes what its kind of ticket is for.
    """

    url: str
    askable: bool = True
    max_in_flight: int = 16
    policy: str = "hold"
    system: str = ""
    max_per_second: float | None = None


class Part:
    """A program of the installation: what runs of it, and what is left of earlier starts."""

    def __init__(self, name: str, command: tuple[str, ...], folder: Path, stop_seconds: float) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self._command, self._stop_seconds = command, stop_seconds
        self._sessions: list[Session] = []

    @property
    def pid(self) -> int:
        """The first process of the latest start."""
        return self._sessions[-1].leader

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it, whatever is left of an earlier start."""
        self._environment = environment
        with self.log.open("ab") as output:
            child = subprocess.Popen(
                self._command,
                env=dict(environment),
                cwd=state.CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        began = psutil.Process(child.pid).create_time()
        self._sessions.append(Session(child.pid, began, self._stop_seconds, child))

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        for session in self._sessions:
            session.kill()
        self._sessions.clear()

    def kill_first(self) -> None:
        """SIGKILL to its first process only."""
        os.kill(self.pid, signal.SIGKILL)

    def start_again(self) -> None:
        """Start it as before."""
        self.start(self._environment)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left after a while."""
        for session in self._sessions:
            session.ask_to_stop()
        for session in self._sessions:
            session.stop_by(time.monotonic() + self._stop_seconds)
        self._sessions.clear()

    def members(self) -> list[psutil.Process]:
        """All its processes that live."""
        return [process for session in self._sessions for process in session.members()]


class Installation:
    """Everything of one installation in one folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.environment = _environment(folder) | dict(environment)
        self.postgres = EmbeddedPostgres(folder)
        # Below those that the system gives to outgoing connections, also while the web server is down.
        self.port = serving.free_port(20_000 + os.getpid() % 12_000)
        web = serving.web_server(self.port, environment=None)
        self._web_environment = dict(web.environment)
        self._answers = web.ready
        self.web = Part("web", web.command, folder, WEB_STOP_SECONDS)
        self.workers = Part("workers", serving.workers().command, folder, STOP_SECONDS)

    @property
    def lease(self) -> float:
        """The lease in seconds."""
        return float(self.environment["ONEIO_LEASE_SECONDS"])

    def organization(self, name: str, *targets: TargetPlan) -> str:
        """Make an organization that sends to these targets; its source's Authorization header."""
        plan = json.dumps({"name": name, "targets": [asdict(target) for target in targets]})
        authorization: str = json.loads(self.run("-m", "tests.faults.organization", plan))
        return authorization

    def start_web(self, **environment: str) -> None:
        """Start the web server and wait until it answers."""
        self.web.start(self.environment | self._web_environment | environment)
        wait_until(self._answers)

    def start_workers(self, **environment: str) -> None:
        """Start workers, beside those that run, and wait until all their pumps beat."""
        wanted = self.environment | environment
        pumps = len(self.pumps()) + int(wanted["ONEIO_PUMPS"])
        self.workers.start(wanted)
        wait_until(lambda: len(self.pumps()) == pumps)

    def restart_database(self) -> None:
        """Stop PostgreSQL as if power were cut, and start it again."""
        self.postgres.stop("immediate")
        self.postgres.ensure_running()

    @contextlib.contextmanager
    def lazy_disk(self) -> Iterator[None]:
        """For the block, commits that do not wait for the disk reach it ten seconds late."""
        late = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
        self._configure(*(f"SET {name} = '{value}'" for name, value in late.items()))
        try:
            yield
        finally:
            self._configure(*(f"RESET {name}" for name in late))

    def _configure(self, *changes: str) -> None:
        with self._connect() as database:
            for change in changes:
                database.execute(f"ALTER SYSTEM {change}".encode())
            database.execute("SELECT pg_reload_conf()")

    def pumps(self) -> list[int]:
        """The process ids of the pumps that live."""
        rows = self.query("SELECT DISTINCT pid FROM oneio_pumpheartbeat WHERE pid IS NOT NULL")
        living = {process.pid for process in self.workers.members()}
        return sorted(pid for (pid,) in rows if pid in living)

    def sentinel(self) -> psutil.Process | None:
        """The one process between the supervisor and the workers, django-q2's, if there is one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.workers.pid).children():
                if child.children():
                    return child
        return None

    def sweep(self) -> int:
        """How many lanes the product's own sweep has to heal now."""
        return int(self.run("-m", "tests.faults.sweeping").split()[-1])

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows straight from the database."""
        with self._connect() as database:
            return database.execute(sql.encode(), parameters or None).fetchall()

    def execute(self, sql: str, *parameters: Any) -> None:
        """Change the database behind the product's back."""
        with self._connect() as database:
            database.execute(sql.encode(), parameters or None)

    def run(self, *arguments: str, **environment: str) -> str:
        """Run Python inside the installation's environment; its output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment | environment,
            cwd=state.CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr[-2000:]
        return done.stdout

    def stop(self) -> None:
        """Stop web server and workers."""
        self.workers.stop()
        self.web.stop()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.postgres.socket), user="oneio", dbname="oneio", autocommit=True)


@contextlib.contextmanager
def installation(**environment: str) -> Iterator[Installation]:
    """An installation with an empty database, nothing else started; deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="oneio-faults-"))
    folder.chmod(0o711)  # as root the database server runs as a user of its own
    installed = Installation(folder, environment)
    try:
        with installed.postgres.running():
            installed.run("manage.py", "migrate", "--verbosity", "0")
            try:
                yield installed
            finally:
                installed.stop()
    finally:
        installed.postgres.remove()
        shutil.rmtree(folder, ignore_errors=True)


def shifted(hours: float) -> dict[str, str]:
    """The environment of processes whose clock is so many hours ahead."""
    return {"PYTHONPATH": str(SHIFTED), "FAULTS_CLOCK_SHIFT": str(hours * 3600)}


def wait_until(ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    """Return once `ready()` is true. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


def _environment(folder: Path) -> dict[str, str]:
    """As in production, with fresh keys and short leases; the targets are on this machine."""
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
            "ONEIO_PUMPS": "4",
            "ONEIO_HTTP_THREADS": "8",
            "ONEIO_LEASE_SECONDS": "4",
            "DJANGO_SETTINGS_MODULE": "oneio.settings",
            "PYTHONUNBUFFERED": "1",
        }
    )
