"""Memory: conversations, the messages that came in, the deliveries that go out, and what happened to them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey, known
from oneio.fields import EncryptedField, EncryptedJSONField, EncryptedQuerySet, EncryptedTextField
from oneio.identifiers import uuid7
from oneio.models import (
    EnvironmentModel,
    TenantModel,
    addressable,
    same_environment,
    same_organization,
    with_organization,
    within_environment,
)
from routing.models import RoutingRule, RuleVersion


class Conversation(EnvironmentModel):
    """The context of one integrated ticket, over all the systems that have a copy of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    variables = EncryptedJSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_activity_at = models.DateTimeField(db_default=Now(), editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [within_environment("conversation"), addressable("conversation")]
        indexes = [models.Index(fields=["environment", "last_activity_at"])]

    def __str__(self) -> str:
        return str(self.pk)


class Participant(EnvironmentModel):
    """The ticket in one endpoint: its ids there and its shadow, the last known value of each attribute."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="participants", db_constraint=False
    )
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="participants", db_constraint=False
    )
    entity_type = models.ForeignKey(
        EntityType, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    external_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 (not known until created)
    number = models.CharField(max_length=255, blank=True)
    link = models.CharField(max_length=1000, blank=True)
    shadow = EncryptedJSONField(default=dict)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            same_environment("conversation", "conversations.Conversation", "participant"),
            CompositeForeignKey(
                fields=["entity_type", "endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="participant_entity_of_its_endpoint",
            ),
            models.UniqueConstraint(
                fields=["endpoint", "entity_type", "external_id"], name="ticket_in_one_conversation"
            ),
            models.UniqueConstraint(fields=["conversation", "endpoint"], name="one_participant_per_endpoint"),
            with_organization("participant"),
        ]
        indexes = [models.Index(fields=["number"])]

    def __str__(self) -> str:
        return self.number or self.external_id or f"{self.endpoint} (not created yet)"


class RemoteItem(TenantModel):
    """A comment or file that we made at a participant, so that its own report of it is no news."""

    id = models.BigAutoField(primary_key=True)
    participant = models.ForeignKey(
        Participant, on_delete=models.CASCADE, related_name="items", db_constraint=False
    )
    kind = models.CharField(max_length=12)
    remote_id = models.CharField(max_length=255)

    class Meta:
        constraints = [
            same_organization("participant", "conversations.Participant", "remote_item"),
            models.UniqueConstraint(fields=["participant", "kind", "remote_id"], name="remote_item_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.remote_id}"


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


class MessageBody(TenantModel):
    """What a message says, encrypted, beside its narrow queue row. Its key is the Response ID."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    raw = EncryptedField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    parameters = EncryptedJSONField(default=dict)
    headers = EncryptedJSONField(default=dict)
    canonical = EncryptedJSONField(null=True)
    problem = EncryptedTextField(null=True)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "message bodies"
        constraints = [with_organization("message_body")]

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
    conversation = models.ForeignKey(
        Conversation, null=True, on_delete=models.RESTRICT, related_name="messages", db_constraint=False
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
            models.UniqueConstraint(fields=["endpoint", "idempotency_key"], name="idempotency_key_once"),
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
            models.Index(fields=["endpoint", "id"], condition=Q(state="received"), name="message_waiting"),
            models.Index(
                fields=["endpoint", "external_id", "id"],
                condition=Q(state="received", wake_at__isnull=False),
                name="message_postponed",
            ),
            models.Index(fields=["endpoint", "event_id"], condition=~Q(event_id=""), name="message_event"),
            models.Index(fields=["environment", "-id"], name="message_feed"),
            models.Index(fields=["number"], condition=~Q(number=""), name="message_number"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.number or self.external_id}".strip()

    @property
    def response_id(self) -> str:
        """What the sender was told in our 202."""
        return str(self.body_id)


class DeliveryState(models.TextChoices):
    """Where a delivery stands."""

    DELAYED = "delayed", "Delayed"
    QUEUED = "queued", "Waiting"
    SENDING = "sending", "Sending"
    VERIFYING = "verifying", "Checking"
    DELIVERED = "delivered", "Delivered"
    HELD = "held", "Needs you"
    SKIPPED = "skipped", "Skipped"
    SUPERSEDED = "superseded", "Superseded"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.VERIFYING, DeliveryState.HELD)
UNDER_WAY = (DeliveryState.SENDING, DeliveryState.VERIFYING)


class HoldReason(models.TextChoices):
    """Why a delivery waits for a person."""

    REFUSED = "refused", "The target refused it"
    PERMISSION = "permission", "The target forbids it"
    MAPPING = "mapping", "A mapping failed"
    UNKNOWN = "unknown", "Nobody can say whether it arrived"
    UNRECOVERABLE = "unrecoverable", "Its code is on the endpoint's unrecoverable list"
    EXHAUSTED = "exhausted", "All retries failed"
    CRASHED = "crashed", "It stopped the worker repeatedly"
    INTERNAL = "internal", "oneio failed on it"
    LOOP = "loop", "The ticket goes in circles"
    NO_TICKET = "no_ticket", "The target has no ticket to update"
    PERSON = "person", "Held by a person"


class Lane(EnvironmentModel):
    """All deliveries of one conversation to one endpoint, in order: what workers claim.

    `due_at` is when its head may next be worked on (NULL: nothing to do, or its head is held); while a
    worker has it, `due_at` equals `lease_until`. `token` grows with every claim: a write with an older
    one is refused.
    """

    id = models.BigAutoField(primary_key=True)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="lanes", db_constraint=False
    )
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="lanes", db_constraint=False, db_index=False
    )
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    token = models.BigIntegerField(default=0)
    deaths = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            same_environment("conversation", "conversations.Conversation", "lane"),
            same_environment("endpoint", "endpoints.Endpoint", "lane"),
            addressable("lane"),
            models.UniqueConstraint(fields=["conversation", "endpoint"], name="one_lane_per_target"),
            models.CheckConstraint(
                condition=Q(lease_until=None) | Q(due_at=F("lease_until")),
                name="leased_lane_is_due_at_its_end",
            ),
        ]
        indexes = [
            models.Index(fields=["endpoint", "due_at"], condition=Q(due_at__isnull=False), name="lane_due"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="lane_next_due"),
            models.Index(fields=["endpoint"], condition=Q(lease_until__isnull=False), name="lane_leased"),
        ]

    def __str__(self) -> str:
        return f"Lane {self.pk}"


class DeliveryContent(TenantModel):
    """What a delivery carries, encrypted: the snapshot its mapping runs on, and a person's edits."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    snapshot = EncryptedJSONField(default=dict)
    problem = EncryptedTextField(null=True)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        constraints = [with_organization("delivery_content")]

    def __str__(self) -> str:
        return str(self.pk)


class Delivery(EnvironmentModel):
    """One message (or one part of it) to one target because of one rule."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False
    )
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False
    )
    rule = models.ForeignKey(
        RoutingRule, on_delete=models.PROTECT, related_name="deliveries", db_constraint=False, db_index=False
    )
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.PROTECT, related_name="deliveries", db_constraint=False, db_index=False
    )
    entity_type = models.ForeignKey(
        EntityType, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    lane = models.ForeignKey(Lane, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False)
    content = models.OneToOneField(
        DeliveryContent, on_delete=models.RESTRICT, related_name="delivery", db_constraint=False
    )
    part = models.CharField(max_length=20, default="record")
    anew = models.PositiveSmallIntegerField(default=0)
    effect_key = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.QUEUED)
    due_at = models.DateTimeField(db_default=Now())
    hold_reason = models.CharField(max_length=15, choices=HoldReason.choices, blank=True)
    failure = models.CharField(max_length=15, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    checks = models.PositiveSmallIntegerField(default=0)
    possible_duplicate = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    first_tried_at = models.DateTimeField(null=True)
    in_doubt_since = models.DateTimeField(null=True)
    state_since = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            same_environment("message", "conversations.Message", "delivery"),
            same_environment("conversation", "conversations.Conversation", "delivery"),
            same_environment("rule", "routing.RoutingRule", "delivery"),
            same_environment("lane", "conversations.Lane", "delivery"),
            same_organization("content", "conversations.DeliveryContent", "delivery"),
            with_organization("delivery"),
            CompositeForeignKey(
                fields=["entity_type", "endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="delivery_entity_of_its_endpoint",
            ),
            models.UniqueConstraint(fields=["endpoint", "effect_key"], name="effect_once"),
            models.UniqueConstraint(
                fields=["lane"],
                condition=Q(state__in=["sending", "verifying"]),
                name="one_under_way_per_lane",
            ),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state=DeliveryState.HELD) & ~Q(hold_reason="")
                | ~Q(state=DeliveryState.HELD) & Q(hold_reason=""),
                name="held_delivery_says_why",
            ),
            known("hold_reason", ["", *HoldReason.values], "delivery"),
        ]
        indexes = [
            models.Index(
                fields=["lane", "id"],
                condition=Q(state__in=["queued", "sending", "verifying", "held"]),
                name="delivery_unfinished",
            ),
            models.Index(
                fields=["endpoint", "id"],
                condition=Q(state__in=["sending", "verifying"]),
                name="delivery_under_way",
            ),
            models.Index(fields=["environment", "-id"], condition=Q(state="held"), name="delivery_held"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} to {self.endpoint}"


class Attempt(TenantModel):
    """One try of a delivery, written before the socket opens."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempts", db_constraint=False
    )
    rule_version = models.ForeignKey(
        RuleVersion,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    purpose = models.CharField(max_length=10, choices=[("send", "Send"), ("verify", "Check")], default="send")
    token = models.BigIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=15, blank=True)
    failure = models.CharField(max_length=15, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=40, blank=True)
    request = EncryptedJSONField(null=True)
    detail = EncryptedTextField(null=True)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            same_organization("delivery", "conversations.Delivery", "attempt"),
            same_organization("rule_version", "routing.RuleVersion", "attempt"),
            known("purpose", ["send", "verify"], "attempt"),
            models.UniqueConstraint(fields=["delivery"], condition=Q(ended_at=None), name="one_open_attempt"),
            models.CheckConstraint(
                condition=Q(ended_at=None, result="") | (Q(ended_at__isnull=False) & ~Q(result="")),
                name="ended_attempt_has_a_result",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.started_at:%H:%M:%S}"


class Attachment(EnvironmentModel):
    """A file that came in, kept encrypted in chunks until its targets have it."""

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
    complete = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "attachment"),
            same_environment("message", "conversations.Message", "attachment"),
            same_environment("conversation", "conversations.Conversation", "attachment"),
        ]

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
