"""A ticket over all the systems that have a copy of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey
from oneio.fields import EncryptedJSONField, EncryptedQuerySet
from oneio.identifiers import uuid7
from oneio.models import (
    EnvironmentModel,
    PartModel,
    addressable,
    same_environment,
    same_organization,
    with_organization,
    within_environment,
)


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
    conversation = models.ForeignKey(  # found by one_participant_per_endpoint
        Conversation,
        on_delete=models.CASCADE,
        related_name="participants",
        db_constraint=False,
        db_index=False,
    )
    endpoint = models.ForeignKey(  # found by ticket_in_one_conversation
        Endpoint, on_delete=models.PROTECT, related_name="participants", db_constraint=False, db_index=False
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
        indexes = [  # a ticket that is yet to be made has neither
            models.Index(fields=["number"], condition=~Q(number=""), name="participant_number"),
            models.Index(
                fields=["external_id"], condition=Q(external_id__isnull=False), name="participant_external_id"
            ),
        ]

    def __str__(self) -> str:
        return self.number or self.external_id or f"{self.endpoint} (not created yet)"


class RemoteItem(PartModel):
    """A comment or file that we made at a participant, so that its own report of it is no news."""

    id = models.BigAutoField(primary_key=True)
    participant = models.ForeignKey(  # found by remote_item_once
        Participant, on_delete=models.CASCADE, related_name="items", db_constraint=False, db_index=False
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
