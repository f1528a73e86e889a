"""Tickets in whose place a conversation has another one, made anew because a person wanted it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from conversations.models.conversation import Conversation
from conversations.models.delivery import Delivery
from endpoints.models import Endpoint, EntityType
from oneio.constraints import CompositeForeignKey
from oneio.fields import EncryptedJSONField, EncryptedQuerySet
from oneio.identifiers import uuid7
from oneio.models import EnvironmentModel, same_environment, same_organization

REPLACED = "ticket_replaced"
"""Why a message goes nowhere that is about such a ticket."""


class ReplacedTicket(EnvironmentModel):
    """A ticket that takes part no more: what it tells stays with the conversation and goes nowhere.

    `delivery` makes the ticket in its place; if that never comes to be, this one takes part again, with
    what `memory` holds: its shadow, and the comments and files that are known of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="replaced_tickets", db_constraint=False
    )
    endpoint = models.ForeignKey(  # found by replaced_ticket_once
        Endpoint, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    entity_type = models.ForeignKey(
        EntityType, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    external_id = models.CharField(max_length=255)
    number = models.CharField(max_length=255, blank=True)
    link = models.CharField(max_length=1000, blank=True)
    delivery = models.OneToOneField(
        Delivery, on_delete=models.CASCADE, related_name="replaces", db_constraint=False
    )
    memory = EncryptedJSONField(default=dict)
    replaced_at = models.DateTimeField(db_default=Now(), editable=False)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            same_environment("conversation", "conversations.Conversation", "replaced_ticket"),
            same_organization("delivery", "conversations.Delivery", "replaced_ticket"),
            CompositeForeignKey(
                fields=["entity_type", "endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="replaced_ticket_entity_of_its_endpoint",
            ),
            models.UniqueConstraint(
                fields=["endpoint", "entity_type", "external_id"], name="replaced_ticket_once"
            ),
        ]
        indexes = [models.Index(fields=["number"]), models.Index(fields=["external_id"])]

    def __str__(self) -> str:
        return self.number or self.external_id
