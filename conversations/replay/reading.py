"""Reads tickets again at their systems for a plan: one request at a time, in turn with what is sent there.

No transaction is open during a request, and none starts after the deadline.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from conversations import tokens
from conversations.models import (
    Lane,
    Message,
    Replay,
    ReplayData,
    ReplayFinding,
    ReplayItem,
    ReplayItemState,
    ReplayState,
)
from conversations.replay import lifecycle
from conversations.replay.subject import Tools
from endpoints import gates
from endpoints.adapters.base import Capability, Unreadable
from endpoints.canonical import CanonicalMessage, to_json
from endpoints.configs import LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Outcome
from oneio.blame import place_of
from oneio.bulk import update_rows

log = logging.getLogger(__name__)
BUSY_SECONDS = 0.5
THROTTLED_SECONDS = 10.0
TOO_LATE = "too_late"
"""What the HTTP client says of a request that was not to start any more."""


class CannotRead(Exception):
    """A ticket cannot be read. The text says why and what to do."""


class NotNow(Exception):
    """Its system is to be asked in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def read_one(replay_id: UUID, tools: Tools, http: HttpClient) -> float | None:
    """Read the next ticket of a replay that is planned on what systems say now. Returns how many seconds to
    wait before the next; None when there is none to be read."""
    chosen = ReplayItem.objects.filter(
        replay=replay_id,
        replay__state=ReplayState.PLANNING,
        replay__data=ReplayData.NOW,
        state=ReplayItemState.CHOSEN,
        fresh__isnull=True,
    )
    item = chosen.select_related("message").order_by("message_id").first()
    if item is None:
        return None
    try:
        told = _read(item.message, tools, http)
    except NotNow as wait:
        return wait.seconds
    except CannotRead as problem:
        _keep(replay_id, item.message, str(problem))
        return 0.0
    _keep(replay_id, item.message, told)
    return 0.0


def _read(message: Message, tools: Tools, http: HttpClient) -> CanonicalMessage:
    endpoint = tools.configs.get(message.endpoint_id)
    entity = endpoint.config.entity(message.entity_type)
    if entity is None or not message.external_id:
        raise CannotRead("It names no ticket of its system.")
    if not endpoint.can(Capability.FETCH):
        raise CannotRead(f"{endpoint.name} cannot be asked for a ticket. Use what was received then.")
    _take_turn(endpoint)
    if endpoint.wants_token:
        _fetch_token(endpoint, tools, http)
    started = time.monotonic()
    try:
        answer = endpoint.adapter.fetch(entity, message.external_id, http)
    except Unreadable as problem:
        raise CannotRead(str(problem)) from None
    except Exception as error:  # noqa: BLE001 (a bug in an adapter must not stop the others)
        log.error("A ticket could not be read again: %s", place_of(error))
        raise CannotRead(f"oneio failed on it ({type(error).__name__}).") from None
    log.info("Read a ticket of endpoint %s again in %.1f s.", endpoint.id, time.monotonic() - started)
    return answer if isinstance(answer, CanonicalMessage) else _refused(endpoint, answer)


def _take_turn(endpoint: LoadedEndpoint) -> None:
    """Its pauses, its rate and how much it takes at once count for reading as for sending."""
    busy = Lane.objects.filter(endpoint=endpoint.id, lease_until__gt=Now()).count()
    if busy >= endpoint.max_in_flight:
        raise NotNow(BUSY_SECONDS)
    wait = gates.take_turn(endpoint.id)
    if wait is None:
        raise CannotRead(f"Nothing is sent to {endpoint.name} now. See its page, then plan again.")
    if wait:
        raise NotNow(wait)


def _fetch_token(endpoint: LoadedEndpoint, tools: Tools, http: HttpClient) -> None:
    if gates.begin_token_refresh(endpoint.id):
        tokens.settle(tokens.fetch(endpoint, http))
    tools.configs.forget(endpoint.id)
    raise NotNow(BUSY_SECONDS)


def _refused(endpoint: LoadedEndpoint, outcome: Outcome) -> CanonicalMessage:
    if outcome.failure is Failure.RATE_LIMITED:
        wait = outcome.retry_after or THROTTLED_SECONDS
        gates.throttle(endpoint.id, wait)
        raise NotNow(wait)
    if outcome.code == TOO_LATE:
        raise NotNow(BUSY_SECONDS)
    if outcome.failure is Failure.AUTHENTICATION and endpoint.adapter_needs_token:
        gates.reject_token(endpoint.id, endpoint.config.token)
    status = f" (HTTP {outcome.status})" if outcome.status else ""
    raise CannotRead(f"{endpoint.name} did not give the ticket{status}. {outcome.detail}".strip())


def _keep(replay_id: UUID, message: Message, found: CanonicalMessage | str) -> None:
    """Note what was read, or why it was not, with all chosen messages about the ticket."""
    with transaction.atomic():
        replay = Replay.objects.select_for_update(no_key=True, of=("self",)).get(pk=replay_id)
        items = _about(replay, message)
        if isinstance(found, str):
            for item in items:
                lifecycle.leave_out(item, ReplayFinding.UNREADABLE, found)
            return
        told = to_json(found)
        for item in items:
            item.fresh = told
        update_rows(items, "fresh")


def _about(replay: Replay, message: Message) -> Sequence[ReplayItem]:
    """Those of the replay's chosen messages; none if it was cancelled meanwhile."""
    same = {f"message__{name}": getattr(message, name) for name in _TICKET}
    return list(replay.items.filter(state=ReplayItemState.CHOSEN, fresh__isnull=True, **same))


_TICKET = ("endpoint_id", "entity_type", "external_id")
