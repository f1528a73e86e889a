"""Names the work that the scheduler starts."""

import logging

from conversations import queue

log = logging.getLogger(__name__)


def sweep() -> int:
    """Find lanes that have open work and no due time, heal and count them. There should be none."""
    healed = queue.heal_lost_lanes()
    if healed:
        log.error("%d lanes had open work and no due time; they go on now.", healed)
    return healed
