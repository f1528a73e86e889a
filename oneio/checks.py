"""System checks: settings that would lose or repeat scheduled work are refused at the start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.compatibility)
def check_cluster(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Whether Q_CLUSTER fits what the workers rely on."""
    cluster: dict[str, Any] = settings.Q_CLUSTER
    rules = [
        (
            cluster["timeout"] < cluster["retry"],
            "E001",
            "timeout must be shorter than retry",
            "Otherwise a task that still runs is started a second time. Raise retry.",
        ),
        (
            cluster["workers"] > settings.PUMPS,
            "E002",
            "workers must exceed ONEIO_PUMPS",
            "Pumps stay in their processes; one more must be left for scheduled work.",
        ),
        (
            cluster["queue_limit"] >= settings.PUMPS,
            "E003",
            "queue_limit must be at least ONEIO_PUMPS",
            "Otherwise pumps wait for each other to end. Raise queue_limit.",
        ),
        (
            settings.PUMPS >= 1,
            "E004",
            "ONEIO_PUMPS must be at least 1",
            "Without a pump nothing is delivered.",
        ),
        (
            settings.LEASE_SECONDS >= 1,
            "E005",
            "ONEIO_LEASE_SECONDS must be at least 1",
            "Shorter leases end while their work goes on.",
        ),
        (
            cluster["broker_class"] == "oneio.broker.PumpBroker",
            "E006",
            "broker_class must be oneio.broker.PumpBroker",
            "Other brokers hand out no pumps.",
        ),
    ]
    return [
        Error(f"Q_CLUSTER: {what}.", hint=hint, id=f"oneio.{code}")
        for holds, code, what, hint in rules
        if not holds
    ]
