"""What endpoints answered to the lookups of rules, kept for a while."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from endpoints.models import Endpoint
from oneio.fields import EncryptedJSONField, EncryptedQuerySet
from oneio.identifiers import uuid7
from oneio.models import EnvironmentModel, same_environment


class LookupAnswer(EnvironmentModel):
    """One question to an endpoint, by its keyed hash, with the latest answer.

    `asked_until` is the lease of the worker that asks just now; `problem` says why the last request brought
    none, the answer before it stays.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    fingerprint = models.BinaryField(max_length=32)
    answer = EncryptedJSONField(null=True)
    answered_at = models.DateTimeField(null=True)
    asked_until = models.DateTimeField(null=True)
    problem = models.CharField(max_length=40, blank=True, db_default="")
    failed_at = models.DateTimeField(null=True)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "lookup_answer"),
            models.UniqueConstraint(fields=["endpoint", "fingerprint"], name="lookup_answer_once"),
            models.CheckConstraint(
                condition=Q(answer__isnull=True, answered_at=None)
                | Q(answer__isnull=False, answered_at__isnull=False),
                name="lookup_answer_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(problem="", failed_at=None) | (~Q(problem="") & Q(failed_at__isnull=False)),
                name="lookup_failure_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"Answer of {self.endpoint}"
