"""What the scheduled worker does about replays: plans and sends for a while, then lets other work go on."""

from __future__ import annotations

import time
from uuid import UUID

from django.conf import settings

from conversations.models import Replay, ReplayState
from conversations.replay import lifecycle
from conversations.replay.planning import plan_some
from conversations.replay.reading import read_one
from conversations.replay.running import run_one
from conversations.replay.subject import Tools
from endpoints.http import HttpClient
from endpoints.network import NetworkPolicy

SECONDS = 20.0
IDLE_SECONDS = 2.0
PAUSE_SECONDS = 0.1
AT_WORK = (ReplayState.PLANNING, ReplayState.RUNNING)


def work(seconds: float = SECONDS) -> int:
    """Plan and send for some seconds. Returns how many steps were taken; asks to be called again soon if
    there is more to do."""
    deadline = time.monotonic() + seconds
    client = HttpClient(
        NetworkPolicy(settings.ALLOW_LOOPBACK, settings.ALLOW_PRIVATE_NETWORKS, settings.EXTRA_CA_FILE)
    )
    try:
        steps, more = _work(deadline, client)
    finally:
        client.close()
    if more:
        lifecycle.hint()
    return steps


def _work(deadline: float, client: HttpClient) -> tuple[int, bool]:
    """Step by step, each replay in its turn. Ends early when none gets any further for a while."""
    http = client.only_while(lambda: time.monotonic() < deadline)
    tools, steps, moved_at = Tools(), 0, time.monotonic()
    while time.monotonic() < deadline:
        at_work = list(Replay.objects.filter(state__in=AT_WORK).values_list("pk", flat=True))
        moved = [replay_id for replay_id in at_work if step(replay_id, tools, http)]
        steps += len(moved)
        if moved:
            moved_at = time.monotonic()
        elif not at_work or time.monotonic() - moved_at > IDLE_SECONDS:
            return steps, False
        else:
            time.sleep(PAUSE_SECONDS)
    return steps, True


def step(replay_id: UUID, tools: Tools, http: HttpClient) -> bool:
    """Take a replay a little further. False where it has to wait, or has ended."""
    wait = read_one(replay_id, tools, http)
    planned = plan_some(replay_id, tools)
    return wait == 0.0 or planned > 0 or run_one(replay_id, tools)
