"""Stores what came in: encrypted, once per Idempotency-Key, and before anybody is told that it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from uuid import UUID

from django.db import DataError, IntegrityError, transaction

from conversations.incoming import Malformed, parse
from conversations.models import Message, MessageBody, MessageState
from conversations.problems import key_reused
from endpoints.models import Endpoint
from oneio import statements
from oneio.access import of_endpoint
from oneio.bulk import insert_together
from oneio.crypto import keyed_hash
from oneio.deadline import database_deadline
from oneio.fields import EncryptedField
from oneio.identifiers import uuid7
from oneio.statements import Array
from oneio.together import Together
from oneio.wakeup import CHANNEL, quiet, wake

MALFORMED = "malformed"
# Messages of one endpoint; nothing is stored of those whose key an earlier one has. What every new message
# begins with is named here, because these defaults are Django's and not the database's.
_STORE = f"""
    WITH given AS (
        SELECT * FROM unnest(
            %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[], %s::varchar[], %s::bytea[],
            %s::bytea[], %s::bytea[], %s::bytea[], %s::integer[]
        ) WITH ORDINALITY AS given(
            response_id, organization_id, environment_id, endpoint_id, raw, content_type, parameters,
            headers, idempotency_key, fingerprint, size, place
        )
    ), message AS (
        INSERT INTO conversations_message (
            response_id, organization_id, environment_id, endpoint_id, idempotency_key, fingerprint, size,
            state, reason, entity_type, operation, external_id, number, event_id, deaths
        )
        SELECT
            response_id, organization_id, environment_id, endpoint_id, idempotency_key, fingerprint, size,
            'received', '', '', '', '', '', '', 0
        FROM given ORDER BY place
        ON CONFLICT (endpoint_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING response_id
    )
    INSERT INTO conversations_messagebody (id, organization_id, raw, content_type, parameters, headers)
    SELECT response_id, organization_id, raw, content_type, parameters, headers
    FROM given WHERE response_id IN (SELECT response_id FROM message)
    RETURNING id, CASE WHEN %s THEN pg_notify('{CHANNEL}', '') END
"""


_RAW, _PARAMETERS, _HEADERS = (
    cast("EncryptedField", MessageBody._meta.get_field(name)) for name in ("raw", "parameters", "headers")
)


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


class Row(NamedTuple):
    """A message as it is stored, sealed, in the order of the statement's parameters."""

    response_id: UUID
    organization_id: int
    environment_id: int
    endpoint_id: int
    raw: bytes
    content_type: str
    parameters: bytes
    headers: bytes
    idempotency_key: bytes | None
    fingerprint: bytes | None
    size: int


_KINDS = ("uuid", *["bigint"] * 3, "bytea", "varchar", *["bytea"] * 4, "integer")


def accept(endpoint: Endpoint, arrival: Arrival) -> str:
    """Parse and store a message for the router; its Response ID, or the earlier one's for a repeated key.

    Raises Malformed once it is recorded as a faulty message, and Problem for a reused key.
    """
    try:
        parse(arrival.content_type, arrival.raw)
    except Malformed as error:
        error.response_id = record_faulty(endpoint, arrival, str(error)).response_id
        raise
    row = _row(endpoint, arrival)
    if _together.add(endpoint.pk, row):
        return str(row.response_id)
    return _earlier(endpoint, arrival).response_id


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


def _row(endpoint: Endpoint, arrival: Arrival) -> Row:
    response_id, organization_id = uuid7(), endpoint.organization_id
    return Row(
        response_id,
        organization_id,
        endpoint.environment_id,
        endpoint.pk,
        _RAW.seal_at(arrival.raw, organization_id, response_id),
        arrival.content_type,
        _PARAMETERS.seal_at(dict(arrival.parameters), organization_id, response_id),
        _HEADERS.seal_at(dict(arrival.headers), organization_id, response_id),
        _key(endpoint, arrival) if arrival.key else None,
        _fingerprint(arrival) if arrival.key else None,
        len(arrival.raw),
    )


def _store_together(rows: list[Row]) -> list[bool]:
    """Commit rows of one endpoint in one statement; which of them are new, and not repeated."""
    columns = [Array(kind, values) for kind, values in zip(_KINDS, zip(*rows, strict=True), strict=True)]
    alone = quiet()
    with database_deadline(), statements.alone():
        stored = {key for key, _ in statements.every(_STORE, [*columns, alone])}
    if not alone:
        wake()
    return [row.response_id in stored for row in rows]


_together = Together(_store_together, refusals=(IntegrityError, DataError))


def _earlier_if_repeated(endpoint: Endpoint, arrival: Arrival, error: IntegrityError) -> Message:
    if _violated(error) != "idempotency_key_once":
        raise error
    return _earlier(endpoint, arrival)


def _earlier(endpoint: Endpoint, arrival: Arrival) -> Message:
    """The message that has this one's key. Raises Problem if it is a different one."""
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
