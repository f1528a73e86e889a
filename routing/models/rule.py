"""Routing rules and their versions."""

from __future__ import annotations

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
    addressable,
    same_environment,
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
    test_before_publish = models.BooleanField(
        "test before publishing",
        default=False,
        help_text="A draft can be published only after it was tested, as it is, on real messages.",
    )
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
    supersede = models.BooleanField(
        "a newer update replaces a waiting older one",
        default=False,
        help_text="While the target cannot be reached, send only the latest state instead of each update.",
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
