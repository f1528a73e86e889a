"""`manage.py rotate_keys`: puts the newest encryption key to use, while everything runs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from oneio.crypto import create_data_key, rewrap_data_keys
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
        self.stdout.write(f"{rewrap_data_keys()} data keys are wrapped with the newest encryption key.")
