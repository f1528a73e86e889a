"""The django-q2 broker: hands out pumps until as many beat as are wanted, and scheduled work besides.

It holds no truth. A pump task that is lost, repeated or reordered does no harm: what counts are the
heartbeat rows, which show deaths that a broker cannot see.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import close_old_connections
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from oneio import runtime
from oneio.models import PumpHeartbeat

log = logging.getLogger(__name__)
DEAD_AFTER = timedelta(seconds=8)
FAILED_PAUSE_SECONDS = 1.0
STOPPING_PAUSE_SECONDS = 0.1
STUCK_MARGIN = timedelta(seconds=30)


class PumpBroker(ORM):  # type: ignore[misc]
    """Pumps first, then django-q2's own queue."""

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """A pump task, due scheduled tasks, or None after a short wait. Never raises: the pusher that
        calls it dies of any exception and is away for ten seconds."""
        try:
            close_old_connections()
            if runtime.stopping():
                time.sleep(STOPPING_PAUSE_SECONDS)
                return None
            if pump := missing_pump():
                return [(None, pump)]
            tasks: list[tuple[Any, str]] | None = super().dequeue()
        except Exception as error:  # noqa: BLE001
            log.warning("The queue cannot be asked (%s); trying again.", type(error).__name__)
            time.sleep(FAILED_PAUSE_SECONDS)
            return None
        return tasks


def missing_pump() -> str | None:
    """A signed pump task, its heartbeat row made, if fewer pumps beat than are wanted."""
    if alive_pumps() >= settings.PUMPS:
        return None
    PumpHeartbeat.objects.filter(cluster=runtime.cluster_id, beat_at__lte=Now() - DEAD_AFTER).delete()
    heartbeat = PumpHeartbeat.objects.create(id=uuid4(), cluster=runtime.cluster_id)
    package: str = SignedPackage.dumps(_task(str(heartbeat.pk)))
    return package


def alive_pumps() -> int:
    """How many pumps of this cluster beat, those just handed out counted in."""
    return _alive().count()


def beating_pumps() -> int:
    """How many pumps of this cluster work: one that was handed out may never reach a worker."""
    return _alive().filter(pid__isnull=False).count()


def _alive() -> QuerySet[PumpHeartbeat]:
    return PumpHeartbeat.objects.filter(cluster=runtime.cluster_id, beat_at__gt=Now() - DEAD_AFTER)


def pump_processes() -> dict[UUID, int]:
    """The pumps of this cluster that have beaten, and the processes that they run in."""
    rows = PumpHeartbeat.objects.filter(cluster=runtime.cluster_id).values_list("pk", "pid")
    return {pump: pid for pump, pid in rows if pid is not None}


def bury(pumps: Iterable[UUID]) -> None:
    """These pumps' processes are gone: others are handed out at once, without waiting for missing beats."""
    PumpHeartbeat.objects.filter(pk__in=list(pumps)).delete()


def scheduled_work_is_stuck(since: datetime) -> bool:
    """Whether a scheduled task handed out after `since` has outlived its time limit: django-q2's task queue
    stays locked for ever when an idle worker is killed, and nobody gets what is put into it."""
    cluster: dict[str, Any] = settings.Q_CLUSTER
    retry = timedelta(seconds=cluster["retry"])
    longest = timedelta(seconds=cluster["timeout"]) + STUCK_MARGIN
    locked_until = (since + retry, timezone.now() - longest + retry)
    stuck: bool = OrmQ.objects.filter(lock__range=locked_until).exists()
    return stuck


def _task(pump_id: str) -> dict[str, Any]:
    """A django-q2 task: no time limit (its alarm strikes at any instruction) and no saved result."""
    return {
        "id": pump_id.replace("-", ""),
        "name": "pump",
        "func": settings.PUMP,
        "args": (pump_id,),
        "kwargs": {},
        "started": timezone.now(),
        "timeout": -1,
        "save": False,
    }
