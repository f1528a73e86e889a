"""A pump's sign of life: a row that says it works, and the signs that it must end."""

from __future__ import annotations

import os
import socket
import time
from uuid import UUID

from django.db.models.functions import Now

from oneio import runtime
from oneio.models import PumpHeartbeat

BEAT_SECONDS = 2.0


class Heartbeat:
    """One pump's row. `stop_descriptor` becomes readable when the supervisor wants it to stop or is gone."""

    def __init__(self, pump_id: str) -> None:
        self.pump_id = UUID(pump_id)
        self.stop_descriptor = runtime.stop_descriptor
        self._parent = os.getppid()
        self._next = 0.0

    def beat(self) -> None:
        """Say that this pump is alive, every BEAT_SECONDS at most."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + BEAT_SECONDS
        own = PumpHeartbeat.objects.filter(pk=self.pump_id)
        own.update(beat_at=Now(), pid=os.getpid(), host=socket.gethostname()[:255])

    def end(self) -> None:
        """Say that this pump has ended, so that another is handed out at once."""
        PumpHeartbeat.objects.filter(pk=self.pump_id).delete()

    def must_end(self) -> bool:
        """True when the supervisor says stop, or when whoever started this process is gone."""
        return os.getppid() != self._parent or runtime.stopping()
