"""Runs every check that needs no tests, all of them even if one fails, and says at the end which failed.

Usage: python -m scripts.check
"""

import os
import subprocess
import sys
import time

from oneio.state import new_keys, state_directory

PYTHON = sys.executable
MANAGE = [PYTHON, "manage.py"]


def checks() -> dict[str, list[str]]:
    """Return the checks in order: a name for people, and the command."""
    cache = os.environ.get("ONEIO_CACHE_DIR") or str(state_directory() / "cache")
    import_rules = "from importlinter.cli import lint_imports_command as run; run()"
    return {
        "lint": [PYTHON, "-m", "ruff", "check", "."],
        "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
        "types": [PYTHON, "-m", "mypy"],
        "types of the scripts": [PYTHON, "-m", "mypy", "-p", "scripts"],
        "import rules": [PYTHON, "-c", import_rules, "--no-logo", "--cache-dir", f"{cache}/import-linter"],
        "settings for production": [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
        "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    }


def main() -> int:
    """Run all checks and return 0 if every one passed."""
    failed = [name for name, command in checks().items() if not passes(name, command)]
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll checks passed.")
    return 1 if failed else 0


def passes(name: str, command: list[str]) -> bool:
    """Run one check, print its name and time, and tell whether it passed."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    production = {"ONEIO_ENV": "production", "ONEIO_HOSTS": "oneio.example.com", **new_keys()}
    environment = os.environ | (production if "--deploy" in command else {})
    passed = subprocess.run(command, env=environment, check=False).returncode == 0
    print(f"   {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.1f} s", flush=True)
    return passed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
