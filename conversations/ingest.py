"""Stores what came in: encrypted, once per Idempotency-Key, and before anybody is told that it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from conversations.incoming import Malformed, parse
from conversations.models import Message, MessageBody, MessageState
from conversations.problems import key_reused
from endpoints.models import Endpoint
from oneio.access import of_endpoint
from oneio.bulk import insert_together
from oneio.crypto import keyed_hash
from oneio.deadline import database_deadline
from oneio.wakeup import wake

MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it came in, without its credentials.

    `key` is its Idempotency-Key or empty. `digest` stands for the content where `raw` does not hold it.
    """

    raw: bytes
    content_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    digest: bytes = b""


def accept(endpoint: Endpoint, arrival: Arrival) -> Message:
    """Parse and store a message for the router.

    Raises Malformed once it is recorded as a faulty message, and Problem for a reused key.
    """
    try:
        parse(arrival.content_type, arrival.raw)
    except Malformed as error:
        error.response_id = record_faulty(endpoint, arrival, str(error)).response_id
        raise
    try:
        with database_deadline():
            message = store(endpoint, arrival)
    except IntegrityError as error:
        return _earlier_if_repeated(endpoint, arrival, error)
    wake()
    return message


def record_faulty(endpoint: Endpoint, arrival: Arrival, problem: str) -> Message:
    """Keep a body that cannot be understood, so that a person can see it; its key stays free."""
    with database_deadline():
        body = _body(endpoint, arrival)
        body.problem = problem
        return _insert(endpoint, arrival, body, state=MessageState.FAULTY, reason=MALFORMED)


def once(endpoint: Endpoint, arrival: Arrival, work: Callable[[], Message]) -> Message:
    """Do `work`, which stores a message, in one transaction; for a repeated key return the earlier message.

    Raises Problem when the key was used for something else, OperationalError when the database is too slow.
    """
    try:
        with database_deadline(), transaction.atomic():
            message = work()
            transaction.on_commit(wake, robust=True)
            return message
    except IntegrityError as error:
        return _earlier_if_repeated(endpoint, arrival, error)


def store(endpoint: Endpoint, arrival: Arrival, **fields: Any) -> Message:
    """Insert body and queue row, both or neither; `fields` are set on the queue row."""
    if arrival.key:
        fields |= {"idempotency_key": _key(endpoint, arrival), "fingerprint": _fingerprint(arrival)}
    return _insert(endpoint, arrival, _body(endpoint, arrival), **fields)


def _earlier_if_repeated(endpoint: Endpoint, arrival: Arrival, error: IntegrityError) -> Message:
    if _violated(error) != "idempotency_key_once":
        raise error
    with database_deadline():
        found = of_endpoint(endpoint, Message).get(idempotency_key=_key(endpoint, arrival))
    if bytes(found.fingerprint or b"") != _fingerprint(arrival):
        raise key_reused()
    return found


def _body(endpoint: Endpoint, arrival: Arrival) -> MessageBody:
    return MessageBody(
        organization_id=endpoint.organization_id,
        raw=arrival.raw,
        content_type=arrival.content_type,
        parameters=dict(arrival.parameters),
        headers=dict(arrival.headers),
    )


def _insert(endpoint: Endpoint, arrival: Arrival, body: MessageBody, **fields: Any) -> Message:
    message = Message(
        organization_id=endpoint.organization_id,
        environment_id=endpoint.environment_id,
        endpoint=endpoint,
        body=body,
        size=len(arrival.raw),
        **fields,
    )
    insert_together(body, message)  # one statement is one transaction
    return message


def _key(endpoint: Endpoint, arrival: Arrival) -> bytes:
    return keyed_hash("idempotency", endpoint.pk, arrival.key)


def _fingerprint(arrival: Arrival) -> bytes:
    kind = "attachment" if arrival.digest else "message"
    parameters = json.dumps(dict(arrival.parameters), sort_keys=True)
    return keyed_hash("fingerprint", kind, parameters, arrival.digest or arrival.raw)


def _violated(error: IntegrityError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", ""))
