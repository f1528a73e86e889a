#!/usr/bin/env python
"""The command line: `manage.py help` lists what it can do."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext

from oneio.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from oneio.signals import interruptible
from oneio.state import StateError, state_directory


def database() -> AbstractContextManager[object]:
    """The embedded PostgreSQL while the command runs, unless DATABASE_URL names a server."""
    if os.environ.get("DATABASE_URL"):
        return nullcontext()
    return EmbeddedPostgres(state_directory()).running()


def main() -> None:
    """Run one command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneio.settings")
    from django.core.management import execute_from_command_line

    try:
        # SIGTERM ends a command as Ctrl-C does: otherwise the database would be left running.
        with interruptible(), database():
            execute_from_command_line(sys.argv)
    except (EmbeddedPostgresError, StateError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
