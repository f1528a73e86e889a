"""Gets the answers to the lookups of rules before their messages are routed, and keeps them for a while.

A question is under way once over all workers; a message waits for it no longer than its time-out. Whatever
goes wrong, the message goes on without the answer, and says so.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from conversations import tokens
from conversations.asking import Asker, Errand, ask, keep
from conversations.models import LookupAnswer, Message
from endpoints import gates
from endpoints.adapters.base import Capability
from endpoints.canonical import CanonicalMessage, Operation, Value, decode_attributes
from endpoints.configs import EndpointConfigs, LoadedEndpoint
from endpoints.http import HttpClient
from endpoints.outcomes import Outcome
from oneio.bulk import fetch_rows
from oneio.crypto import keyed_hash
from oneio.identifiers import uuid7
from oneio.statements import Array, bigints, one
from routing.compiled import RoutingRule
from routing.context import view
from routing.decision import message_context
from routing.lookups import Asked, Lookup, answers, may_hold
from routing.rules import Rules

LOOKED_AT_AGAIN = timedelta(seconds=1)
LEASE_MARGIN = timedelta(seconds=5)
REST_AFTER_FAILURE = timedelta(seconds=30)
"""For so long a question that failed is not asked again, and nobody waits for it."""
WAITING_SINCE = "waiting_since"
"""Where a message's trace says since when it waits for answers; gone once it is decided on."""
_KEPT = "WHERE endpoint_id = ANY(%s) AND fingerprint = ANY(%s)"
_CLAIM = """
    INSERT INTO conversations_lookupanswer AS kept
        (id, organization_id, environment_id, endpoint_id, fingerprint, asked_until)
    VALUES (%s, %s, %s, %s, %s, now() + %s)
    ON CONFLICT (endpoint_id, fingerprint) DO UPDATE SET asked_until = EXCLUDED.asked_until
    WHERE kept.asked_until IS NULL OR kept.asked_until <= now()
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Want:
    """One lookup of a rule for one message. `asked` is None where there is nothing to ask by."""

    rule: RoutingRule
    lookup: Lookup
    asked: Asked | None
    key: bytes = b""


class Answers:
    """The answers for one batch of messages; those that must still wait for some."""

    def __init__(
        self,
        source: LoadedEndpoint,
        rules: Rules,
        messages: Sequence[tuple[Message, CanonicalMessage]],
        configs: EndpointConfigs,
        now: datetime,
        asker: Asker | None,
    ) -> None:
        self.source, self.configs, self.now, self.asker = source, configs, now, asker
        self._claimed: Counter[int] = Counter()
        wanted = ((message.pk, _wants(source, rules, canonical)) for message, canonical in messages)
        self._wants = {pk: wants for pk, wants in wanted if wants}
        if self._wants:
            self._load()
            self._ask([message for message, _ in messages if message.pk in self._wants])

    def wait_of(self, message: Message) -> datetime | None:
        """When to look again at a message that waits for answers; None for one that need not wait."""
        since = self._since(message)
        open_ones = [one for one in self._wants.get(message.pk, ()) if self._is_open(one, since)]
        if not open_ones:
            return None
        ends = min(since + want.lookup.timeout for want in open_ones)
        return max(min(self.now + LOOKED_AT_AGAIN, ends), self.now + timedelta(milliseconds=10))

    def set_aside(self, message: Message, until: datetime) -> None:
        """Let the message wait, and remember since when it does."""
        message.body.trace = {WAITING_SINCE: self._since(message).isoformat()}
        message.wake_at = until

    def found(self, message: Message) -> dict[int, Mapping[str, Value]]:
        """Rule id → what its lookups found, by name."""
        found: dict[int, dict[str, list[Value]]] = {}
        rules: dict[int, RoutingRule] = {}
        for want in self._wants.get(message.pk, ()):
            rules[want.rule.rule_id] = want.rule
            mine = found.setdefault(want.rule.rule_id, {})
            row = self._answered(want, self._since(message))
            if row is not None:
                mine[want.lookup.name] = [decode_attributes(record) for record in row.answer]
        return {rule_id: answers(rules[rule_id].lookups, mine) for rule_id, mine in found.items()}

    def gaps(self, message: Message) -> list[str]:
        """What the message is decided without, a sentence each."""
        since = self._since(message)
        missing = (
            one for one in self._wants.get(message.pk, ()) if one.asked and not self._answered(one, since)
        )
        return list(dict.fromkeys(f"lookup {one.lookup.name}: {self._why(one, since)}" for one in missing))

    def _load(self) -> None:
        asked = [want for wants in self._wants.values() for want in wants if want.asked]
        endpoints = {want.lookup.endpoint_id for want in asked}
        keys = {want.key for want in asked}
        rows = fetch_rows(LookupAnswer, _KEPT, [bigints(endpoints), Array("bytea", keys)]) if keys else []
        self._rows = {bytes(row.fingerprint): row for row in rows}
        self._reachable = gates.reachable(endpoints)

    def _ask(self, messages: Iterable[Message]) -> None:
        """Ask what nobody asks at the moment, in one order, so that two workers never wait for each other."""
        waiting: dict[bytes, list[int]] = {}
        wanted: dict[bytes, Want] = {}
        for message in messages:
            for want in self._wants[message.pk]:
                if self._is_open(want, self._since(message)) and not self._is_under_way(want):
                    waiting.setdefault(want.key, []).append(message.pk)
                    wanted[want.key] = want
        for key, want in sorted(wanted.items()):
            self._claim(want, tuple(waiting[key]))

    def _claim(self, want: Want, waiting: tuple[int, ...]) -> None:
        asker, asked = self.asker, want.asked
        if asker is None or asked is None or not self._has_room(asker, asked.endpoint_id):
            return
        endpoint = self.configs.get(asked.endpoint_id)
        if endpoint.wants_token:
            asker.fetch_token(endpoint)
            return
        row = _begin(endpoint, want.key, want.lookup.timeout + LEASE_MARGIN)
        if row is not None:
            self._claimed[asked.endpoint_id] += 1
            seconds = want.lookup.timeout.total_seconds()
            asker.send(Errand(endpoint, asked, row, seconds, self.source.id, waiting))

    def _has_room(self, asker: Asker, endpoint_id: int) -> bool:
        return asker.has_room(endpoint_id, self._claimed[endpoint_id], self._claimed.total())

    def _since(self, message: Message) -> datetime:
        told = (message.body.trace or {}).get(WAITING_SINCE)
        return datetime.fromisoformat(told) if told else self.now

    def _is_open(self, want: Want, since: datetime) -> bool:
        """Whether an answer may still come in time."""
        return (
            want.asked is not None
            and self.asker is not None
            and self._answered(want, since) is None
            and not self._failed(want, since)
            and self._can_be_asked(want)
            and self.now < since + want.lookup.timeout
        )

    def _is_under_way(self, want: Want) -> bool:
        row = self._rows.get(want.key)
        return row is not None and row.asked_until is not None and row.asked_until > self.now

    def _answered(self, want: Want, since: datetime) -> LookupAnswer | None:
        row = self._rows.get(want.key)
        if row is None or row.answered_at is None:
            return None
        return row if row.answered_at >= min(since, self.now - want.lookup.cache) else None

    def _failed(self, want: Want, since: datetime) -> bool:
        row = self._rows.get(want.key)
        if row is None or row.failed_at is None:
            return False
        return bool(row.failed_at >= min(since, self.now - REST_AFTER_FAILURE))

    def _can_be_asked(self, want: Want) -> bool:
        endpoint_id = want.lookup.endpoint_id
        return endpoint_id in self._reachable and self.configs.get(endpoint_id).can(Capability.LOOKUP)

    def _why(self, want: Want, since: datetime) -> str:
        name = self.configs.get(want.lookup.endpoint_id).name
        if want.lookup.endpoint_id not in self._reachable:
            return f"{name} is paused or does not answer"
        if not self._can_be_asked(want):
            return f"{name} cannot be asked for records"
        if self._failed(want, since):
            return f"{name} gave no answer ({self._rows[want.key].problem})"
        return f"no answer in {want.lookup.timeout.seconds} s"


def kept(source: LoadedEndpoint, asked: Asked) -> list[Value] | None:
    """The latest answer to a question of this source's rules, however old; None if none is kept."""
    row = LookupAnswer.objects.filter(endpoint=asked.endpoint_id, fingerprint=_key(source, asked)).first()
    if row is None or row.answered_at is None:
        return None
    return [decode_attributes(record) for record in row.answer]


def ask_once(
    source: LoadedEndpoint, endpoint: LoadedEndpoint, asked: Asked, seconds: float, http: HttpClient
) -> str:
    """Ask now, on the caller's thread and outside of any transaction, and keep the answer as for a message.
    Returns why there is none; empty if there is one."""
    if endpoint.id not in gates.reachable([endpoint.id]):
        return f"{endpoint.name} is paused or does not answer."
    if not endpoint.can(Capability.LOOKUP):
        return f"{endpoint.name} cannot be asked for records."
    endpoint = _with_token(endpoint, http)
    if endpoint.wants_token:
        return f"{endpoint.name} has given no access token. Test its credentials, then try again."
    row = _begin(endpoint, _key(source, asked), timedelta(seconds=seconds) + LEASE_MARGIN)
    if row is None:
        return "A ticket asks the same at this moment. Try again in some seconds."
    returned = ask(Errand(endpoint, asked, row, seconds, source.id, ()), http, time.monotonic() + seconds)
    keep(returned)
    if isinstance(returned.answer, Outcome):
        return f"{endpoint.name} gave no answer. {returned.answer.detail or returned.answer.code}".strip()
    return ""


def _with_token(endpoint: LoadedEndpoint, http: HttpClient) -> LoadedEndpoint:
    """The endpoint with an access token, where it needs one and gives it now."""
    if not endpoint.wants_token:
        return endpoint
    if gates.begin_token_refresh(endpoint.id):
        tokens.settle(tokens.fetch(endpoint, http))
    return EndpointConfigs().get(endpoint.id)


def _begin(endpoint: LoadedEndpoint, key: bytes, lease: timedelta) -> UUID | None:
    """The row for the answer, if nobody asks this already."""
    tenant = [endpoint.organization_id, endpoint.environment_id, endpoint.id]
    row = one(_CLAIM, [uuid7(), *tenant, key, lease])
    return row[0] if row else None


def _wants(source: LoadedEndpoint, rules: Rules, message: CanonicalMessage) -> tuple[Want, ...]:
    """What the rules that may match want to know. A message that only brings a file tells nothing of its
    ticket, so that conditions spare no question."""
    asking = rules.routing.candidates(source.id, message.entity_type).asking
    if not asking:
        return ()
    seen = view(message_context(message, {}, {}, {}, {}))
    bare = message.operation is Operation.ATTACH
    return tuple(
        Want(rule, lookup, asked, _key(source, asked) if asked else b"")
        for rule in asking
        if bare or may_hold(rule.conditions, seen)
        for lookup in rule.lookups
        for asked in [lookup.question(seen)]
    )


def _key(source: LoadedEndpoint, asked: Asked) -> bytes:
    said: list[Any] = [asked.entity, asked.record, asked.criteria, asked.attributes, asked.limit]
    return keyed_hash("lookup", source.organization_id, asked.endpoint_id, json.dumps(said))
