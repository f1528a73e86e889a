"""What came in: the narrow queue row, and the encrypted body beside it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from conversations.models.conversation import Conversation
from endpoints.models import Endpoint
from oneio.fields import EncryptedField, EncryptedJSONField, EncryptedQuerySet, EncryptedTextField
from oneio.identifiers import uuid7
from oneio.models import (
    EnvironmentModel,
    PartModel,
    addressable,
    same_environment,
    same_organization,
    with_organization,
)

FILE_KEPT = "file_kept"
"""Why a file is processed that no rule sends on: it stays with the conversation, for rules to come."""


class MessageState(models.TextChoices):
    """What became of a received message."""

    RECEIVED = "received", "Received"
    ROUTED = "routed", "Routed"
    UNMATCHED = "unmatched", "No matching rule"
    PROCESSED = "processed", "Processed"
    DROPPED = "dropped", "Dropped"
    DUPLICATE = "duplicate", "Duplicate"
    ECHO = "echo", "Echo"
    FAULTY = "faulty", "Faulty"
    QUARANTINED = "quarantined", "Quarantined"
    TEST = "test", "Test"
    HELD = "held", "Routing failed"


NEEDS_YOU = (MessageState.FAULTY, MessageState.QUARANTINED, MessageState.HELD)
"""The states in which a message waits for a person."""


# Named one by one: the planner cannot see that "not routed" includes a state.
NOT_ROUTED = sorted(set(MessageState.values) - {MessageState.RECEIVED.value, MessageState.ROUTED.value})


class MessageBody(PartModel):
    """What a message says, encrypted, beside its narrow queue row. Its key is the Response ID.

    `numbers` are those that rules took from counters for it, so that it never counts twice. `trace` is what
    its decision knew beside it (see `routing.trace`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    raw = EncryptedField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    parameters = EncryptedJSONField(default=dict)
    headers = EncryptedJSONField(default=dict)
    canonical = EncryptedJSONField(null=True)
    numbers = EncryptedJSONField(null=True)
    trace = EncryptedJSONField(null=True)
    problem = EncryptedTextField(null=True)
    emptied_at = models.DateTimeField(null=True, editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "message bodies"
        constraints = [
            with_organization("message_body"),
            models.CheckConstraint(
                condition=Q(emptied_at=None) | Q(raw__isnull=True, canonical__isnull=True),
                name="emptied_body_says_nothing",
            ),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(emptied_at=None), name="message_body_kept")]

    def __str__(self) -> str:
        return str(self.pk)


class MessageQuerySet(EncryptedQuerySet):
    """Questions about received messages."""

    def waiting(self) -> MessageQuerySet:
        """Received, not routed yet, oldest first."""
        waiting: MessageQuerySet = self.filter(state=MessageState.RECEIVED).order_by("id")
        return waiting


class Message(EnvironmentModel):
    """One inbound message as the queue sees it: ids, state and times, no content."""

    id = models.BigAutoField(primary_key=True)
    body = models.OneToOneField(
        MessageBody,
        on_delete=models.RESTRICT,
        related_name="message",
        db_column="response_id",
        db_constraint=False,
    )
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="messages", db_constraint=False, db_index=False
    )
    conversation = models.ForeignKey(  # found by message_conversation
        Conversation,
        null=True,
        on_delete=models.RESTRICT,
        related_name="messages",
        db_constraint=False,
        db_index=False,
    )
    state = models.CharField(max_length=12, choices=MessageState.choices, default=MessageState.RECEIVED)
    reason = models.CharField(max_length=40, blank=True)
    entity_type = models.CharField(max_length=60, blank=True)
    operation = models.CharField(max_length=10, blank=True)
    external_id = models.CharField(max_length=255, blank=True)
    number = models.CharField(max_length=255, blank=True)
    event_id = models.CharField(max_length=255, blank=True)
    idempotency_key = models.BinaryField(max_length=32, null=True)
    fingerprint = models.BinaryField(max_length=32, null=True)
    size = models.PositiveIntegerField(default=0)
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    wake_at = models.DateTimeField(null=True)
    routed_at = models.DateTimeField(null=True)
    deaths = models.PositiveSmallIntegerField(default=0)
    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "message"),
            same_environment("conversation", "conversations.Conversation", "message"),
            same_organization("body", "conversations.MessageBody", "message"),
            addressable("message"),
            models.UniqueConstraint(
                fields=["endpoint", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="idempotency_key_once",
            ),
            models.CheckConstraint(condition=Q(state__in=MessageState.values), name="message_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state=MessageState.ROUTED) | Q(conversation__isnull=False),
                name="routed_message_has_a_conversation",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[MessageState.RECEIVED]) | Q(wake_at=None),
                name="only_received_messages_wait",
            ),
        ]
        indexes = [
            models.Index(
                fields=["conversation"],
                condition=Q(conversation__isnull=False),
                name="message_conversation",
            ),
            models.Index(fields=["endpoint", "id"], condition=Q(state="received"), name="message_waiting"),
            models.Index(
                fields=["endpoint", "external_id", "id"],
                condition=Q(state="received", wake_at__isnull=False),
                name="message_postponed",
            ),
            models.Index(fields=["endpoint", "event_id"], condition=~Q(event_id=""), name="message_event"),
            models.Index(fields=["endpoint", "id"], name="message_feed"),
            models.Index(
                fields=["endpoint", "state", "id"],
                condition=Q(state__in=NOT_ROUTED),
                name="message_not_routed",
            ),
            models.Index(
                fields=["external_id"],
                condition=Q(conversation=None) & ~Q(external_id=""),
                name="message_ticket_unknown",
            ),
            models.Index(fields=["number"], condition=~Q(number=""), name="message_number"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.number or self.external_id}".strip()

    @property
    def response_id(self) -> str:
        """What the sender was told in our 202."""
        return str(self.body_id)
