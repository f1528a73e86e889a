"""Names the work that the scheduler starts."""

import logging

from conversations import queue, retention, watch

log = logging.getLogger(__name__)


def sweep() -> int:
    """Find lanes that have open work and no due time, heal and count them. There should be none. Also opens
    and ends the alerts that depend on what waits."""
    watch.look()
    healed = queue.heal_lost_lanes()
    if healed:
        log.error("%d lanes had open work and no due time; they go on now.", healed)
    return healed


def retain() -> dict[str, int]:
    """Delete what has been kept as long as the settings say. Returns how many of each sort."""
    return retention.run()
