"""`manage.py test_rules`: checks rules on their golden tickets, for people and for CI."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from django.core.management.base import BaseCommand, CommandError

from conversations import golden
from conversations.golden import Checked
from conversations.models import GoldenTicket
from oneio.models import EnvironmentKind


class Command(BaseCommand):
    """Check golden tickets. Exit code 1 if one of them is not as expected."""

    help = "Check rules on their golden tickets. Ends with exit code 1 if one is not as expected."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which ones, of which version, and where to write the report."""
        parser.add_argument("--environment", choices=EnvironmentKind.values, help="All if not given.")
        parser.add_argument("--organization", default="", help="Its slug; all if not given.")
        parser.add_argument("--rule", default="", help="The rule's slug; all if not given.")
        parser.add_argument("--drafts", action="store_true", help="Check drafts where there are any.")
        parser.add_argument("--junit", type=Path, metavar="FILE", help="Write the results as JUnit XML.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, print, and end accordingly."""
        cases = list(_cases(options["environment"], options["organization"], options["rule"]))
        if not cases and (options["rule"] or options["organization"]):
            raise CommandError("There is no golden ticket of that name of rule or organization.")
        found = golden.check(cases, drafts=options["drafts"])
        for one in found:
            self.stdout.write(_line(one))
        failed = sum(not one.passed for one in found)
        self.stdout.write(f"{len(found)} golden tickets, {failed} not as expected.")
        if options["junit"]:
            ElementTree.ElementTree(_junit(found)).write(
                options["junit"], encoding="utf-8", xml_declaration=True
            )
        if failed:
            raise SystemExit(1)


def _cases(kind: str | None, organization: str, rule: str) -> Any:
    given = {"environment__kind": kind, "organization__slug": organization, "rule__slug": rule}
    wanted = {name: value for name, value in given.items() if value}
    found = GoldenTicket.objects.filter(**wanted).select_related("rule__current_version")
    return found.order_by("environment", "rule__slug", "name")


def _line(one: Checked) -> str:
    """Names of what differs; values are for the page, because logs are read by many."""
    mark = "ok    " if one.passed else "FAILED"
    return f"{mark}  {one.case.rule.slug}: {one.case.name}{_why(one)}"


def _why(one: Checked) -> str:
    if one.problem:
        return f" ({one.problem})"
    names = ", ".join(deviation.name for deviation in one.deviations)
    return f" (differs: {names})" if names else ""


def _junit(found: list[Checked]) -> ElementTree.Element:
    failed = sum(not one.passed for one in found)
    suite = ElementTree.Element(
        "testsuite", name="golden tickets", tests=str(len(found)), failures=str(failed), errors="0"
    )
    for one in found:
        case = ElementTree.SubElement(suite, "testcase", classname=one.case.rule.slug, name=one.case.name)
        if not one.passed:
            ElementTree.SubElement(case, "failure", message=f"Not as expected{_why(one)}")
    return suite
