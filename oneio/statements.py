"""Runs constant SQL: its parameters travel apart from it and in binary, and each connection plans it once.

Django writes every value into the statement as text, which PostgreSQL then reads and plans anew each time.
That is right for questions that are put together; the hot path asks the same few ones all day.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NULL = struct.pack("!i", -1)


class Kind(NamedTuple):
    """How PostgreSQL knows a type and arrays of it, and how a value of it is written in binary, in `size`
    bytes if that is the same for all."""

    oid: int
    array_oid: int
    write: Callable[[Any], bytes]
    size: int = 0


def _moment(value: datetime) -> bytes:
    return ((value - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


def _flag(value: bool) -> bytes:
    return b"\1" if value else b"\0"


KINDS = {
    "bigint": Kind(20, 1016, struct.Struct("!q").pack, 8),
    "integer": Kind(23, 1007, struct.Struct("!i").pack, 4),
    "smallint": Kind(21, 1005, struct.Struct("!h").pack, 2),
    "boolean": Kind(16, 1000, _flag, 1),
    "bytea": Kind(17, 1001, bytes),
    "text": Kind(25, 1009, str.encode),
    "varchar": Kind(1043, 1015, str.encode),
    "uuid": Kind(2950, 2951, lambda value: value.bytes, 16),
    "timestamp with time zone": Kind(1184, 1185, _moment, 8),
}


class Array:
    """Values of one type as one parameter; its type never depends on the values, so the plan stays."""

    __slots__ = ("kind", "values")

    def __init__(self, kind: str, values: Iterable[Any]) -> None:
        self.kind = KINDS[kind]
        self.values = values if isinstance(values, list) else list(values)


class ArrayDumper(Dumper):
    """Writes an `Array` as PostgreSQL's binary format has it."""

    format = Format.BINARY

    def get_key(self, obj: Array, format: PyFormat) -> Any:
        """What tells dumpers of different types apart."""
        return (Array, obj.kind.array_oid)

    def upgrade(self, obj: Array, format: PyFormat) -> ArrayDumper:
        """The dumper for this type."""
        dumper = ArrayDumper(Array)
        dumper.oid = obj.kind.array_oid
        return dumper

    def dump(self, obj: Array) -> bytes:
        """One dimension, counted from 1; each value after its length."""
        values, write, size = obj.values, obj.kind.write, obj.kind.size
        if not values:
            return struct.pack("!iiI", 0, 0, obj.kind.oid)
        pieces = [struct.pack("!iiIii", 1, 1, obj.kind.oid, len(values), 1)]
        if size and type(None) not in map(type, values):
            length = size.to_bytes(4, "big")
            pieces += (length, length.join(map(write, values)))
            return b"".join(pieces)
        for value in values:
            if value is None:
                pieces.append(_NULL)
                continue
            data = write(value)
            pieces += (len(data).to_bytes(4, "big"), data)
        return b"".join(pieces)


psycopg.adapters.register_dumper(Array, ArrayDumper)


class Prepared(psycopg.Cursor[Any]):
    """A cursor whose statements are planned once per connection and answered in binary."""

    def execute(self, query: Any, params: Any = None, **_: Any) -> Prepared:
        """Run the statement; what it costs to plan is paid the first time."""
        # Switched on for this statement alone: psycopg counts, and keeps, every text it might prepare later,
        # and Django's hold whole files.
        self.connection.prepare_threshold = 0
        try:
            super().execute(query, params, prepare=True, binary=True)
        finally:
            self.connection.prepare_threshold = None
        return self


def execute(sql: str, parameters: Sequence[Any] = ()) -> int:
    """Run a statement; how many rows it concerned."""
    return int(_run(sql, parameters).rowcount)


def one(sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The first row of the answer, or None."""
    return _run(sql, parameters).fetchone()


def every(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """All rows of the answer."""
    rows: list[Any] = _run(sql, parameters).fetchall()
    return rows


def alone() -> AbstractContextManager[Any]:
    """Around a statement that may be refused: a refusal must not spoil the transaction it is in."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def bigints(values: Iterable[int]) -> Array:
    """Numbers such as keys, as one parameter."""
    return Array("bigint", values)


def uuids(values: Iterable[Any]) -> Array:
    """UUIDs as one parameter."""
    return Array("uuid", values)


def texts(values: Iterable[str | None]) -> Array:
    """Texts as one parameter."""
    return Array("text", values)


def _run(sql: str, parameters: Sequence[Any]) -> Any:
    """A cursor that has run the statement: Django's transactions and errors hold for it, too.

    Django's own wrapping takes as long as the statement itself; it is asked only where something listens."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.connection is None:
        database.ensure_connection()
    if database.execute_wrappers or database.queries_logged:
        return _overheard(database, sql, parameters)
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        return Prepared(database.connection).execute(sql, parameters)


def _overheard(database: BaseDatabaseWrapper, sql: str, parameters: Sequence[Any]) -> Any:
    with database.wrap_database_errors:
        cursor: Any = Prepared(database.connection)
    wrap = database.make_debug_cursor if database.queries_logged else database.make_cursor
    wrapped = wrap(cursor)
    wrapped.execute(sql, parameters)
    return wrapped
