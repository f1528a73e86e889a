"""How much flowed, hour by hour: what charts show, so that no page counts messages."""

from __future__ import annotations

from django.db import models

from endpoints.models import Endpoint
from oneio.models import EnvironmentModel, same_environment


class HourlyCount(EnvironmentModel):
    """What one endpoint sent and was sent within one hour. Counted anew until the hour is well over.

    `received`: messages from it, `troubled` of them could not be read or routed. `sent`: deliveries that
    arrived there, `in_time` of them soon after the message came in. `failed`: tries that it did not take.
    """

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    hour = models.DateTimeField()
    received = models.PositiveIntegerField(default=0)
    troubled = models.PositiveIntegerField(default=0)
    sent = models.PositiveIntegerField(default=0)
    in_time = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            same_environment("endpoint", "endpoints.Endpoint", "hourly_count"),
            models.UniqueConstraint(fields=["endpoint", "hour"], name="hour_counted_once"),
        ]
        indexes = [models.Index(fields=["environment", "hour"], name="hourly_count_of_environment")]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.hour:%Y-%m-%d %H}:00"
