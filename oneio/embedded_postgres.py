"""Runs the PostgreSQL that comes as a wheel: what is used where DATABASE_URL is not set.

It listens on a Unix socket alone, in a folder only its user may enter, and lets in the user of the
state folder. It lives in a session of its own, so Ctrl-C in a terminal does not reach it.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import psutil
import psycopg
from psycopg import sql

from oneio import postgres_files as files
from oneio import signals
from oneio.postgres_files import EmbeddedPostgresError as EmbeddedPostgresError
from oneio.state import StateError, exclusive_lock, state_directory, user_name

DATABASE = "oneio"
ROLE = "oneio"
PORT = 5432
LOCK_FILE_LINES = 8
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
SOCKET_SECONDS = 2.0
LOG_BYTES = 5_000_000
# Above every process id a system hands out: tells PostgreSQL that the owner of its lock file is gone.
NO_PROCESS = 4_194_304
OPTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    # Each web process may want 16 for every four cores; the rest is for workers and people.
    "max_connections": str(100 + 4 * (os.cpu_count() or 1)),
    # What does not fit is in the system's cache, and costs no process anything.
    "shared_buffers": "16MB",
    "wal_buffers": "2MB",
    # Helpers for reading, replication and tables of serializable transactions would lie there unused.
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "max_pred_locks_per_transaction": "10",
    # Containers give /dev/shm 64 MB, and systemd empties it when a user logs out.
    "dynamic_shared_memory_type": "mmap",
    "wal_compression": "on",
    "jit": "off",
    # Queue rows die young: look for dead ones more often than once a minute.
    "autovacuum_naptime": "10s",
    # Nothing of a ticket may reach the log: errors quote values, so only the server's own events are logged.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
}
# Commits still survive a kill of the server, so that tests may kill it.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
StopMode = Literal["fast", "immediate"]
SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def settings(name: str = DATABASE) -> dict[str, object]:
    """Return the entry for Django's DATABASES; the server need not run for it."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": str(files.socket_directory(state_directory())),
        "PORT": str(PORT),
        "NAME": name,
        "USER": ROLE,
    }


class EmbeddedPostgres:
    """The server of one state folder; any number of processes may hold one of these at once."""

    def __init__(self, state: Path, *, durable: bool = True) -> None:
        """Take the state folder; `durable=False` gives up safety against power loss, for tests."""
        self.state = state
        self.durable = durable
        self.socket = files.socket_directory(state)
        self.log = state / "log" / "postgres.log"
        self._log_start = 0

    @property
    def data(self) -> Path:
        """The folder `initdb` made, with the link from the state folder followed."""
        return (self.state / "postgres").resolve()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start the server if need be and stop it when the last process leaves this block."""
        with (self.state / "postgres.users").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                # Ctrl-C while it starts would leave a server that nobody has noted yet.
                with signals.delayed():
                    self.ensure_running()
                yield
            finally:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.stop()

    def ensure_running(self) -> bool:
        """Return True if this call started the server, False if it ran; the database exists afterwards.

        Raises EmbeddedPostgresError with advice where it cannot be started.
        """
        try:
            with exclusive_lock(self.state / "postgres.lock"):
                started = not self._usable()
                if started:
                    self._start()
                self._create_database()
        except OSError as error:
            raise files.failure("The embedded PostgreSQL cannot be started", error) from None
        except psycopg.OperationalError as error:
            raise self._start_failure(str(error)) from None
        return started

    def is_running(self) -> bool:
        """Tell whether the server's main process lives, whether or not it answers yet."""
        return self._postmaster() is not None

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Return once the server answers; raise if it ended or `timeout` seconds pass."""
        deadline = time.monotonic() + timeout
        while not self._answers():
            if not self.is_running():
                raise EmbeddedPostgresError(f"The embedded PostgreSQL has ended. Its log: {self.log}")
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"The embedded PostgreSQL did not answer within {timeout:.0f} s. Its log: {self.log}"
                )
            time.sleep(0.05)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and wait for its end: `fast` closes tidily, `immediate` as if power were cut."""
        process = self._postmaster()
        if process is None:
            return
        for attempt in (SIGNALS[mode], signal.SIGQUIT):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(attempt)
            if _ended(process, STOP_SECONDS):
                return
        raise EmbeddedPostgresError(f"The embedded PostgreSQL (process {process.pid}) does not stop.")

    def remove(self) -> None:
        """Stop the server and delete its data for good."""
        with exclusive_lock(self.state / "postgres.lock"):
            self.stop()
            for folder in (self.data, self.socket, files.shared_place(self.state)):
                shutil.rmtree(folder, ignore_errors=True)
            (self.state / "postgres").unlink(missing_ok=True)

    def program(self, name: str) -> Path:
        """Return the path of a client program such as `psql` or `pg_dump`; connect with `settings()`."""
        return files.installed_package() / "pginstall18" / "bin" / name

    def _usable(self) -> bool:
        """Wait for a server that runs to answer; stop one that cannot be reached, and then return False."""
        began = time.monotonic()
        while self.is_running():
            waited = time.monotonic() - began
            if self._answers():
                return True
            # A cleaner of /tmp may have taken the socket of a living server: only a restart makes it anew.
            lost = waited > SOCKET_SECONDS and not (self.socket / f".s.PGSQL.{PORT}").exists()
            if lost or waited > READY_SECONDS:
                self.stop()
            time.sleep(0.05)
        return False

    def _start(self) -> None:
        owner = files.account(self.data)
        programs = files.programs(self.state, owner)
        if not self.data.exists():
            self._initialise(programs, owner)
        files.make_socket_directory(self.state, owner)
        self._write_access_files(owner)
        self._free_lock_files()
        deadline = time.monotonic() + READY_SECONDS
        while not self._launched(programs / "postgres", owner):
            # After a kill the orphans of the old server hold its memory for a moment.
            if "shared memory block" not in self._last_words() or time.monotonic() > deadline:
                raise self._start_failure(self._last_words())
            time.sleep(0.2)

    def _initialise(self, programs: Path, owner: files.Account) -> None:
        place = files.data_place(self.state, owner)
        draft = place / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(mode=0o700)
            owner.own(draft)
            done = owner.run(_initdb_command(programs / "initdb", draft, durable=self.durable), draft)
            if done.returncode:
                raise self._start_failure(done.stderr)
            (self.state / "postgres").unlink(missing_ok=True)
            draft.rename(place / "postgres")
            if place != self.state:
                (self.state / "postgres").symlink_to(place / "postgres")
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _write_access_files(self, owner: files.Account) -> None:
        # Other services may share the user to which a server started by root changes: it is not let in.
        people = {user_name(), "root"} | ({user_name(owner.uid)} - {files.UNPRIVILEGED_USER})
        lines = "".join(f'{ROLE} "{person}" {ROLE}\n' for person in sorted(people))
        (self.data / "pg_ident.conf").write_text(lines)
        (self.data / "pg_hba.conf").write_text(f"local all all peer map={ROLE}\n")

    def _free_lock_files(self) -> None:
        """Keep a process that got the id of a server killed earlier from looking like that server."""
        for left_over in self.socket.iterdir():
            left_over.unlink()
        lock_file = self.data / "postmaster.pid"
        lines = self._lock_lines()
        if not lines:
            lock_file.unlink(missing_ok=True)
            return
        # The other lines stay: from them PostgreSQL sees whether orphans still use the data.
        lock_file.write_text("\n".join([str(NO_PROCESS), *lines[1:], ""]))

    def _launched(self, postgres: Path, owner: files.Account) -> bool:
        """Start the server and return True once it answers, False if it ended at once."""
        process = self._spawn(postgres, owner)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._answers():
                return True
            if _ended(process, 0.05):
                return False
        return False

    def _spawn(self, postgres: Path, owner: files.Account) -> psutil.Process | None:
        options = OPTIONS | {"unix_socket_directories": str(self.socket)}
        options |= {} if self.durable else NOT_DURABLE
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self._open_log() as log:
            return _process(owner.start([str(postgres), "-D", str(self.data), *arguments], self.data, log))

    def _open_log(self) -> IO[bytes]:
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        log = self.log.open("ab")
        self._log_start = log.tell()
        return log

    def _last_words(self) -> str:
        words = self.log.read_bytes()[self._log_start :].decode(errors="replace").strip()
        fatal = [line.partition("FATAL:")[2].strip() for line in words.splitlines() if "FATAL:" in line]
        return fatal[-1] if fatal else words

    def _start_failure(self, words: str) -> EmbeddedPostgresError:
        if "No space left" in words:
            return files.failure("The embedded PostgreSQL did not start", OSError(errno.ENOSPC, ""))
        return EmbeddedPostgresError(
            f"The embedded PostgreSQL did not start; it said: {words.strip()}. Its log: {self.log}. "
            "Where it cannot run, set DATABASE_URL to a PostgreSQL 15 or newer."
        )

    def _answers(self) -> bool:
        lines = self._lock_lines()
        # Knocking before it is ready would fill the log.
        if len(lines) < LOCK_FILE_LINES or lines[-1].strip() != "ready":
            return False
        with contextlib.suppress(psycopg.OperationalError), self._connect():
            return True
        return False

    def _connect(self) -> psycopg.Connection[psycopg.rows.TupleRow]:
        return psycopg.connect(
            host=str(self.socket), port=PORT, user=ROLE, dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _create_database(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _lock_lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []

    def _postmaster(self) -> psutil.Process | None:
        lines = self._lock_lines()
        process = _process(int(lines[0])) if lines else None
        with contextlib.suppress(psutil.Error):
            # The name and folder tell our server from a stranger that got its process id after a reboot.
            if (
                process
                and process.name() == "postgres"
                and Path(process.cwd()) == self.data
                and _lives(process)
            ):
                return process
        return None


def _initdb_command(initdb: Path, data: Path, *, durable: bool) -> list[str]:
    # The builtin locale sorts alike everywhere; the system's one is used for messages only.
    system_locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
    return [
        str(initdb),
        f"--pgdata={data}",
        f"--username={ROLE}",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        f"--locale={system_locale}",
        "--builtin-locale=C.UTF-8",
        "--auth-local=peer",
        "--auth-host=reject",
        "--no-instructions",
        *([] if durable else ["--no-sync"]),
    ]


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _ended(process: psutil.Process | None, seconds: float) -> bool:
    """Wait for the end of a process that need not be our child, `seconds` at most."""
    deadline = time.monotonic() + seconds
    while process and _lives(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def main(arguments: list[str]) -> int:
    """Obey `start`, `stop`, `status`, `remove` or `psql [arguments]`; return the exit code."""
    command, *rest = arguments or ["help"]
    server = EmbeddedPostgres(state_directory())
    match command:
        case "start":
            server.ensure_running()
        case "stop":
            server.stop()
        case "remove":
            server.remove()
        case "status":
            return _report(server)
        case "psql":
            server.ensure_running()
            psql = str(server.program("psql"))
            os.execv(psql, [psql, "-h", str(server.socket), "-U", ROLE, "-d", DATABASE, *rest])  # noqa: S606
        case _:
            sys.stderr.write(
                "usage: python -m oneio.embedded_postgres start | stop | status | remove | psql\n"
            )
            return 2
    return 0


def _report(server: EmbeddedPostgres) -> int:
    running = server.is_running()
    sys.stdout.write(f"{'running' if running else 'stopped'}: data {server.data}, socket {server.socket}\n")
    return 0 if running else 3


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (EmbeddedPostgresError, StateError) as error:
        sys.exit(str(error))
