"""Gives an endpoint a new receiver password and prints it, once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from endpoints.models import Endpoint
from endpoints.receiver_logins import UsernameRefused, generate_password, set_password
from oneio.models import EnvironmentKind

MAX_GRACE_HOURS = 24 * 365


def add_endpoint_arguments(parser: ArgumentParser) -> None:
    """The options that name one endpoint's environment."""
    parser.add_argument("--environment", choices=EnvironmentKind.values, default=EnvironmentKind.PRODUCTION)
    parser.add_argument("--organization", default="", help="Its slug; needed where there are several.")


def find_endpoint(slug: str, environment: str, organization: str) -> Endpoint:
    """The endpoint of that name. Raises CommandError that says how to name it."""
    found = Endpoint.objects.select_related("environment__organization").filter(
        slug=slug, environment__kind=environment
    )
    if organization:
        found = found.filter(environment__organization__slug=organization)
    match list(found[:2]):
        case [endpoint]:
            return endpoint
        case []:
            raise CommandError(
                f"There is no endpoint {slug} in {environment}. Check its slug and environment."
            )
    raise CommandError(f"Several organizations have an endpoint {slug}: say which with --organization.")


class Command(BaseCommand):
    """`manage.py new_password ENDPOINT`."""

    help = "Make a new receiver password for an endpoint and print it once. The old one works on for a while."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which endpoint, under which name it logs in, and how long the old password works on."""
        parser.add_argument("endpoint", help="The endpoint's slug.")
        add_endpoint_arguments(parser)
        parser.add_argument(
            "--username", default="", help="Kept as it is, or the endpoint's slug, if not given."
        )
        parser.add_argument(
            "--grace", type=float, default=24, metavar="HOURS", help="Default 24; 0 ends it now."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Set it, then print username and password."""
        if not 0 <= options["grace"] <= MAX_GRACE_HOURS:
            raise CommandError(f"--grace must be between 0 and {MAX_GRACE_HOURS} hours.")
        endpoint = find_endpoint(options["endpoint"], options["environment"], options["organization"])
        username, password = options["username"] or _username(endpoint), generate_password()
        try:
            set_password(endpoint, username, password, timedelta(hours=options["grace"]))
        except UsernameRefused as error:
            raise CommandError(f"{error} Use --username.") from None
        self.stdout.write(f"Username: {username}\nPassword: {password}")
        self.stderr.write("The password is not kept and cannot be shown again.")


def _username(endpoint: Endpoint) -> str:
    current = endpoint.receiver_logins.filter(valid_until=None).first()
    return current.username if current else endpoint.slug
