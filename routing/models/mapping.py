"""Mappings: what a rule version makes of a message, one target after the other."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from oneio.constraints import known
from oneio.models import EnvironmentModel, same_environment
from routing.models.counter import Counter
from routing.models.rule import RuleVersion
from routing.models.table import TranslationTable


class MappingCategory(models.TextChoices):
    """Where a mapping's result goes."""

    VARIABLE = "variable", "Runtime variable"
    OUTBOUND = "outbound", "Outbound"
    CONVERSATION = "conversation", "Conversation variable"


class MappingKind(models.TextChoices):
    """How a mapping makes its value."""

    COPY = "copy", "Direct copy"
    CONSTANT = "constant", "Constant"
    TEMPLATE = "template", "Template"
    APPEND = "append", "Append"
    TRANSLATE = "translate", "Translation table"
    MULTI_TO_SINGLE = "multi_to_single", "Several values to one"
    SPLIT = "split", "Split into several targets"
    COUNTER = "counter", "Counter"


class OnlyOn(models.TextChoices):
    """Whether a mapping runs only when the target's ticket is made, or only when it is changed."""

    CREATE = "create", "Only on create"
    UPDATE = "update", "Only on update"


class MissingPolicy(models.TextChoices):
    """What a mapping does when its source is not there."""

    SKIP = "skip", "Leave the target as it is"
    CLEAR = "clear", "Clear the target"
    DEFAULT = "default", "Use the default"
    HOLD = "hold", "Hold the delivery"


class Ownership(models.TextChoices):
    """Whose value counts when both sides changed an attribute."""

    SOURCE = "source", "The source's"
    TARGET = "target", "The target's"
    NEWEST = "newest", "The newest"
    APPEND = "append", "Both: append"


class Mapping(EnvironmentModel):
    """One mapping of a rule version: a source, a way, a target."""

    version = models.ForeignKey(
        RuleVersion, on_delete=models.CASCADE, related_name="mappings", db_constraint=False
    )
    category = models.CharField(
        max_length=15, choices=MappingCategory.choices, default=MappingCategory.OUTBOUND
    )
    position = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=15, choices=MappingKind.choices, default=MappingKind.COPY)
    source = models.CharField(max_length=500, blank=True, help_text="Attribute or path, for example title.")
    template = models.TextField(
        blank=True, help_text="For example {{ message.number }}: {{ attributes.title }}"
    )
    constant = models.CharField(max_length=2000, blank=True)
    table = models.ForeignKey(
        TranslationTable,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="mappings",
        db_constraint=False,
    )
    counter = models.ForeignKey(
        Counter, null=True, blank=True, on_delete=models.PROTECT, related_name="mappings", db_constraint=False
    )
    target = models.CharField(max_length=200, help_text="The attribute that gets the value.")
    further_sources = ArrayField(
        models.CharField(max_length=500),
        default=list,
        blank=True,
        help_text="More paths, for kinds that read several.",
    )
    further_targets = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="More attributes, for kinds that fill several.",
    )
    separator = models.CharField(
        max_length=50, blank=True, help_text="Between the values that are joined, or where to split."
    )
    formatters = models.JSONField(default=list, blank=True, help_text="What is done to the value, in order.")
    only_on = models.CharField("when", max_length=10, choices=OnlyOn.choices, blank=True)
    missing = models.CharField(
        "without a source", max_length=10, choices=MissingPolicy.choices, default=MissingPolicy.SKIP
    )
    default = models.CharField(max_length=2000, blank=True)
    ownership = models.CharField(
        "if both sides changed it", max_length=10, choices=Ownership.choices, default=Ownership.SOURCE
    )

    class Meta:
        ordering = ["category", "position", "id"]
        constraints = [
            same_environment("version", "routing.RuleVersion", "mapping"),
            same_environment("table", "routing.TranslationTable", "mapping"),
            known("category", MappingCategory, "mapping"),
            same_environment("counter", "routing.Counter", "mapping"),
            models.UniqueConstraint(fields=["id", "version"], name="mapping_with_version"),
            known("kind", MappingKind, "mapping"),
            known("only_on", ["", *OnlyOn.values], "mapping"),
            known("missing", MissingPolicy, "mapping"),
            known("ownership", Ownership, "mapping"),
            models.CheckConstraint(
                condition=~Q(kind=MappingKind.TRANSLATE) | Q(table__isnull=False),
                name="translation_has_a_table",
            ),
            models.CheckConstraint(
                condition=Q(kind=MappingKind.COUNTER, counter__isnull=False)
                | (~Q(kind=MappingKind.COUNTER) & Q(counter=None)),
                name="counter_mapping_has_a_counter",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source or self.constant or self.template} → {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Environment and organization follow from the version."""
        self.environment_id = self.version.environment_id
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)
