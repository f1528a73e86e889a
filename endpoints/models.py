"""Endpoints: the connected systems, what they exchange, their secrets and their live state."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from endpoints.canonical import EntityKind
from oneio.constraints import CompositeForeignKey, known
from oneio.fields import EncryptedJSONField, EncryptedQuerySet, EncryptedTextField
from oneio.identifiers import uuid7
from oneio.models import (
    USER_MODEL,
    EnvironmentModel,
    TenantModel,
    addressable,
    same_environment,
    same_organization,
    with_organization,
    within_environment,
)
from oneio.paths import PathError, compile_path


class EndpointStatus(models.TextChoices):
    """Whether messages leave for the endpoint; a suspended one still receives."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"


class UnknownPolicy(models.TextChoices):
    """What to do when nobody can say whether a request arrived."""

    HOLD = "hold", "Hold it for a person"
    RESEND = "resend", "Send again and flag “possible duplicate”"


class InternalComments(models.TextChoices):
    """Whether internal comments that are written at an endpoint may go anywhere else."""

    MAY_LEAVE = "may_leave", "May leave, if a rule carries them over"
    NEVER_LEAVE = "never_leave", "Never leave this endpoint, whatever a rule says"


def validate_timezone(value: str) -> None:
    """Refuse a name that is no IANA time zone."""
    if value not in available_timezones():
        raise ValidationError(f"“{value}” is no time zone. Use a name such as Europe/Helsinki or UTC.")


class Endpoint(EnvironmentModel):
    """One connected system."""

    name = models.CharField(max_length=100, help_text="Short name that people see everywhere.")
    slug = models.SlugField(max_length=60, help_text="Name for files and scripts; stays when you rename it.")
    kind = models.CharField("type", max_length=40, help_text="What sort of system this is.")
    status = models.CharField(
        max_length=10,
        choices=EndpointStatus.choices,
        default=EndpointStatus.ACTIVE,
        help_text="A suspended endpoint still receives; nothing leaves for it until it is active again.",
    )
    base_url = models.URLField("base URL", max_length=500, blank=True)
    timezone = models.CharField(
        max_length=60,
        default="UTC",
        validators=[validate_timezone],
        help_text="Zone of the system's dates and times where they carry none.",
    )
    settings = models.JSONField(default=dict, blank=True)
    success_codes = models.JSONField(default=list, blank=True)
    unrecoverable_codes = models.JSONField(
        default=list, blank=True, help_text="HTTP codes after which a delivery waits for a person at once."
    )
    unknown_policy = models.CharField(
        "when arrival is unknown", max_length=10, choices=UnknownPolicy.choices, default=UnknownPolicy.HOLD
    )
    internal_comments = models.CharField(
        "internal comments written here",
        max_length=15,
        choices=InternalComments.choices,
        default=InternalComments.MAY_LEAVE,
        help_text="A comment whose visibility is not known counts as internal.",
    )
    max_in_flight = models.PositiveSmallIntegerField(
        "requests at once", default=16, help_text="How many requests may be under way to this system."
    )
    max_per_second = models.FloatField(
        "requests per second", null=True, blank=True, help_text="Leave empty for no limit."
    )
    inbound_per_second = models.FloatField(
        "messages per second accepted", null=True, blank=True, help_text="Leave empty for no limit."
    )
    owner = models.ForeignKey(USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            within_environment("endpoint"),
            addressable("endpoint"),
            with_organization("endpoint"),
            models.UniqueConstraint(fields=["environment", "slug"], name="endpoint_slug_once"),
            models.UniqueConstraint(fields=["environment", "name"], name="endpoint_name_once"),
            models.CheckConstraint(
                condition=Q(status__in=EndpointStatus.values), name="endpoint_status_is_known"
            ),
            known("unknown_policy", UnknownPolicy, "endpoint"),
            known("internal_comments", InternalComments, "endpoint"),
            models.CheckConstraint(condition=Q(max_in_flight__gte=1), name="endpoint_sends_at_least_one"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new endpoint gets its gate, inbox and (empty) credentials in the same transaction."""
        adding = self._state.adding
        with transaction.atomic():
            super().save(*args, **kwargs)
            if adding:
                for companion in (EndpointGate, Inbox, Credentials):
                    companion._default_manager.create(endpoint=self, organization_id=self.organization_id)

    @property
    def suspended(self) -> bool:
        """True while nothing may leave for it."""
        return self.status == EndpointStatus.SUSPENDED


class EntityType(EnvironmentModel):
    """One sort of ticket that an endpoint exchanges."""

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="entity_types", db_constraint=False
    )
    name = models.SlugField(max_length=60, help_text="How rules call it.")
    kind = models.CharField(max_length=20, choices=[(k.value, k.value.replace("_", " ")) for k in EntityKind])
    remote_name = models.CharField(
        "name in the system", max_length=100, help_text="Table or issue type, as the system calls it."
    )
    resolving_value = models.CharField(
        max_length=100,
        blank=True,
        help_text="The value in a message that selects this entity type; the name in the system if empty.",
    )
    status = models.CharField(max_length=10, choices=EndpointStatus.choices, default=EndpointStatus.ACTIVE)
    settings = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["endpoint", "name"]
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "entity_type"),
            known("status", EndpointStatus, "entity_type"),
            known("kind", [kind.value for kind in EntityKind], "entity_type"),
            models.UniqueConstraint(fields=["endpoint", "name"], name="entity_type_once_per_endpoint"),
            models.UniqueConstraint(
                fields=["id", "endpoint", "environment", "organization"], name="entity_type_addressable"
            ),
        ]

    def __str__(self) -> str:
        return self.name


def validate_path(value: str) -> None:
    """Refuse a text that is no path."""
    try:
        compile_path(value)
    except PathError as error:
        raise ValidationError(str(error)) from None


class Reference(EnvironmentModel):
    """Where an endpoint's messages name another endpoint's ticket: what stands at `path` is its id or number.

    A message whose own ticket is not known yet joins the conversation of the ticket that it names.
    """

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="references", db_constraint=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    path = models.CharField(
        "field",
        max_length=500,
        validators=[validate_path],
        help_text="Where the other ticket's id or number stands, for example u_vendor_ticket.",
    )
    referenced_endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="referenced_by", db_constraint=False
    )
    referenced_entity = models.ForeignKey(
        EntityType, on_delete=models.CASCADE, related_name="+", db_constraint=False, verbose_name="names a"
    )

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "reference"),
            CompositeForeignKey(
                fields=["referenced_entity", "referenced_endpoint", "environment", "organization"],
                to="endpoints.EntityType",
                to_fields=["id", "endpoint", "environment", "organization"],
                name="reference_entity_of_its_endpoint",
            ),
            models.CheckConstraint(
                condition=~Q(referenced_endpoint=F("endpoint")), name="reference_names_another_endpoint"
            ),
            models.UniqueConstraint(
                fields=["endpoint", "path", "referenced_entity"], name="reference_once_per_endpoint"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path}: {self.referenced_entity} of {self.referenced_endpoint}"


class Credentials(TenantModel):
    """An endpoint's outbound secrets and the access token it last fetched, all encrypted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.OneToOneField(
        Endpoint, on_delete=models.CASCADE, related_name="credentials", db_constraint=False
    )
    secrets = EncryptedJSONField(default=dict)
    token = EncryptedTextField(null=True)
    token_obtained_at = models.DateTimeField(null=True)
    token_expires_at = models.DateTimeField(null=True)
    objects = EncryptedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "credentials"
        constraints = [same_organization("endpoint", "endpoints.Endpoint", "credentials")]

    def __str__(self) -> str:
        return f"Credentials of {self.endpoint}"


class ReceiverLogin(TenantModel):
    """How a system proves who it is when it posts to us: a username and the keyed hash of a password.

    During a grace time after a change an endpoint has two: the old one carries `valid_until`.
    """

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="receiver_logins", db_constraint=False
    )
    username = models.CharField(max_length=100)
    password_hash = models.BinaryField(max_length=32)
    token_hash = models.BinaryField(max_length=32)
    valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            same_organization("endpoint", "endpoints.Endpoint", "receiver_login"),
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(valid_until=None), name="one_current_receiver_login"
            ),
            models.UniqueConstraint(
                fields=["username"], condition=Q(valid_until=None), name="receiver_username_once"
            ),
        ]
        indexes = [models.Index(fields=["username"]), models.Index(fields=["token_hash"])]

    def __str__(self) -> str:
        return self.username


class Circuit(models.TextChoices):
    """Whether requests go out: closed = yes, open = not now, half open = one probe."""

    CLOSED = "closed", "Closed"
    OPEN = "open", "Open"
    HALF_OPEN = "half_open", "Half open"


class EndpointGate(TenantModel):
    """An endpoint's live state, shared by all workers: what stands between its lanes and the network."""

    endpoint = models.OneToOneField(
        Endpoint, on_delete=models.CASCADE, primary_key=True, related_name="gate", db_constraint=False
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=40, blank=True)
    closed_until = models.DateTimeField(null=True, blank=True)
    circuit = models.CharField(max_length=10, choices=Circuit.choices, default=Circuit.CLOSED)
    failures_in_row = models.PositiveIntegerField(default=0)
    refused_conversations = ArrayField(models.UUIDField(), default=list, blank=True)
    probe_lane = models.BigIntegerField(null=True, blank=True)
    tokens = models.FloatField(default=0)
    tokens_at = models.DateTimeField(db_default=Now())
    token_refresh_until = models.DateTimeField(null=True, blank=True)
    served_at = models.DateTimeField(db_default=Now())
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            same_organization("endpoint", "endpoints.Endpoint", "gate"),
            models.CheckConstraint(
                condition=Q(paused_at=None, pause_reason="")
                | (Q(paused_at__isnull=False) & ~Q(pause_reason="")),
                name="gate_pause_has_a_reason",
            ),
            models.CheckConstraint(condition=Q(circuit__in=Circuit.values), name="gate_circuit_is_known"),
            models.CheckConstraint(
                condition=~Q(circuit=Circuit.OPEN) | Q(closed_until__isnull=False),
                name="gate_open_circuit_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return f"Gate of {self.endpoint}"


class Inbox(TenantModel):
    """What a router claims: one router at a time per source endpoint, endpoints in turn.

    `solo_through`: after a router died in a batch, messages up to this id are routed one at a time, so
    that only the one that kills its router is blamed.
    """

    endpoint = models.OneToOneField(
        Endpoint, on_delete=models.CASCADE, primary_key=True, related_name="inbox", db_constraint=False
    )
    served_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    token = models.BigIntegerField(default=0)
    solo_through = models.BigIntegerField(null=True)

    class Meta:
        verbose_name_plural = "inboxes"
        constraints = [same_organization("endpoint", "endpoints.Endpoint", "inbox")]

    def __str__(self) -> str:
        return f"Inbox of {self.endpoint}"


class AlertKind(models.TextChoices):
    """What is wrong, one open alert per cause."""

    CREDENTIALS = "credentials", "Credentials rejected"
    REFUSED = "refused", "Requests refused"
    CIRCUIT = "circuit", "System does not answer"
    LOOP = "loop", "Tickets go in circles"
    HELD = "held", "Deliveries wait for a person"
    STALLED = "stalled", "Workers stand still"


class Alert(EnvironmentModel):
    """Something a person should know, from when until when, and what to do about it."""

    endpoint = models.ForeignKey(
        Endpoint, null=True, on_delete=models.CASCADE, related_name="alerts", db_constraint=False
    )
    kind = models.CharField(max_length=20, choices=AlertKind.choices)
    since = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    what_to_do = models.CharField(max_length=500)

    class Meta:
        ordering = [F("ended_at").desc(nulls_first=True), "-since"]
        constraints = [
            within_environment("alert"),
            same_environment("endpoint", "endpoints.Endpoint", "alert"),
            known("kind", AlertKind, "alert"),
            models.UniqueConstraint(
                fields=["environment", "endpoint", "kind"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
                name="one_open_alert_per_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.endpoint}"
