"""`manage.py free_login`: lets a person log in again who is refused after too many failures."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oneio import logins
from oneio.client_address import network


class Command(BaseCommand):
    """Forget failed logins."""

    help = "Forget failed logins, so that a person who is refused for a while can log in at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose failures, or from where."""
        parser.add_argument("username", nargs="?", default="", help="as the person types it")
        parser.add_argument("--address", default="", help="forget those from this IP address")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say how many there were."""
        name, address = options["username"], options["address"]
        if not name and not address:
            raise CommandError("Say whose failed logins to forget: a username, or --address, or both.")
        if address and not network(address):
            raise CommandError(f"{address} is no IP address.")
        self.stdout.write(f"Failed logins forgotten: {logins.free(name, address)}.")
