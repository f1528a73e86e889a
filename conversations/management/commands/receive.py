"""Feeds a message from a file, as if an endpoint had posted it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conversations.incoming import Malformed, media_type
from conversations.ingest import Arrival, accept
from endpoints.management.commands.new_password import add_endpoint_arguments, find_endpoint


class Command(BaseCommand):
    """`manage.py receive FILE --endpoint SLUG`."""

    help = "Store a message from a file as if the endpoint had posted it, and print its Response ID."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which file, and on whose behalf."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--endpoint", required=True, help="The endpoint's slug.")
        add_endpoint_arguments(parser)
        parser.add_argument("--content-type", default="", help="Taken from the file's name if not given.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Store it as the inbound API would."""
        endpoint = find_endpoint(options["endpoint"], options["environment"], options["organization"])
        path: Path = options["file"]
        content_type = options["content_type"] or _type_of(path)
        try:
            response_id = accept(endpoint, Arrival(_content(path), str(media_type(content_type))))
        except Malformed as error:
            recorded = f" It is recorded as faulty message {error.response_id}." if error.response_id else ""
            raise CommandError(f"{error}{recorded}") from None
        self.stdout.write(response_id)


def _type_of(path: Path) -> str:
    return "application/xml" if path.suffix.lower() == ".xml" else "application/json"


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > settings.MESSAGE_MAX_BYTES:
        raise CommandError(f"{path} is larger than a message may be ({settings.MESSAGE_MAX_BYTES:,} bytes).")
    return content
