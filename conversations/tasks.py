"""Names the work that the scheduler starts."""

import logging

from django.utils import timezone

from conversations import delays, queue, retention, statistics, watch
from conversations.replay.work import work
from endpoints.configs import EndpointConfigs
from routing.rules import RuleBook

log = logging.getLogger(__name__)


def sweep() -> int:
    """Find lanes that have open work and no due time, heal and count them. There should be none. Also lets
    delayed deliveries go whose wait is over, should all workers be busy, and opens and ends the alerts that
    depend on what waits."""
    delays.release_due(RuleBook(), EndpointConfigs())
    watch.look()
    healed = queue.heal_lost_lanes()
    if healed:
        log.error("%d lanes had open work and no due time; they go on now.", healed)
    return healed


def retain() -> dict[str, int]:
    """Delete what has been kept as long as the settings say. Returns how many of each sort."""
    return retention.run()


def count() -> int:
    """Count the hours that are not over, for the charts on Home."""
    return statistics.count_hours(timezone.now())


def replay() -> int:
    """Plan and run replays for a while. Returns how many steps were taken."""
    return work()
