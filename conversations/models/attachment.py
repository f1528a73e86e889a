"""Files that came in, in encrypted chunks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from conversations.models.conversation import Conversation
from conversations.models.message import Message
from endpoints.models import Endpoint
from oneio.fields import EncryptedQuerySet, EncryptedTextField
from oneio.identifiers import uuid7
from oneio.models import (
    EnvironmentModel,
    same_environment,
)


class Attachment(EnvironmentModel):
    """A file that came in, kept encrypted in chunks; or, while it is not complete and has a `remote_id`,
    one that a message only spoke of and that is still to be fetched."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    message = models.ForeignKey(
        Message, null=True, on_delete=models.CASCADE, related_name="attachments", db_constraint=False
    )
    conversation = models.ForeignKey(
        Conversation, null=True, on_delete=models.SET_NULL, related_name="attachments", db_constraint=False
    )
    file_name = EncryptedTextField()
    content_type = models.CharField(max_length=100, default="application/octet-stream")
    size = models.PositiveBigIntegerField(default=0)
    remote_id = models.CharField(max_length=255, blank=True)
    url = EncryptedTextField(null=True)
    complete = models.BooleanField(default=False)
    emptied_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "attachment"),
            same_environment("message", "conversations.Message", "attachment"),
            same_environment("conversation", "conversations.Conversation", "attachment"),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(emptied_at=None), name="attachment_kept")]

    def __str__(self) -> str:
        return str(self.pk)


class AttachmentChunk(models.Model):
    """One encrypted piece of a file, bound to its file, its place and whether it is the last."""

    id = models.BigAutoField(primary_key=True)
    attachment = models.ForeignKey(Attachment, on_delete=models.CASCADE, related_name="chunks")
    index = models.PositiveIntegerField()
    last = models.BooleanField()
    data = models.BinaryField()

    class Meta:
        ordering = ["index"]
        constraints = [
            models.UniqueConstraint(fields=["attachment", "index"], name="chunk_once"),
            models.UniqueConstraint(fields=["attachment"], condition=Q(last=True), name="one_last_chunk"),
        ]

    def __str__(self) -> str:
        return f"Chunk {self.index}"
