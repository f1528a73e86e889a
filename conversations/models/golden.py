"""Golden tickets: messages kept as test cases of a rule, with what the rule must make of them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from oneio.fields import EncryptedJSONField, EncryptedQuerySet
from oneio.identifiers import uuid7
from oneio.models import USER_MODEL, EnvironmentModel, same_environment
from routing.models import RoutingRule


class GoldenTicket(EnvironmentModel):
    """One test case; it stays until somebody deletes it, whatever becomes of the message.

    `given` is all that the decision knew, `expected` what came of it; names in `ignore`, which may hold `*`,
    are not compared.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(RoutingRule, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    name = models.CharField(max_length=150)
    given = EncryptedJSONField()
    expected = EncryptedJSONField()
    ignore = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    created_by = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["rule", "name"]
        constraints = [
            same_environment("rule", "routing.RoutingRule", "golden_ticket"),
            models.UniqueConstraint(fields=["rule", "name"], name="golden_ticket_name_once"),
        ]

    def __str__(self) -> str:
        return self.name
