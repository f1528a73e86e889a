"""`manage.py check_rules`: says what is wrong or doubtful about the rules in force, for people and for CI."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oneio.models import Environment, EnvironmentKind
from routing.checking import check_environment
from routing.checks import Finding, Severity


class Command(BaseCommand):
    """Check all enabled rules. Exit code 1 if there is an error."""

    help = "Check the enabled rules' current versions. Ends with exit code 1 if one of them has an error."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which environments, and how to say it."""
        parser.add_argument("--environment", choices=EnvironmentKind.values, help="All if not given.")
        parser.add_argument("--organization", default="", help="Its slug; all if not given.")
        parser.add_argument("--json", action="store_true", help="One list of findings, for programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, print, and end accordingly."""
        found = [
            (environment, finding)
            for environment in _environments(options["environment"], options["organization"])
            for finding in check_environment(environment.pk)
        ]
        self.stdout.write(_as_json(found) if options["json"] else _as_text(found))
        if any(finding.severity is Severity.ERROR for _, finding in found):
            raise SystemExit(1)


Found = list[tuple[Environment, Finding]]


def _environments(kind: str | None, organization: str) -> list[Environment]:
    rows = Environment.objects.select_related("organization")
    rows = rows.filter(kind=kind) if kind else rows
    rows = rows.filter(organization__slug=organization) if organization else rows
    if not rows and (kind or organization):
        raise CommandError("There is no such environment. Check --environment and --organization.")
    return list(rows)


def _as_json(found: Found) -> str:
    return json.dumps(
        [
            {"organization": one.organization.slug, "environment": one.kind, **asdict(finding)}
            for one, finding in found
        ],
        ensure_ascii=False,
        indent=2,
    )


def _as_text(found: Found) -> str:
    if not found:
        return "Nothing was found."
    return "\n".join(
        f"{finding.severity.upper():7} {environment}: {finding.rule} ({finding.field}): {finding.sentence}"
        for environment, finding in found
    )
