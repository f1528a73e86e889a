"""What a draft was proved by before it is published."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from oneio.models import USER_MODEL, EnvironmentModel, same_environment
from routing.models.rule import RuleVersion


class DraftTest(EnvironmentModel):
    """The last test of a draft on real messages: of which state of it, by whom, and how it went."""

    version = models.OneToOneField(
        RuleVersion, primary_key=True, on_delete=models.CASCADE, related_name="test", db_constraint=False
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    tested = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    tested_by = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    tested_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [same_environment("version", "routing.RuleVersion", "draft_test")]

    def __str__(self) -> str:
        return f"Test of {self.version}"
