"""Deletes this user's run-time state: database, keys, attachments, logs and caches.

Usage: python -m scripts.clean [--yes]   (without it, only says what would be deleted)
"""

import shutil
import sys
from pathlib import Path

from oneio.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from oneio.state import StateError, state_directory


def main(arguments: list[str]) -> int:
    """Delete the state folder if told to, and return the exit code."""
    state = state_directory()
    if arguments != ["--yes"]:
        print(f"This deletes {state}: database, keys, attachments, logs. To do it: make clean YES=1")
        return 1
    remove(state / "test")
    remove(state)
    return 0


def remove(state: Path) -> None:
    """Stop the database of a state folder and delete the folder."""
    if state.is_dir():
        EmbeddedPostgres(state).remove()
        shutil.rmtree(state)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (EmbeddedPostgresError, StateError) as error:
        sys.exit(str(error))
