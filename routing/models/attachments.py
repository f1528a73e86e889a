"""Attachment mapping: which files a rule carries over."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from oneio.models import TenantModel, same_organization
from routing.models.rule import RuleVersion


class AttachmentMapping(TenantModel):
    """Which files a rule version carries to its target; a version without one carries none.

    Each file is a delivery of its own, and a conversation keeps its files: those that came before the
    target had a ticket, or whose message the rule did not take, can go with a later message.
    """

    version = models.OneToOneField(
        RuleVersion, on_delete=models.CASCADE, related_name="attachment_mapping", db_constraint=False
    )
    from_message = models.BooleanField("files of the message", default=True)
    from_conversation = models.BooleanField(
        "files that came to the conversation before",
        default=False,
        help_text="Also those that this target does not have yet.",
    )
    allowed_extensions = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, help_text="Only these; all if empty."
    )
    blocked_extensions = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    without_extension = models.BooleanField("files without an extension", default=True)
    content_types = ArrayField(
        models.CharField(max_length=100), default=list, blank=True, help_text="Only these, such as image/*."
    )
    max_bytes = models.PositiveBigIntegerField("largest file in bytes", null=True, blank=True)

    class Meta:
        constraints = [same_organization("version", "routing.RuleVersion", "attachment_mapping")]

    def __str__(self) -> str:
        return f"Attachments of {self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the version."""
        self.organization_id = self.version.organization_id
        super().save(*args, **kwargs)
