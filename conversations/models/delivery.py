"""What goes out: deliveries in lanes, and each attempt at one."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from conversations.models.conversation import Conversation
from conversations.models.message import Message
from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey, known
from oneio.fields import EncryptedJSONField, EncryptedQuerySet, EncryptedTextField
from oneio.identifiers import uuid7
from oneio.models import (
    EnvironmentModel,
    PartModel,
    addressable,
    same_environment,
    same_organization,
    with_organization,
)
from routing.models import RoutingRule, RuleVersion


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


UNFINISHED = (
    DeliveryState.DELAYED,
    DeliveryState.QUEUED,
    DeliveryState.SENDING,
    DeliveryState.VERIFYING,
    DeliveryState.HELD,
)


UNDER_WAY = (DeliveryState.SENDING, DeliveryState.VERIFYING)


# Neither on the straight way nor arrived.
OUT_OF_LINE = sorted(
    state.value
    for state in set(DeliveryState) - {DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DELIVERED}
)


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
    NO_FILE = "no_file", "Its file cannot be fetched"
    PERSON = "person", "Held by a person"
    EXPIRED = "expired", "What it carried was deleted"


class Reason(models.TextChoices):
    """Why a delivery is where it is, where neither a failure nor a person brought it there."""

    INTERNAL_COMMENT = "internal", "An internal comment that never leaves its endpoint"
    TIME = "time", "Its rule waits for a time"
    VARIABLE = "variable", "Its rule waits for a conversation variable"
    TARGET = "target", "Its rule waits until the target's ticket is known"
    ORDER = "order", "An earlier message to the same ticket waits"
    RULE_OFF = "rule_off", "Its rule was switched off while it waited"
    RULE_CHANGED = "rule_changed", "Its rule does not take it any more since it waited"


DELAYS = (Reason.TIME, Reason.VARIABLE, Reason.TARGET, Reason.ORDER)


class Lane(EnvironmentModel):
    """All deliveries of one conversation to one endpoint, in order: what workers claim.

    `due_at` is when its head may next be worked on (NULL: nothing to do, or its head is held); while a
    worker has it, `due_at` equals `lease_until`. `token` grows with every claim: a write with an older
    one is refused.
    """

    id = models.BigAutoField(primary_key=True)
    conversation = models.ForeignKey(  # found by one_lane_per_target
        Conversation, on_delete=models.CASCADE, related_name="lanes", db_constraint=False, db_index=False
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


class DeliveryContent(PartModel):
    """What a delivery carries, encrypted: the snapshot its mapping runs on, and a person's edits."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    snapshot = EncryptedJSONField(default=dict)
    overrides = EncryptedJSONField(null=True)
    contested = EncryptedJSONField(null=True)
    problem = EncryptedTextField(null=True)
    emptied_at = models.DateTimeField(null=True, editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        constraints = [with_organization("delivery_content")]
        indexes = [models.Index(fields=["id"], condition=Q(emptied_at=None), name="delivery_content_kept")]

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
    reason = models.CharField(max_length=15, choices=Reason.choices, blank=True)
    failure = models.CharField(max_length=15, blank=True)
    failure_group = models.CharField(max_length=32, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    checks = models.PositiveSmallIntegerField(default=0)
    possible_duplicate = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    first_tried_at = models.DateTimeField(null=True)
    in_doubt_since = models.DateTimeField(null=True)
    state_since = models.DateTimeField(db_default=Now())
    rule_version = models.ForeignKey(
        RuleVersion,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    superseded_by = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="supersedes",
        db_index=False,
        db_constraint=False,
    )

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
            same_organization("rule_version", "routing.RuleVersion", "delivery"),
            same_organization("superseded_by", "conversations.Delivery", "delivery"),
            models.CheckConstraint(
                condition=Q(state=DeliveryState.SUPERSEDED) | Q(superseded_by=None),
                name="only_superseded_delivery_has_a_successor",
            ),
            known("hold_reason", ["", *HoldReason.values], "delivery"),
            known("reason", ["", *Reason.values], "delivery"),
            models.CheckConstraint(
                condition=~Q(state=DeliveryState.DELAYED) | Q(reason__in=DELAYS),
                name="delayed_delivery_says_why",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lane", "id"],
                condition=Q(state__in=["delayed", "queued", "sending", "verifying", "held"]),
                name="delivery_unfinished",
            ),
            models.Index(fields=["conversation"], condition=Q(state="delayed"), name="delivery_delayed"),
            models.Index(fields=["due_at"], condition=Q(state="delayed"), name="delayed_due"),
            models.Index(
                fields=["endpoint", "id"],
                condition=Q(state__in=["sending", "verifying"]),
                name="delivery_under_way",
            ),
            models.Index(fields=["environment", "-id"], condition=Q(state="held"), name="delivery_held"),
            models.Index(
                fields=["superseded_by"],
                condition=Q(superseded_by__isnull=False),
                name="delivery_superseded_by",
            ),
            models.Index(fields=["rule", "message"], name="delivery_of_rule"),
            models.Index(
                fields=["rule", "state", "message"],
                condition=Q(state__in=OUT_OF_LINE),
                name="delivery_out_of_line",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} to {self.endpoint}"


class Attempt(PartModel):
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
    answer = EncryptedJSONField(null=True)
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
