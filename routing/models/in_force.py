"""Which version of which rule was in force: what an explanation of the past asks for."""

from __future__ import annotations

from django.db import models

from oneio.models import EnvironmentModel, same_environment
from routing.models.rule import RoutingRule, RuleVersion


class RuleInForce(EnvironmentModel):
    """From this revision of its environment on, the rule worked in this version, or not at all.

    A trigger writes these rows, so that whoever changes a rule cannot forget to.
    """

    rule = models.ForeignKey(RoutingRule, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    version = models.ForeignKey(
        RuleVersion, null=True, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    revision = models.BigIntegerField()

    class Meta:
        constraints = [
            same_environment("rule", "routing.RoutingRule", "rule_in_force"),
            same_environment("version", "routing.RuleVersion", "rule_in_force"),
            models.UniqueConstraint(fields=["rule", "revision"], name="rule_in_force_once_per_revision"),
        ]
        indexes = [models.Index(fields=["environment", "rule", "-revision"], name="rules_in_force")]

    def __str__(self) -> str:
        return f"{self.rule} from revision {self.revision}"
