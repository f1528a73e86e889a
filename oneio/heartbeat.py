"""A pump's sign of life: a row that says it works, and the signs that it must end."""

from __future__ import annotations

import os
import socket
import time
from uuid import UUID

from oneio import runtime
from oneio.models import PumpHeartbeat
from oneio.statements import execute

BEAT_SECONDS = 2.0
# A beat that is lost in a crash of the database costs nothing: the pump need not wait for the disk.
_BEAT = """
    WITH unsynchronised AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'off', true) AS setting
    )
    UPDATE oneio_pumpheartbeat SET beat_at = now(), pid = %s::integer, host = %s
    FROM unsynchronised WHERE id = %s AND setting IS NOT NULL
"""


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
        execute(_BEAT, [os.getpid(), socket.gethostname()[:255], self.pump_id])

    def end(self) -> None:
        """Say that this pump has ended, so that another is handed out at once."""
        PumpHeartbeat.objects.filter(pk=self.pump_id).delete()

    def must_end(self) -> bool:
        """True when the supervisor says stop, or when whoever started this process is gone."""
        return os.getppid() != self._parent or runtime.stopping()
