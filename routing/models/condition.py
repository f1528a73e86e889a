"""Conditions: when a rule, or one of its mappings, applies."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from oneio.constraints import CompositeForeignKey, known
from oneio.models import TenantModel, same_organization
from routing.models.mapping import Mapping
from routing.models.rule import RuleVersion


class ConditionGroup(models.TextChoices):
    """How many of a group's conditions must hold."""

    ALL = "all", "All of"
    ANY = "any", "Any of"
    NONE = "none", "None of"


class Condition(TenantModel):
    """One condition of a rule version, or a group of them; all at the top must hold.

    A row with `group` has no path or operator of its own but the rows whose `parent` it is. A row with
    `mapping` decides on that mapping only, not on the rule.
    """

    version = models.ForeignKey(
        RuleVersion, on_delete=models.CASCADE, related_name="conditions", db_constraint=False
    )
    mapping = models.ForeignKey(
        Mapping,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="conditions",
        db_constraint=False,
    )
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children", db_constraint=False
    )
    group = models.CharField(max_length=5, choices=ConditionGroup.choices, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    path = models.CharField("attribute", max_length=500, blank=True)
    operator = models.CharField(max_length=20, blank=True)
    value = models.CharField(max_length=1000, blank=True)
    values = ArrayField(models.CharField(max_length=1000), default=list, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            same_organization("version", "routing.RuleVersion", "condition"),
            models.UniqueConstraint(fields=["id", "version"], name="condition_with_version"),
            CompositeForeignKey(
                fields=["parent", "version"],
                to="routing.Condition",
                to_fields=["id", "version"],
                name="condition_parent_of_its_version",
            ),
            CompositeForeignKey(
                fields=["mapping", "version"],
                to="routing.Mapping",
                to_fields=["id", "version"],
                name="condition_mapping_of_its_version",
            ),
            known("group", ["", *ConditionGroup.values], "condition"),
            models.CheckConstraint(
                condition=(~Q(group="") & Q(path="", operator="", value="", values=[]))
                | (Q(group="") & ~Q(path="") & ~Q(operator="")),
                name="condition_is_a_group_or_compares",
            ),
        ]

    def __str__(self) -> str:
        if self.group:
            return self.get_group_display()
        return " ".join(filter(None, [self.path, self.operator, self.value or ", ".join(self.values)]))

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the version."""
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)
