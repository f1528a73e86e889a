"""The rules as they were: those in force at an earlier revision of their environment."""

from __future__ import annotations

import logging

from routing import compiled, rules
from routing.models import RuleInForce, RuleVersion

log = logging.getLogger(__name__)


def rules_at(environment_id: int, revision: int, endpoint_id: int) -> compiled.RuleSet:
    """The rules that took messages of this endpoint at that revision; rules deleted since are missing.

    Their translation tables are those of today: a table has no versions.
    """
    noted = RuleInForce.objects.filter(environment_id=environment_id, revision__lte=revision)
    latest = noted.order_by("rule_id", "-revision").distinct("rule_id")
    in_force = [version_id for version_id in latest.values_list("version_id", flat=True) if version_id]
    versions = RuleVersion.objects.filter(pk__in=in_force, source_endpoint_id=endpoint_id)
    return compiled.RuleSet(compiled_ones(versions.all()))


def compiled_ones(versions: rules.Versions) -> list[compiled.RoutingRule]:
    """Those of these versions that can be run."""
    found = []
    for version in rules.with_rows(versions):
        try:
            found.append(rules.load(version))
        except compiled.RuleError as error:
            log.error("Version %s cannot be run (%s).", version.pk, error.field)
    return found
