"""Who read what tickets say: one entry per person, thing and hour."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from oneio.constraints import known
from oneio.models import USER_MODEL, EnvironmentModel, within_environment

SUBJECTS = ["message", "delivery", "conversation", "replay"]


class PayloadView(EnvironmentModel):
    """A person saw the content of something. Stays when the person or the thing is gone."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    person = models.CharField(max_length=150)
    subject = models.CharField("what", max_length=12, choices=[(one, one.capitalize()) for one in SUBJECTS])
    key = models.CharField("number", max_length=36)
    hour = models.DateTimeField()
    first_seen_at = models.DateTimeField("when", db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            within_environment("payload_view"),
            known("subject", SUBJECTS, "payload_view"),
            models.UniqueConstraint(
                fields=["person", "subject", "key", "hour"], name="payload_view_once_an_hour"
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "-id"], name="payload_view_latest"),
            models.Index(fields=["first_seen_at"], name="payload_view_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.person} read {self.subject} {self.key}"
