"""`manage.py worker`: routes and delivers until it is stopped."""

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand

from oneio.schedule import ensure_schedules
from oneio.supervisor import Supervisor


class Command(BaseCommand):
    """Run the supervised workers."""

    help = "Route and deliver messages until stopped (SIGTERM or Ctrl-C; takes up to 25 seconds)."
    # Those of the settings that workers need. Others load every page, and all workers would hold them.
    requires_system_checks = [Tags.compatibility]

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the workers and stay until told to stop."""
        ensure_schedules()
        self.stdout.write("Workers are starting.")
        self.stdout.flush()
        Supervisor().run()
        self.stdout.write("Workers have stopped.")
