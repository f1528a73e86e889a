"""Says where run-time state lives and keeps the keys that set-up makes for a machine that has none.

Uses the standard library alone, so that set-up, settings and scripts can ask before Django exists.
"""

import base64
import binascii
import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
KEY_BYTES = 32
KEY_VARIABLES = ("ONEIO_SECRET_KEY", "ONEIO_ENCRYPTION_KEYS", "ONEIO_HASH_KEY")
SET_STATE_DIR = "Set ONEIO_STATE_DIR to a folder you may write to."


class StateError(Exception):
    """State or keys cannot be had; the text says what happened and what to do."""


@dataclass(frozen=True)
class EncryptionKey:
    """One key-encryption key: its id, as written before each ciphertext, and its 32 bytes."""

    id: str
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Secrets:
    """Everything secret the product needs; the first encryption key is the one that encrypts."""

    secret_key: str
    encryption_keys: tuple[EncryptionKey, ...]
    hash_key: bytes

    def __repr__(self) -> str:
        """Name the key ids only, so that no traceback or log shows a key."""
        return f"Secrets(encryption_keys={[key.id for key in self.encryption_keys]})"


def state_directory() -> Path:
    """Return this user's state folder, made if need be; raise StateError where it cannot be made.

    It is ONEIO_STATE_DIR, else `var/<user>` in the checkout, else (a checkout this user may not
    write to) `oneio-<checkout>` in the user's own state folder.
    """
    configured = os.environ.get("ONEIO_STATE_DIR")
    if configured:
        return _made(Path(configured).expanduser().absolute(), SET_STATE_DIR)
    private = _home_state_directory()
    if _writable(private) or not _may_use_var():
        return _made(private, SET_STATE_DIR)
    return _made(CHECKOUT / "var" / user_name(), f"Make {CHECKOUT / 'var'} writable, or set ONEIO_STATE_DIR.")


def user_name(uid: int | None = None) -> str:
    """Return the name of a user (by default this process's), `uid-<number>` where the system knows none."""
    uid = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"


def postgres_directory() -> Path:
    """Return where the embedded PostgreSQL keeps its data; it is made by `initdb`, not here."""
    return state_directory() / "postgres"


def log_directory() -> Path:
    """Return the folder for log files, readable by this user only."""
    return _private(state_directory() / "log")


def static_directory() -> Path:
    """Return the folder `collectstatic` fills."""
    return _made(state_directory() / "static", "Make it writable.")


def media_directory() -> Path:
    """Return the folder for stored attachments (encrypted), readable by this user only."""
    return _private(state_directory() / "media")


def upload_directory() -> Path:
    """Return the folder for uploads that are still arriving, on the same file system as media."""
    return _private(media_directory() / "tmp")


def secrets_file() -> Path:
    """Return the path of the generated keys."""
    return state_directory() / "secrets.json"


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path` against all other processes; waits, and ends with the process."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def secrets(environment: Mapping[str, str] | None = None) -> Secrets:
    """Return the keys: from ONEIO_SECRET_KEY, ONEIO_ENCRYPTION_KEYS and ONEIO_HASH_KEY, else generated.

    With ONEIO_ENV=production nothing is generated: StateError names the variables that are missing.
    """
    given = os.environ if environment is None else environment
    missing = [name for name in KEY_VARIABLES if not given.get(name)]
    if missing and given.get("ONEIO_ENV") == "production":
        raise StateError(
            f"Not set in production: {', '.join(missing)}. Without them no payload can be encrypted. "
            "`python -m oneio.state new-keys` prints fresh values; keep them in your secret store."
        )
    generated = _generated() if missing else {}
    secret_key, keys, hash_key = (given.get(name) or generated[name] for name in KEY_VARIABLES)
    return Secrets(secret_key, _encryption_keys(keys), _key_bytes("ONEIO_HASH_KEY", hash_key))


def new_keys() -> dict[str, str]:
    """Return a fresh value for each of the three variables, in the form the environment takes."""
    return {
        "ONEIO_SECRET_KEY": base64.urlsafe_b64encode(os.urandom(48)).decode(),
        "ONEIO_ENCRYPTION_KEYS": f"k{os.urandom(3).hex()}:{_random_key()}",
        "ONEIO_HASH_KEY": _random_key(),
    }


def _random_key() -> str:
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _generated() -> dict[str, str]:
    path = secrets_file()
    with exclusive_lock(path.with_suffix(".lock")):
        if not path.exists():
            _write_atomically(path, json.dumps(new_keys(), indent=2))
        return _read_keys(path)


def _read_keys(path: Path) -> dict[str, str]:
    try:
        keys = json.loads(path.read_text())
        return {name: str(keys[name]) for name in KEY_VARIABLES}
    except (OSError, ValueError, KeyError, TypeError):
        # Never made anew: stored tickets would be unreadable for ever.
        raise StateError(
            f"The key file {path} cannot be read. Stored tickets are encrypted with its keys: put it back "
            "from a backup. If nothing stored matters, delete the whole folder it is in and start again."
        ) from None


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _encryption_keys(text: str) -> tuple[EncryptionKey, ...]:
    keys = []
    for item in text.split(","):
        key_id, colon, key = item.strip().partition(":")
        if not (key_id and colon):
            raise StateError("ONEIO_ENCRYPTION_KEYS must be `id:key` pairs, comma between, newest first.")
        keys.append(EncryptionKey(key_id, _key_bytes(f"ONEIO_ENCRYPTION_KEYS, key {key_id},", key)))
    if len({key.id for key in keys}) < len(keys):
        raise StateError("ONEIO_ENCRYPTION_KEYS uses one id for two keys: give each key its own id.")
    return tuple(keys)


def _key_bytes(name: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StateError(
            f"{name} must be {KEY_BYTES} bytes in base64. `python -m oneio.state new-keys` prints values."
        )
    return key


def _home_state_directory() -> Path:
    home = Path(os.environ.get("HOME", "/nonexistent"))
    base = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return base / f"oneio-{hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]}"


def _may_use_var() -> bool:
    own = CHECKOUT / "var" / user_name()
    if own.is_dir():
        return _writable(own)
    return _writable(own.parent if own.parent.is_dir() else CHECKOUT)


def _made(path: Path, advice: str) -> Path:
    try:
        _share_var()
        # Others may pass through: as root the database server runs as a user of its own.
        path.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"The state folder {path} cannot be made ({error.strerror}). {advice}") from None
    if not _writable(path):
        raise StateError(f"The state folder {path} is not writable for {user_name()}. {advice}")
    return path


def _share_var() -> None:
    """Let each user of one checkout have a folder of their own, as in /tmp."""
    var = CHECKOUT / "var"
    if os.environ.get("ONEIO_STATE_DIR") or var.exists() or not _writable(CHECKOUT):
        return
    with contextlib.suppress(FileExistsError):
        var.mkdir()
    var.chmod(stat.S_ISVTX | 0o777)


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK, effective_ids=True)


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def main(arguments: list[str]) -> int:
    """Print the state folder (`directory`) or fresh keys (`new-keys`) for scripts and people."""
    if arguments == ["new-keys"]:
        sys.stdout.writelines(f"{name}={value}\n" for name, value in new_keys().items())
    elif arguments == ["directory"]:
        sys.stdout.write(f"{state_directory()}\n")
    else:
        sys.stderr.write("usage: python -m oneio.state directory | new-keys\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
