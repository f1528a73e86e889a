"""Runs the tests on a database server of their own; a demo or a running product is not touched.

Usage: python -m scripts.test [--fast] [PYTEST ARGUMENT]...
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from oneio.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from oneio.state import StateError, state_directory
from scripts.debian import install

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def main(arguments: list[str]) -> int:
    """Run pytest over everything with the coverage gate, or only the fast tests; return its exit code."""
    fast = "--fast" in arguments
    rest = [argument for argument in arguments if argument != "--fast"]
    if not fast:
        ensure_browser()
    chosen = ["-m", "not slow"] if fast else ["--cov", "--cov-report=term-missing:skip-covered"]
    return run_pytest([*chosen, *parallel(), *rest])


def run_pytest(arguments: list[str]) -> int:
    """Run pytest with state of its own and, without DATABASE_URL, a server that never waits for the disk."""
    cache = os.environ.get("ONEIO_CACHE_DIR") or str(state_directory() / "cache")
    os.environ["ONEIO_STATE_DIR"] = str(state_directory() / "test")
    # Ctrl-C is for pytest, which tidies up; the database is stopped after it.
    signal.signal(signal.SIGINT, lambda *_: None)
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}/pytest", *arguments]
    if os.environ.get("DATABASE_URL"):
        return subprocess.run(command, check=False).returncode
    with EmbeddedPostgres(state_directory(), durable=False).running():
        return subprocess.run(command, check=False).returncode


def parallel() -> list[str]:
    """Return the options for TEST_JOBS processes; tests of one file stay together and in order."""
    jobs = os.environ.get("TEST_JOBS", "2")
    return [] if jobs == "0" else ["-n", jobs, "--dist", "loadfile"]


def ensure_browser() -> None:
    """Install Chromium for the browser tests where that is possible."""
    if not any(map(shutil.which, BROWSERS)) and not MAC_BROWSER.exists():
        install("chromium", "The browser tests")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (EmbeddedPostgresError, StateError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
