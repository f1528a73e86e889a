"""Asks endpoints the questions of rules, on threads of its own, so that deliveries never wait for lookups."""

from __future__ import annotations

import json
import logging
import queue as queues
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from conversations import queue, tokens
from conversations.models import LookupAnswer
from conversations.tokens import TokenFetched
from endpoints import gates
from endpoints.adapters.base import Question
from endpoints.canonical import Attributes, encode_attributes
from endpoints.configs import LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.outcomes import Failure, Outcome, Result
from oneio.blame import place_of
from routing.lookups import Asked

log = logging.getLogger(__name__)
THREADS = 16
SHARE = 8
"""Questions that one endpoint may have under way, per worker: one that hangs leaves the rest to others."""
LONGEST_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Errand:
    """One question to ask, the row that its answer goes into, and which messages of `source_id` wait."""

    endpoint: LoadedEndpoint
    asked: Asked
    row_id: UUID
    seconds: float
    source_id: int
    waiting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Returned:
    """What came of an errand."""

    errand: Errand
    answer: Sequence[Attributes] | Outcome


class Asker:
    """One worker's questions under way. Made, sent and settled by its main thread."""

    def __init__(
        self, http: HttpClient, ring: Callable[[], None], initializer: Callable[[], None] | None = None
    ) -> None:
        self._http, self._ring = http, ring
        self._threads = ThreadPoolExecutor(THREADS, "lookup", initializer=initializer)
        self._finished: queues.SimpleQueue[Returned | TokenFetched] = queues.SimpleQueue()
        self._back: list[Returned | TokenFetched] = []
        self.under_way: Counter[int] = Counter()

    def has_room(self, endpoint_id: int, promised: int = 0, promised_in_all: int = 0) -> bool:
        """Whether this endpoint may be asked one more question now, beside those that are promised."""
        free = self.under_way.total() + promised_in_all < THREADS
        return free and self.under_way[endpoint_id] + promised < SHARE

    def send(self, errand: Errand) -> None:
        """Ask, once the caller's transaction is committed: only then the lease is seen by others."""
        until = time.monotonic() + errand.seconds
        self._after_commit(errand.endpoint, lambda: ask(errand, self._http, until))

    def fetch_token(self, endpoint: LoadedEndpoint) -> None:
        """Get the access token that the endpoint needs, unless somebody does."""
        if gates.begin_token_refresh(endpoint.id):
            self._after_commit(endpoint, lambda: tokens.fetch(endpoint, self._http))

    def settle(self) -> bool:
        """Keep what has come back. What a dropped connection keeps from it is kept later."""
        while not self._finished.empty():
            self._back.append(self._finished.get_nowait())
        worked = bool(self._back)
        while self._back:
            self._keep(self._back[0])
            done = self._back.pop(0)
            self.under_way[_endpoint_of(done).id] -= 1
        return worked

    def close(self) -> None:
        """Let go of the threads; what they ask is asked again by others when its lease is over."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _after_commit(self, endpoint: LoadedEndpoint, work: Callable[[], Returned | TokenFetched]) -> None:
        def carry_out() -> None:
            self._finished.put(work())
            self._ring()

        def start() -> None:
            self.under_way[endpoint.id] += 1
            self._threads.submit(carry_out)

        transaction.on_commit(start)

    def _keep(self, result: Returned | TokenFetched) -> None:
        try:
            if isinstance(result, TokenFetched):
                tokens.settle(result)
            else:
                keep(result)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 (such as an endpoint that was deleted meanwhile)
            log.error("An answer could not be kept: %s", place_of(error))


def ask(errand: Errand, http: HttpClient, until: float) -> Returned:
    """Ask, on a thread, if it is not too late. Never raises."""
    asked, endpoint = errand.asked, errand.endpoint
    entity = endpoint.config.entity(asked.entity) if asked.entity else None
    question = Question(entity, asked.record, dict(asked.criteria), asked.attributes, asked.limit)
    try:
        adapter = endpoint.adapter
        adapter.read_timeout = errand.seconds
        return Returned(errand, adapter.find(question, http.only_while(lambda: time.monotonic() < until)))
    except Exception as error:  # noqa: BLE001 (a bug in an adapter must not stop the worker)
        log.error("A lookup failed inside oneio: %s", place_of(error))
        return Returned(errand, Outcome(Result.NOT_SENT, Failure.INTERNAL, code=type(error).__name__[:40]))


def keep(returned: Returned) -> None:
    """Store the answer, or why there is none, and wake the messages that wait for it."""
    errand, answer = returned.errand, returned.answer
    with transaction.atomic():
        row = LookupAnswer.objects.select_for_update().filter(pk=errand.row_id).first()
        if row is None:
            return
        if isinstance(answer, Outcome):
            _keep_failure(row, answer)
        else:
            _keep_answer(row, answer)
        queue.wake_messages(errand.source_id, errand.waiting)
    if isinstance(answer, Outcome):
        _heed(errand, answer)


def _keep_answer(row: LookupAnswer, records: Sequence[Attributes]) -> None:
    encoded = [encode_attributes(record) for record in records]
    rows = LookupAnswer.objects.filter(pk=row.pk)
    if len(json.dumps(encoded)) > LONGEST_ANSWER:
        rows.update(asked_until=None, failed_at=Now(), problem="too_large")
        return
    row.answer, row.answered_at = encoded, queue.database_now()
    row.asked_until, row.failed_at, row.problem = None, None, ""
    row.save(update_fields=["answer", "answered_at", "asked_until", "failed_at", "problem"])


def _keep_failure(row: LookupAnswer, outcome: Outcome) -> None:
    why = (outcome.code or (outcome.failure.value if outcome.failure else "") or "failed")[:40]
    LookupAnswer.objects.filter(pk=row.pk).update(asked_until=None, failed_at=Now(), problem=why)


def _heed(errand: Errand, outcome: Outcome) -> None:
    """A failed lookup pauses nothing, but the endpoint's wishes are respected."""
    if outcome.failure is Failure.RATE_LIMITED and outcome.retry_after:
        gates.throttle(errand.endpoint.id, outcome.retry_after)
    if outcome.failure is Failure.AUTHENTICATION and errand.endpoint.adapter_needs_token:
        gates.reject_token(errand.endpoint.id, errand.endpoint.config.token)


def _endpoint_of(result: Returned | TokenFetched) -> LoadedEndpoint:
    return result.endpoint if isinstance(result, TokenFetched) else result.errand.endpoint
