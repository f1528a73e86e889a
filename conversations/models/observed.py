"""What messages have shown of an entity type: names and types of attributes, never a value."""

from __future__ import annotations

from django.db import models

from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey
from oneio.models import EnvironmentModel


class ObservedEntity(EnvironmentModel):
    """The attributes that messages about one entity type had, so far as they were looked at.

    `attributes`: name → type. `upto` is the last message that counts; `looked_at` how many were opened.
    """

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(  # reached by its entity type only
        Endpoint, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    entity_type = models.OneToOneField(
        EntityType, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    attributes = models.JSONField(default=dict)
    upto = models.BigIntegerField(default=0)
    looked_at = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "observed entities"
        constraints = [
            CompositeForeignKey(
                fields=["entity_type", "endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="observed_entity_of_its_endpoint",
            ),
        ]

    def __str__(self) -> str:
        return f"Attributes of {self.entity_type}"
