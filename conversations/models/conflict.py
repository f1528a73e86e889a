"""Attributes that both sides of a ticket changed, so that one of the two values was lost."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from conversations.models.conversation import Conversation
from conversations.models.delivery import Delivery
from oneio.constraints import known
from oneio.models import USER_MODEL, EnvironmentModel, same_environment, same_organization


class ConflictSide(models.TextChoices):
    """Whose value: that of the message's sender, or that of the delivery's target."""

    OURS = "ours", "The sender's"
    THEIRS = "theirs", "The target's"


class Conflict(EnvironmentModel):
    """One attribute of a delivery that both sides had changed, until a person has looked at it.

    `kept` says whose value stands at the target since. Both values are in the delivery's content, encrypted,
    and go with it.
    """

    id = models.BigAutoField(primary_key=True)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="conflicts", db_constraint=False
    )
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="conflicts", db_constraint=False, db_index=False
    )
    attribute = models.CharField(max_length=200)
    kept = models.CharField(max_length=10, choices=ConflictSide.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    resolution = models.CharField(max_length=10, choices=ConflictSide.choices, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            same_environment("conversation", "conversations.Conversation", "conflict"),
            same_organization("delivery", "conversations.Delivery", "conflict"),
            known("kept", ConflictSide, "conflict"),
            known("resolution", ["", *ConflictSide.values], "conflict"),
            models.UniqueConstraint(fields=["delivery", "attribute"], name="conflict_once_per_delivery"),
            models.CheckConstraint(
                condition=Q(resolution="", resolved_at=None)
                | (~Q(resolution="") & Q(resolved_at__isnull=False)),
                name="resolved_conflict_says_how",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} of delivery #{self.delivery_id}"
