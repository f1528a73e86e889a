"""Delay conditions: what a rule waits for before it carries a message over."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from oneio.constraints import known
from oneio.models import TenantModel, same_organization
from routing.models.rule import RuleVersion


class DelayKind(models.TextChoices):
    """What a delay waits for."""

    TIME = "time", "A time has passed"
    VARIABLE = "variable", "A conversation variable fits"
    TARGET = "target", "The target's ticket is known"


class DelayCondition(TenantModel):
    """One thing that a rule waits for; while any of its delays applies, the message waits.

    `seconds` counts from when the message was received. `path`, `operator` and `value(s)` are a condition
    on the conversation: the delay applies until it holds.
    """

    version = models.ForeignKey(
        RuleVersion, on_delete=models.CASCADE, related_name="delays", db_constraint=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=10, choices=DelayKind.choices)
    seconds = models.PositiveIntegerField(default=0)
    path = models.CharField("conversation variable", max_length=500, blank=True)
    operator = models.CharField(max_length=20, blank=True)
    value = models.CharField(max_length=1000, blank=True)
    values = ArrayField(models.CharField(max_length=1000), default=list, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            same_organization("version", "routing.RuleVersion", "delay"),
            known("kind", DelayKind, "delay"),
            models.CheckConstraint(
                condition=(Q(kind=DelayKind.TIME) & Q(seconds__gt=0))
                | (~Q(kind=DelayKind.TIME) & Q(seconds=0)),
                name="time_delay_has_a_time",
            ),
            models.CheckConstraint(
                condition=(Q(kind=DelayKind.VARIABLE) & ~Q(path="") & ~Q(operator=""))
                | (~Q(kind=DelayKind.VARIABLE) & Q(path="", operator="", value="", values=[])),
                name="variable_delay_has_a_condition",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.seconds or self.path}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the version."""
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)
