"""Lookups: what a rule asks other systems before it decides."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey, known
from oneio.models import EnvironmentModel, same_environment
from routing.models.rule import RuleVersion


class LookupMode(models.TextChoices):
    """How much a lookup asks for."""

    RECORD = "record", "One record"
    LIST = "list", "A list of records"


class Lookup(EnvironmentModel):
    """One question to an endpoint: records of an entity type that fit `criteria`, read at `lookups.<name>`.

    `criteria` is a list of {"attribute": name at that system, "template": what it must equal}. A question
    that is not answered in time leaves `lookups.<name>` empty; the flow goes on.
    """

    version = models.ForeignKey(
        RuleVersion, on_delete=models.CASCADE, related_name="lookups", db_constraint=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    name = models.SlugField(max_length=60, help_text="Read its answer at lookups.<name>.")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    entity_type = models.ForeignKey(
        EntityType, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    record = models.CharField(
        "what to ask for",
        max_length=100,
        blank=True,
        help_text="A table or object that is no entity type of the endpoint, such as sys_user.",
    )
    mode = models.CharField(max_length=10, choices=LookupMode.choices, default=LookupMode.RECORD)
    criteria = models.JSONField(default=list)
    attributes = models.JSONField(
        default=list, blank=True, help_text="Which attributes to read; all if empty."
    )
    limit = models.PositiveSmallIntegerField(default=10, help_text="At most so many records of a list.")
    cache_seconds = models.PositiveIntegerField(default=300)
    timeout_seconds = models.PositiveSmallIntegerField(default=10)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            same_environment("version", "routing.RuleVersion", "lookup"),
            same_environment("endpoint", "endpoints.Endpoint", "lookup"),
            CompositeForeignKey(
                fields=["entity_type", "endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="lookup_entity_of_its_endpoint",
            ),
            known("mode", LookupMode, "lookup"),
            models.UniqueConstraint(fields=["version", "name"], name="lookup_name_once_per_version"),
            models.CheckConstraint(
                condition=Q(entity_type__isnull=False, record="") | (Q(entity_type=None) & ~Q(record="")),
                name="lookup_asks_for_an_entity_or_a_record",
            ),
            models.CheckConstraint(
                condition=Q(limit__range=(1, 100), timeout_seconds__range=(1, 60)), name="lookup_is_bounded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.endpoint}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Environment and organization follow from the version."""
        self.environment_id = self.version.environment_id
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)
