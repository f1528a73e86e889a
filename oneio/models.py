"""Tenants: organizations, their environments and data keys; workers' heartbeats; and people's logins."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now

from oneio.constraints import CompositeForeignKey
from oneio.crypto import create_data_key


class Organization(models.Model):
    """The tenant: a company whose tools exchange tickets."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A new organization gets its data key in the same transaction."""
        adding = self._state.adding
        with transaction.atomic():
            super().save(*args, **kwargs)
            if adding:
                create_data_key(self.pk)


class EnvironmentKind(models.TextChoices):
    """The two environments that every organization may have."""

    QA = "qa", "QA"
    PRODUCTION = "production", "Production"


class Environment(models.Model):
    """QA or Production of an organization, with a receiver address of its own."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="environments")
    kind = models.CharField(max_length=12, choices=EnvironmentKind.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["organization", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind"], name="environment_once_per_organization"
            ),
            models.UniqueConstraint(fields=["id", "organization"], name="environment_with_organization"),
            models.CheckConstraint(
                condition=models.Q(kind__in=EnvironmentKind.values), name="environment_kind_is_known"
            ),
        ]
        permissions = [
            ("operate_environment", "Can retry, skip, cancel and suspend"),
            ("integrate_environment", "Can change endpoints and rules"),
            ("administer_environment", "Can grant roles"),
            ("read_payload", "Can read what tickets say"),
        ]

    def __str__(self) -> str:
        return f"{self.organization} {self.get_kind_display()}"

    @property
    def receiver_path(self) -> str:
        """Where systems of this environment post their messages."""
        return "/qa/api/v1/messages" if self.kind == EnvironmentKind.QA else "/api/v1/messages"


class DataKey(models.Model):
    """One organization's data key, wrapped by a key of the ring in the settings."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    wrapped = models.BinaryField()
    active = models.BooleanField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(active=True), name="one_active_data_key"
            ),
        ]

    def __str__(self) -> str:
        return f"Data key {self.pk}"


class PumpHeartbeat(models.Model):
    """One pump process: offered by the broker, then beating until it ends or dies."""

    id = models.UUIDField(primary_key=True)
    cluster = models.UUIDField()
    offered_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    pid = models.IntegerField(null=True)
    host = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [models.Index(fields=["cluster", "beat_at"])]

    def __str__(self) -> str:
        return f"Worker {self.pid} on {self.host}"


class LoginTry(models.Model):
    """A person's failed login, or the last one that succeeded, by username and network: keyed hashes of both.

    A network is empty where it is not known."""

    name = models.BinaryField(max_length=32)
    network = models.BinaryField(max_length=32)
    succeeded = models.BooleanField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["name", "at"]), models.Index(fields=["network", "at"])]

    def __str__(self) -> str:
        return f"{'Successful' if self.succeeded else 'Failed'} login at {self.at}"


class TenantModel(models.Model):
    """A row that belongs to one organization."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )

    class Meta:
        abstract = True


class PartModel(TenantModel):
    """A row that is only there beside another one, by which the database knows its organization already: a
    foreign key of its own would cost every insert and prove nothing more."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        db_index=False,
        db_constraint=False,
    )

    class Meta:
        abstract = True


class EnvironmentModel(TenantModel):
    """A row that lives in one environment of its organization.

    The database checks that they agree by the foreign keys over several columns that each model declares;
    they make simple ones to organization and environment needless, which would cost every insert.
    """

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        db_index=False,
        db_constraint=False,
    )

    environment = models.ForeignKey(
        Environment, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The organization follows from the environment."""
        if self.organization_id is None:
            self.organization_id = self.environment.organization_id
        super().save(*args, **kwargs)


def within_environment(table: str) -> CompositeForeignKey:
    """The constraint that a row's environment is one of its organization."""
    return CompositeForeignKey(
        fields=["environment", "organization"],
        to="oneio.Environment",
        to_fields=["id", "organization"],
        name=f"{table}_within_environment",
    )


def same_environment(link: str, to: str, table: str) -> CompositeForeignKey:
    """The constraint that the row behind `link` lives in the same environment of the same organization."""
    return CompositeForeignKey(
        fields=[link, "environment", "organization"],
        to=to,
        to_fields=["id", "environment", "organization"],
        name=f"{table}_{link}_same_environment",
    )


def same_organization(link: str, to: str, table: str) -> CompositeForeignKey:
    """The constraint that the row behind `link` belongs to the same organization, where neither names an
    environment."""
    return CompositeForeignKey(
        fields=[link, "organization"],
        to=to,
        to_fields=["id", "organization"],
        name=f"{table}_{link}_same_organization",
    )


def with_organization(table: str) -> models.UniqueConstraint:
    """The unique key that `same_organization` links point to."""
    return models.UniqueConstraint(fields=["id", "organization"], name=f"{table}_with_organization")


def addressable(table: str) -> models.UniqueConstraint:
    """The unique key that `same_environment` links point to."""
    return models.UniqueConstraint(fields=["id", "environment", "organization"], name=f"{table}_addressable")


USER_MODEL = settings.AUTH_USER_MODEL
