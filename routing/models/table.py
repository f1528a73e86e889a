"""Translation tables: what one system says and what another calls it."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from oneio.constraints import known
from oneio.models import (
    EnvironmentModel,
    TenantModel,
    addressable,
    same_organization,
    with_organization,
    within_environment,
)


class UnmappedPolicy(models.TextChoices):
    """What a translation table does with a value that has no row."""

    PASS = "pass", "Pass it on as it is"
    DEFAULT = "default", "Use the default"
    HOLD = "hold", "Hold the delivery"


class TranslationTable(EnvironmentModel):
    """Values of one system and of another, shared between rules.

    A table without `inputs` has pairs: one value in, one out. With them, it takes several values and gives
    several: `inputs` and `outputs` name its columns, and its rows fill `sources` and `targets`.
    """

    name = models.CharField(max_length=100)
    unmapped = models.CharField(
        "a value without a row", max_length=10, choices=UnmappedPolicy.choices, default=UnmappedPolicy.HOLD
    )
    default = models.CharField(max_length=500, blank=True)
    inputs = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    outputs = ArrayField(models.CharField(max_length=100), default=list, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            within_environment("translation_table"),
            addressable("translation_table"),
            with_organization("translation_table"),
            known("unmapped", UnmappedPolicy, "translation_table"),
            models.UniqueConstraint(fields=["environment", "name"], name="translation_table_name_once"),
            models.CheckConstraint(
                condition=Q(inputs=[], outputs=[]) | (~Q(inputs=[]) & ~Q(outputs=[])),
                name="translation_table_has_both_sides",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TranslationRow(TenantModel):
    """One row of a translation table; the first one that fits counts, ignoring case.

    In a table of several columns `*` among `sources` fits any value.
    """

    table = models.ForeignKey(
        TranslationTable, on_delete=models.CASCADE, related_name="rows", db_constraint=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    source = models.CharField("from", max_length=500, blank=True)
    target = models.CharField("to", max_length=500, blank=True)
    sources = ArrayField(models.CharField(max_length=500, blank=True), default=list, blank=True)
    targets = ArrayField(models.CharField(max_length=500, blank=True), default=list, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [same_organization("table", "routing.TranslationTable", "translation_row")]

    def __str__(self) -> str:
        return f"{', '.join(self.sources) or self.source} → {', '.join(self.targets) or self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the table."""
        self.organization_id = self.table.organization_id
        super().save(*args, **kwargs)
