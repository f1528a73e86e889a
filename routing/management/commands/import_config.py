"""Brings a YAML configuration into an environment: all of it or nothing."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from endpoints.management.commands.new_password import add_endpoint_arguments
from routing.management.commands.export_config import find_environment
from routing.portable import reading
from routing.portable.importing import Options, Report, import_document

FATES = {
    "new": "+ {kind} {name} is new.",
    "changed": "~ {kind} {name} changes:",
    "same": "= {kind} {name} is the same.",
    "kept": "= {kind} {name} is kept.",
}


class Command(BaseCommand):
    """`manage.py import_config FILE`."""

    help = "Bring a YAML configuration into an environment, all of it or nothing; rules become drafts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which file, where to, and whether it counts at once."""
        parser.add_argument("file", help="A file written by export_config, or - for standard input.")
        add_endpoint_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="Say what would change; change nothing.")
        parser.add_argument("--publish", action="store_true", help="Publish each changed rule at once.")
        parser.add_argument("--reason", default="", help="Why; kept with each published version.")
        parser.add_argument(
            "--overwrite-endpoints",
            action="store_true",
            help="Endpoints that exist take over addresses and settings of the file.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, compare, write."""
        if options["publish"] and not options["reason"].strip():
            raise CommandError("Say why with --reason: it is kept with each published version.")
        environment = find_environment(options["environment"], options["organization"])
        chosen = Options(options["overwrite_endpoints"], options["publish"], options["reason"])
        try:
            document = reading.read(_text_of(options["file"]))
            report = import_document(environment, document, chosen, trial=options["dry_run"])
        except reading.Unimportable as error:
            raise CommandError("\n".join(_refusal(error.problems))) from None
        self.stdout.write("\n".join(lines(report)))
        if report.problems:
            raise CommandError("\n".join(_refusal(report.problems)))
        done = "Nothing was changed: this was a dry run." if options["dry_run"] else "All of it is in."
        self.stdout.write(done)


def lines(report: Report) -> list[str]:
    """The report, a line for each change."""
    found = []
    for change in report.changes:
        found.append(FATES[change.fate].format(kind=change.kind, name=change.name))
        found += [f"    {difference}" for difference in change.differences]
        found += [f"    {change.note}"] if change.note else []
    return found + report.notes


def _refusal(problems: Any) -> list[str]:
    return [*map(str, problems), "Nothing was changed. Correct this and import it again."]


def _text_of(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read()
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is no text in UTF-8.") from None
