"""Runs programs as child processes, each in a session of its own: started, watched, started again, stopped.

A file per program says which sessions are its, so that what a killed parent left behind is found and
stopped at the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import psutil

from oneio import signals
from oneio.state import CHECKOUT, log_directory, state_directory

WATCH_SECONDS = 0.25
RESTART_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
READY_SECONDS = 60.0
DEATHS_WHILE_STARTING = 3
STOP_LEFT_OVER_SECONDS = 30.0
LOG_BYTES = 5_000_000


class ProcessError(Exception):
    """A program cannot be run; the text says which, why, and where its log is."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `environment` is added to ours; `ready` says when it does its work.

    `stop_seconds`: how long it may take to end. `ends_alone`: what is left of it when its first process is
    killed stops by itself and need not be killed before a new start.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Callable[[], bool] = lambda: True
    stop_seconds: float = 10.0
    ends_alone: bool = False

    @property
    def log(self) -> Path:
        """The file that gets its output."""
        return log_directory() / f"{self._file_name}.log"

    @property
    def record(self) -> Path:
        """The file that says which sessions are its."""
        return _run_folder() / f"{self._file_name}.json"

    @property
    def _file_name(self) -> str:
        return self.name.lower().replace(" ", "-")


class Children:
    """Programs that run as long as this block; `look_after` is called between looks at them.

    They are started again when they die, and stopped together at the end, whatever the reason.
    """

    def __init__(self, look_after: Callable[[], None] = lambda: None) -> None:
        self._look_after = look_after
        self._children: list[_Child] = []
        self._changing = threading.Lock()
        self._leaving = threading.Event()
        self._watch = threading.Thread(target=self._keep_alive, name="processes", daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        with signals.delayed():
            self._leaving.set()
            self._watch.join()
            _stop([session for child in self._children for session in child.sessions])

    def start(self, *programs: Program) -> None:
        """Start programs without waiting for them."""
        for program in programs:
            # A signal between the start of a process and its entry in the list would leave it behind.
            with signals.delayed(), self._changing:
                child = _Child(program)
                self._children.append(child)
                child.start()

    def wait_ready(self, program: Program, seconds: float = READY_SECONDS) -> None:
        """Return once the program does its work. Raises ProcessError after `seconds`."""
        child = next(child for child in self._children if child.program is program)
        deadline = time.monotonic() + seconds
        while not program.ready():
            if child.deaths >= DEATHS_WHILE_STARTING:
                raise ProcessError(_failure(program, "ends as soon as it is started"))
            if time.monotonic() > deadline:
                raise ProcessError(_failure(program, f"is not ready after {seconds:.0f} s"))
            time.sleep(0.05)

    def _keep_alive(self) -> None:
        while not self._leaving.wait(WATCH_SECONDS):
            with self._changing, contextlib.suppress(OSError):  # a full disk, say: tried again soon
                self._look_after()
                for child in self._children:
                    child.keep_alive()


class _Child:
    """One program and the process that runs it; `sessions`: all its starts of which something may live."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sessions: list[Session] = []
        self.deaths = 0
        self._started_at = self._start_again_at = 0.0

    def start(self) -> None:
        self._started_at = time.monotonic()
        with _open_log(self.program.log) as log:
            process = subprocess.Popen(  # noqa: S603 (our own programs)
                self.program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(self.program.environment),
                start_new_session=True,
            )
        session = Session(process.pid, _began(process.pid), self.program.stop_seconds, process)
        self.sessions = [*(old for old in self.sessions if old.members()), session]
        self.program.record.write_text(json.dumps([[old.leader, old.began] for old in self.sessions]))

    def keep_alive(self) -> None:
        """Start it again if it died, after a pause that grows while it dies again and again."""
        if not self.sessions or self.sessions[-1].leader_lives():
            return
        now = time.monotonic()
        if not self._start_again_at:
            self.deaths = self.deaths + 1 if now - self._started_at < STEADY_SECONDS else 1
            pause = min(RESTART_PAUSE_SECONDS * 2.0 ** (self.deaths - 1), LONGEST_PAUSE_SECONDS)
            self._start_again_at = now + pause
            if not self.program.ends_alone:
                self.sessions[-1].kill()
        elif now >= self._start_again_at:
            self._start_again_at = 0.0
            self.start()


@dataclass(frozen=True, slots=True)
class Session:
    """All processes of one start of a program; `leader` is the id of the first one and of the session."""

    leader: int
    began: float
    stop_seconds: float
    child: subprocess.Popen[bytes] | None = None

    def members(self) -> list[psutil.Process]:
        """Those that still live; none if the leader's id has been given to a stranger."""
        living = [process for process in psutil.process_iter() if _session_of(process.pid) == self.leader]
        if any(process.pid == self.leader and _began(process.pid) != self.began for process in living):
            return []
        return [process for process in living if _lives(process)]

    def leader_lives(self) -> bool:
        """Whether its first process still runs."""
        if self.child:
            return self.child.poll() is None
        return any(process.pid == self.leader for process in self.members())

    def ask_to_stop(self) -> None:
        """Tell its first process to end, which ends the others."""
        if self.leader_lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGTERM)

    def stop_by(self, deadline: float) -> None:
        """Wait until its first process has ended, then end at once whatever else lives of it."""
        while self.leader_lives() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End at once whatever lives of it."""
        while living := self.members():
            for process in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)
        if self.child:
            self.child.wait()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Hold the state folder for this process. Raises ProcessError while another serves from it."""
    path = state_directory() / "serving.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessError(
                f"oneio already runs from {path.parent}. Stop that one first (Ctrl-C where it runs), or set "
                "ONEIO_STATE_DIR to another folder."
            ) from None
        yield


def stop_left_over() -> None:
    """Stop what an earlier run in this state folder has left behind, because it was killed itself."""
    with signals.delayed():
        _stop([session for record in _run_folder().glob("*.json") for session in _recorded(record)])


def _stop(sessions: list[Session]) -> None:
    """Ask all to end, wait for each as long as its program may take, then kill what is left."""
    for session in sessions:
        session.ask_to_stop()
    began = time.monotonic()
    for session in sessions:
        session.stop_by(began + session.stop_seconds)
    for record in _run_folder().glob("*.json"):
        record.unlink(missing_ok=True)


def _recorded(record: Path) -> list[Session]:
    try:
        known = json.loads(record.read_text())
        return [Session(int(leader), float(began), STOP_LEFT_OVER_SECONDS) for leader, began in known]
    except (ValueError, TypeError):  # half written by a process that was killed
        return []


def _run_folder() -> Path:
    folder = state_directory() / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _open_log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _failure(program: Program, what: str) -> str:
    lines = program.log.read_text(errors="replace").strip().splitlines()
    return (
        f"The {program.name} {what}. It said last: {lines[-1] if lines else 'nothing'} (log: {program.log})"
    )


def _began(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return 0.0


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _session_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return 0
