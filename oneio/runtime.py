"""What the processes of one cluster share: set before the first fork, inherited by all."""

import select
from uuid import UUID

stop_descriptor: int | None = None
"""The read end of a pipe that the supervisor holds open: it ends when the supervisor says stop or dies."""

cluster_id = UUID(int=0)
"""Names the cluster in its pumps' heartbeat rows."""


def stopping() -> bool:
    """Whether the supervisor has said stop, or is gone."""
    return stop_descriptor is not None and bool(select.select([stop_descriptor], [], [], 0)[0])
