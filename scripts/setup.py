"""Prepares the virtual environment from a hashed lock file and runs a command in it.

Usage: setup.py runtime|dev COMMAND [ARGUMENT]...   (`python` as COMMAND is the environment's own)
Runs on the bare standard library of whatever Python was found. The environment is `.venv`, or one in
the state folder for a user who does not own the checkout and for whom `.venv` does not work.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from oneio.state import StateError, exclusive_lock, state_directory  # noqa: E402
from scripts.debian import install  # noqa: E402

LOCK_FILES = {"runtime": CHECKOUT / "requirements.lock", "dev": CHECKOUT / "requirements-dev.lock"}
UNFINISHED = ".oneio-unfinished"


class SetupError(Exception):
    """Set-up cannot go on; the text says why and what to do."""


def main(arguments: list[str]) -> None:
    """Prepare the environment and become the command."""
    kind, command, *rest = arguments
    state = state_directory()
    with exclusive_lock(state / "setup.lock"):
        venv = choose_venv(state, kind)
        if not is_ready(venv, kind):
            prepare(venv, kind)
    program = str(python_of(venv)) if command == "python" else command
    os.execvpe(program, [program, *rest], environment(venv, state))


def choose_venv(state: Path, kind: str) -> Path:
    """Return `.venv` if it works for this user or is theirs to make, else a place in the state folder."""
    venv = CHECKOUT / ".venv"
    ours = (venv if venv.exists() else CHECKOUT).stat().st_uid == os.geteuid()
    return venv if ours or is_ready(venv, kind) else state / "venv"


def is_ready(venv: Path, kind: str) -> bool:
    """Tell whether the environment holds what the lock file says and its Python runs for this user."""
    try:
        return stamp(venv, kind).read_text() == fingerprint(kind) and runs(venv, "pass")
    except OSError:
        return False


def prepare(venv: Path, kind: str) -> None:
    """Make the environment or bring it up to date; a set-up that was interrupted starts over."""
    os.umask(0o022)  # Other users of this checkout may use it too.
    unfinished = venv / UNFINISHED
    if unfinished.exists() or not runs(venv, "import pip, sys; assert sys.version_info >= (3, 11)"):
        make(venv)
    unfinished.touch()
    say(f"Installing the packages of {LOCK_FILES[kind].name}; the first time takes a minute or two.")
    pip = [
        str(python_of(venv)),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    if subprocess.run([*pip, "--require-hashes", "-r", str(LOCK_FILES[kind])], check=False).returncode:
        raise SetupError(
            "The packages could not be installed (see above). Run the same command again to go on."
        )
    # The packages for development include those for running.
    for done in ("runtime", "dev") if kind == "dev" else ("runtime",):
        stamp(venv, done).write_text(fingerprint(done))
    unfinished.unlink()


def make(venv: Path) -> None:
    """Make an empty environment with this Python, installing Debian's part of it if need be."""
    if not has_ensurepip():
        package = f"python3.{sys.version_info.minor}-venv"
        if not install(package, "The virtual environment"):
            raise SetupError("Then run the same command again.")
    say(f"Making the virtual environment {venv} with Python {sys.version.split()[0]}.")
    command = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(command, check=False).returncode:
        raise SetupError("The virtual environment could not be made (see above).")


def has_ensurepip() -> bool:
    """Tell whether this Python can make environments; asked anew each time, in a process of its own."""
    command = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def runs(venv: Path, code: str) -> bool:
    """Tell whether the environment's Python runs `code` without an error."""
    try:
        return subprocess.run([python_of(venv), "-c", code], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def environment(venv: Path, state: Path) -> dict[str, str]:
    """Return the environment variables for the command: caches go to the state folder, never the checkout."""
    cache = state / "cache"
    variables = os.environ | {
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
        "COVERAGE_FILE": str(cache / "coverage"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
        "ONEIO_CACHE_DIR": str(cache),
    }
    cache.mkdir(exist_ok=True)
    if CHECKOUT.stat().st_uid != os.geteuid():
        # Compiled files of another user would stay behind in the owner's folders.
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
    return variables


def python_of(venv: Path) -> Path:
    """Return the environment's Python."""
    return venv / "bin" / "python"


def stamp(venv: Path, kind: str) -> Path:
    """Return the file that says which lock file the environment was made from."""
    return venv / f".oneio-{kind}"


def fingerprint(kind: str) -> str:
    """Return what the stamp must hold for the lock file as it is now."""
    return hashlib.sha256(LOCK_FILES[kind].read_bytes()).hexdigest()


def say(sentence: str) -> None:
    """Tell the person what takes time; the command's own output stays clean."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (SetupError, StateError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
