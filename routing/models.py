"""Routing rules: their versions, conditions and mappings as rows, and translation tables."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from endpoints.canonical import Operation
from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey, known
from oneio.models import (
    USER_MODEL,
    EnvironmentModel,
    TenantModel,
    addressable,
    same_environment,
    same_organization,
    with_organization,
    within_environment,
)


class RoutingRule(EnvironmentModel):
    """What keeps its identity while its content changes: name, owner, on or off, which version counts."""

    name = models.CharField(max_length=150)
    slug = models.SlugField(max_length=80, help_text="Name for files and scripts; stays when you rename it.")
    use_case = models.CharField(max_length=100, blank=True, help_text="Free label to filter by.")
    owner = models.ForeignKey(USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    enabled = models.BooleanField(default=True)
    current_version = models.OneToOneField(
        "RuleVersion",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.RESTRICT,
        related_name="current_of",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            within_environment("routing_rule"),
            addressable("routing_rule"),
            models.UniqueConstraint(fields=["environment", "slug"], name="rule_slug_once"),
            models.UniqueConstraint(fields=["environment", "name"], name="rule_name_once"),
            # Deferrable: the version is written first, then pointed to.
            CompositeForeignKey(
                fields=["current_version", "id"],
                to="routing.RuleVersion",
                to_fields=["id", "rule"],
                name="rule_current_version_is_its_own",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RuleAction(models.TextChoices):
    """What a matching rule does with the message."""

    ROUTE = "route", "Route to target"
    PROCESS_ONLY = "process_only", "Process only (set variables, send nothing)"
    DROP = "drop", "Drop"


def default_operations() -> list[str]:
    """What a new rule carries over."""
    return [Operation.CREATE.value, Operation.UPDATE.value, Operation.COMMENT.value]


class RuleVersion(EnvironmentModel):
    """Everything a rule decides by. A draft is edited in place; a published version never changes."""

    rule = models.ForeignKey(
        RoutingRule, on_delete=models.CASCADE, related_name="versions", db_constraint=False
    )
    number = models.PositiveIntegerField()
    source_endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    source_entity = models.ForeignKey(
        EntityType, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    target_endpoint = models.ForeignKey(
        Endpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    target_entity = models.ForeignKey(
        EntityType, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    message_type = models.CharField(max_length=60, blank=True)
    operations = ArrayField(
        models.CharField(max_length=10, choices=[(o.value, o.value) for o in Operation]),
        default=default_operations,
    )
    action = models.CharField(max_length=15, choices=RuleAction.choices, default=RuleAction.ROUTE)
    priority = models.IntegerField(default=0, help_text="Higher comes first.")
    write_back = models.BooleanField(
        "write the target's number back",
        default=True,
        help_text="After a create, write the new ticket's number onto the ticket it came from.",
    )
    published_at = models.DateTimeField(null=True, editable=False)
    published_by = models.ForeignKey(
        USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True, help_text="Why this version was published.")

    class Meta:
        ordering = ["rule", "-number"]
        constraints = [
            same_environment("rule", "routing.RoutingRule", "rule_version"),
            same_environment("source_endpoint", "endpoints.Endpoint", "rule_version"),
            same_environment("target_endpoint", "endpoints.Endpoint", "rule_version"),
            CompositeForeignKey(
                fields=["source_entity", "source_endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="rule_source_entity_of_its_endpoint",
            ),
            CompositeForeignKey(
                fields=["target_entity", "target_endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="rule_target_entity_of_its_endpoint",
            ),
            models.UniqueConstraint(fields=["rule", "number"], name="rule_version_number_once"),
            models.UniqueConstraint(fields=["id", "rule"], name="rule_version_with_rule"),
            models.UniqueConstraint(
                fields=["id", "environment", "organization"], name="rule_version_addressable"
            ),
            with_organization("rule_version"),
            models.UniqueConstraint(
                fields=["rule"], condition=Q(published_at=None), name="one_draft_per_rule"
            ),
            known("action", RuleAction, "rule_version"),
            models.CheckConstraint(
                condition=Q(operations__contained_by=[operation.value for operation in Operation]),
                name="rule_version_operations_are_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    action=RuleAction.ROUTE, target_endpoint__isnull=False, target_entity__isnull=False
                )
                | (~Q(action=RuleAction.ROUTE) & Q(target_endpoint=None, target_entity=None)),
                name="rule_routes_to_a_target",
            ),
            models.CheckConstraint(
                condition=~Q(target_endpoint=F("source_endpoint")) | Q(target_endpoint=None),
                name="rule_target_is_another_endpoint",
            ),
            models.CheckConstraint(
                condition=Q(published_at=None) | ~Q(reason=""), name="published_version_has_a_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} v{self.number}" + ("" if self.published_at else " (draft)")


class Condition(TenantModel):
    """One condition of a rule version; all must hold."""

    version = models.ForeignKey(
        RuleVersion, on_delete=models.CASCADE, related_name="conditions", db_constraint=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    path = models.CharField("attribute", max_length=500)
    operator = models.CharField(max_length=20)
    value = models.CharField(max_length=1000, blank=True)
    values = ArrayField(models.CharField(max_length=1000), default=list, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [same_organization("version", "routing.RuleVersion", "condition")]

    def __str__(self) -> str:
        return " ".join(filter(None, [self.path, self.operator, self.value or ", ".join(self.values)]))

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the version."""
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)


class UnmappedPolicy(models.TextChoices):
    """What a translation table does with a value that has no row."""

    PASS = "pass", "Pass it on as it is"
    DEFAULT = "default", "Use the default"
    HOLD = "hold", "Hold the delivery"


class TranslationTable(EnvironmentModel):
    """Pairs of values, shared between rules: what one system says and what another calls it."""

    name = models.CharField(max_length=100)
    unmapped = models.CharField(
        "a value without a row", max_length=10, choices=UnmappedPolicy.choices, default=UnmappedPolicy.HOLD
    )
    default = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            within_environment("translation_table"),
            addressable("translation_table"),
            with_organization("translation_table"),
            known("unmapped", UnmappedPolicy, "translation_table"),
            models.UniqueConstraint(fields=["environment", "name"], name="translation_table_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class TranslationRow(TenantModel):
    """One pair of a translation table; the first one that fits counts, ignoring case."""

    table = models.ForeignKey(
        TranslationTable, on_delete=models.CASCADE, related_name="rows", db_constraint=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    source = models.CharField("from", max_length=500)
    target = models.CharField("to", max_length=500, blank=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [same_organization("table", "routing.TranslationTable", "translation_row")]

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the table."""
        self.organization_id = self.table.organization_id
        super().save(*args, **kwargs)


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
    target = models.CharField(max_length=200, help_text="The attribute that gets the value.")

    class Meta:
        ordering = ["category", "position", "id"]
        constraints = [
            same_environment("version", "routing.RuleVersion", "mapping"),
            same_environment("table", "routing.TranslationTable", "mapping"),
            known("category", MappingCategory, "mapping"),
            known("kind", MappingKind, "mapping"),
            models.CheckConstraint(
                condition=~Q(kind=MappingKind.TRANSLATE) | Q(table__isnull=False),
                name="translation_has_a_table",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source or self.constant or self.template} → {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Environment and organization follow from the version."""
        self.environment_id = self.version.environment_id
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)


class Revision(models.Model):
    """Counts the changes of an environment's rules and tables, so that workers know when to load them again.

    Triggers count; a worker that has rules of the same number has the rules of today.
    """

    environment = models.OneToOneField(
        "oneio.Environment", primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    number = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"Revision {self.number}"
