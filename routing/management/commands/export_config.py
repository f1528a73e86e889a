"""Writes an environment's configuration, or one rule, as YAML."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from endpoints.management.commands.new_password import add_endpoint_arguments
from oneio.models import Environment
from routing.models import RoutingRule
from routing.portable import companions, writing


def find_environment(kind: str, organization: str) -> Environment:
    """The environment of that kind. Raises CommandError that says how to name it."""
    found = Environment.objects.select_related("organization").filter(kind=kind)
    if organization:
        found = found.filter(organization__slug=organization)
    match list(found[:2]):
        case [environment]:
            return environment
        case []:
            raise CommandError(f"There is no environment {kind}. Check --environment and --organization.")
    raise CommandError(f"Several organizations have {kind}: say which with --organization.")


class Command(BaseCommand):
    """`manage.py export_config`."""

    help = "Write endpoints, translation tables and rules as YAML, without secrets. Fits in Git."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which environment, which rule, and where to."""
        add_endpoint_arguments(parser)
        parser.add_argument("--rule", default="", help="Only this rule, by its slug, with its tables.")
        parser.add_argument(
            "--with-golden",
            action="store_true",
            help="Also the golden tickets. They hold what real tickets said: keep the file accordingly.",
        )
        parser.add_argument("--output", type=Path, help="A file; printed if not given.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it."""
        environment = find_environment(options["environment"], options["organization"])
        document = _document(environment, options["rule"])
        if options["with_golden"]:
            rules = RoutingRule.objects.filter(environment=environment, slug__in=document["rules"])
            document = companions.with_golden(document, rules)
        text = writing.text(document)
        if options["output"] is None:
            self.stdout.write(text, ending="")
            return
        try:
            options["output"].write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None


def _document(environment: Environment, slug: str) -> dict[str, Any]:
    if not slug:
        return writing.environment_document(environment)
    rule = RoutingRule.objects.filter(environment=environment, slug=slug).first()
    version = (rule.current_version or rule.versions.order_by("-number").first()) if rule else None
    if rule is None or version is None:
        raise CommandError(f"There is no rule {slug} in {environment}. Check its slug and environment.")
    return writing.single_rule_document(rule, version)
