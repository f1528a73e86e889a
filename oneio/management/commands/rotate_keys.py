"""`manage.py rotate_keys`: puts the newest encryption key to use, while everything runs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oneio.crypto import Undecryptable, create_data_key, rewrap_data_keys
from oneio.models import Organization


class Command(BaseCommand):
    """Wrap all data keys with the first key of ONEIO_ENCRYPTION_KEYS."""

    help = (
        "Wrap every organization's data keys with the first key of ONEIO_ENCRYPTION_KEYS. Afterwards older "
        "keys may be taken out of that variable. With --new-data-keys, what is stored from now on is sealed "
        "with fresh data keys too; what was stored before stays readable."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whether to make fresh data keys as well."""
        parser.add_argument("--new-data-keys", action="store_true", help="make a fresh data key each")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say how many keys there were."""
        if options["new_data_keys"]:
            for organization in Organization.objects.all():
                create_data_key(organization.pk)
        try:
            wrapped = rewrap_data_keys()
        except Undecryptable as problem:
            fresh = (
                " What is stored from now on is sealed with fresh data keys."
                if options["new_data_keys"]
                else ""
            )
            raise CommandError(f"No older data key was wrapped anew. {problem}{fresh}") from None
        self.stdout.write(f"{wrapped} data keys are wrapped with the newest encryption key.")
