"""Replays: messages chosen to be sent once more, what that would do, and what came of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from conversations.models.delivery import Delivery
from conversations.models.message import Message
from endpoints.models import Endpoint
from oneio.constraints import known
from oneio.fields import EncryptedJSONField, EncryptedQuerySet
from oneio.identifiers import uuid7
from oneio.models import (
    USER_MODEL,
    EnvironmentModel,
    addressable,
    same_environment,
    same_organization,
    within_environment,
)
from routing.models import RoutingRule, RuleVersion


class ReplayState(models.TextChoices):
    """Where a replay stands."""

    PLANNING = "planning", "Being planned"
    PLANNED = "planned", "Planned"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


class ReplayRules(models.TextChoices):
    """Which version of a rule a replay uses."""

    CURRENT = "current", "The rules as they are now"
    RAN = "ran", "The rules as they were then"


class ReplayData(models.TextChoices):
    """What of the tickets a replay sends."""

    STORED = "stored", "What was received then"
    NOW = "now", "What their system says now"


class ReplayTickets(models.TextChoices):
    """Where a replay sends what targets have a ticket for already."""

    KEPT = "kept", "The tickets that the targets have"
    NEW = "new", "New tickets in their place"


class ReplayItemState(models.TextChoices):
    """Where one part of a replay stands."""

    CHOSEN = "chosen", "To be planned"
    PLANNED = "planned", "Planned"
    QUEUED = "queued", "In the queue"
    LEFT_OUT = "left_out", "Left out"
    CANCELLED = "cancelled", "Cancelled"


class ReplayFinding(models.TextChoices):
    """What sending it once more would do, or why it cannot be done."""

    SEND = "send", "Would be sent"
    DUPLICATE = "duplicate", "Arrived before"
    ANEW = "anew", "Would make a new ticket"
    UNDER_WAY = "under_way", "On its way already"
    NOTHING = "nothing", "The target has it all"
    NO_RULE = "no_rule", "No rule takes it"
    RULE_CHANGED = "rule_changed", "Its rule has changed since the plan"
    BUSY = "busy", "Something else for its ticket is not finished"
    TICKET_CHANGED = "ticket_changed", "The target's ticket is not the one of the plan"
    NO_TICKET = "no_ticket", "The target has no ticket to update"
    INTERNAL = "internal", "An internal comment that never leaves its endpoint"
    MAPPING = "mapping", "A mapping fails"
    NOT_ROUTED = "not_routed", "It has not been routed"
    EXPIRED = "expired", "What it said was deleted"
    UNREADABLE = "unreadable", "Its ticket cannot be read"


class Replay(EnvironmentModel):
    """Messages that a person wants to be sent once more. Nothing is sent before it is started.

    `create_anew` and `overwrite_newer` are what the person chose when starting it: to send again what
    arrived before, and to send what would replace newer values of the target.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = models.CharField(max_length=10, choices=ReplayState.choices, default=ReplayState.PLANNING)
    rules = models.CharField(max_length=10, choices=ReplayRules.choices, default=ReplayRules.CURRENT)
    data = models.CharField(max_length=10, choices=ReplayData.choices, default=ReplayData.STORED)
    tickets = models.CharField(max_length=10, choices=ReplayTickets.choices, default=ReplayTickets.KEPT)
    create_anew = models.BooleanField(default=False)
    overwrite_newer = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    planned_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    started_by = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    ended_at = models.DateTimeField(null=True)
    cancelled_by = models.ForeignKey(USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            within_environment("replay"),
            addressable("replay"),
            known("state", ReplayState, "replay"),
            known("rules", ReplayRules, "replay"),
            known("data", ReplayData, "replay"),
            known("tickets", ReplayTickets, "replay"),
            models.CheckConstraint(
                condition=Q(state__in=[ReplayState.DONE, ReplayState.CANCELLED], ended_at__isnull=False)
                | (~Q(state__in=[ReplayState.DONE, ReplayState.CANCELLED]) & Q(ended_at=None)),
                name="ended_replay_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[ReplayState.RUNNING, ReplayState.DONE])
                | Q(planned_at__isnull=False, started_at__isnull=False),
                name="running_replay_was_planned",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(state__in=["planning", "running"]), name="replay_at_work")
        ]

    def __str__(self) -> str:
        return f"Replay {str(self.pk)[-6:]}"


class ReplayItem(EnvironmentModel):
    """One message of a replay, and once it is planned one thing that it leads to at one target.

    `place` is its turn among what its message leads to. `contents` holds what would be written beside what
    is there, or why it cannot be; `fresh` the ticket as its system told it when it was read again.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    replay = models.ForeignKey(  # found by replay_item_next
        Replay, on_delete=models.CASCADE, related_name="items", db_constraint=False, db_index=False
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    rule = models.ForeignKey(
        RoutingRule, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    rule_version = models.ForeignKey(
        RuleVersion, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    endpoint = models.ForeignKey(
        Endpoint, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    part = models.CharField(max_length=20, blank=True)
    place = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=ReplayItemState.choices, default=ReplayItemState.CHOSEN)
    finding = models.CharField(max_length=15, choices=ReplayFinding.choices, blank=True)
    overwrites = models.BooleanField(default=False)
    replaces = models.CharField(max_length=255, blank=True)
    replaces_number = models.CharField(max_length=255, blank=True)
    delivery = models.ForeignKey(
        Delivery, null=True, on_delete=models.CASCADE, related_name="replayed_by", db_constraint=False
    )
    contents = EncryptedJSONField(null=True)
    fresh = EncryptedJSONField(null=True)
    emptied_at = models.DateTimeField(null=True, editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["message_id", "place"]
        constraints = [
            same_environment("replay", "conversations.Replay", "replay_item"),
            same_environment("message", "conversations.Message", "replay_item"),
            same_environment("rule", "routing.RoutingRule", "replay_item"),
            same_environment("endpoint", "endpoints.Endpoint", "replay_item"),
            same_organization("rule_version", "routing.RuleVersion", "replay_item"),
            same_organization("delivery", "conversations.Delivery", "replay_item"),
            known("state", ReplayItemState, "replay_item"),
            known("finding", ["", *ReplayFinding.values], "replay_item"),
            models.UniqueConstraint(
                fields=["replay", "message", "rule", "endpoint", "part"],
                nulls_distinct=False,
                name="replay_item_once",
            ),
            models.CheckConstraint(
                condition=Q(state=ReplayItemState.QUEUED, delivery__isnull=False)
                | (~Q(state=ReplayItemState.QUEUED) & Q(delivery=None)),
                name="queued_replay_item_has_a_delivery",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[ReplayItemState.PLANNED, ReplayItemState.QUEUED])
                | (~Q(finding="") & Q(rule__isnull=False, endpoint__isnull=False)),
                name="planned_replay_item_has_a_target",
            ),
            models.CheckConstraint(
                condition=~Q(finding=ReplayFinding.ANEW) | ~Q(replaces=""),
                name="new_ticket_says_which_it_replaces",
            ),
            models.CheckConstraint(
                condition=~Q(state=ReplayItemState.LEFT_OUT) | ~Q(finding=""),
                name="replay_item_left_out_says_why",
            ),
            models.CheckConstraint(
                condition=Q(emptied_at=None) | Q(contents__isnull=True, fresh__isnull=True),
                name="emptied_replay_item_says_nothing",
            ),
        ]
        indexes = [
            models.Index(fields=["replay", "state", "message"], name="replay_item_next"),
            models.Index(fields=["id"], condition=Q(emptied_at=None), name="replay_item_kept"),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} {self.part}".strip()
