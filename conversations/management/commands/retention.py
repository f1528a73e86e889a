"""`manage.py retention`: deletes now what has been kept long enough, or counts it."""

import math
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from conversations import retention


class Command(BaseCommand):
    """Delete what has been kept long enough."""

    help = "Delete what has been kept as long as the settings say, and say how much that was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whether to count only."""
        parser.add_argument("--dry-run", action="store_true", help="count, delete nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """One line for each sort of data."""
        counts = retention.due() if options["dry_run"] else retention.run(math.inf)
        word = "would be deleted" if options["dry_run"] else "deleted"
        for name, number in counts.items():
            self.stdout.write(f"{name}: {number} {word}")
        if not counts:
            self.stdout.write("Everything is kept for ever: all settings are 0.")
