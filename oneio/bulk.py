"""Writes several rows in one statement, encrypted columns included."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models.expressions import DatabaseDefault


def update_rows(rows: Sequence[models.Model], *field_names: str) -> None:
    """Write these fields of `rows` (all of one model), each row with its own values, in one UPDATE.

    Unlike `bulk_update` it seals encrypted fields, and it costs the same plan for one row or a hundred.
    """
    if not rows:
        return
    pk = rows[0]._meta.pk.name
    with connection.cursor() as cursor:
        cursor.execute(_update_sql(rows[0]._meta.label, field_names), _arrays(rows, (pk, *field_names)))


def insert_rows(rows: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
    """Insert `rows` (all of one model, all with the same fields given) in their order, in one INSERT.

    Unlike `bulk_create` its SQL is the same for one row or a hundred, and is built once. Keys that the
    database makes are not read back.
    """
    if not rows:
        return
    names = _insertable(rows[0])
    with connection.cursor() as cursor:
        cursor.execute(_insert_many_sql(rows[0]._meta.label, names, ignore_conflicts), _arrays(rows, names))


@cache
def _update_sql(label: str, field_names: tuple[str, ...]) -> str:
    meta = apps.get_model(label)._meta
    names = (meta.pk.name, *field_names)
    columns = [connection.ops.quote_name(meta.get_field(name).column) for name in names]
    assignments = ", ".join(f"{column} = given.{column}" for column in columns[1:])
    return (
        f"UPDATE {connection.ops.quote_name(meta.db_table)} AS kept SET {assignments}"
        f" FROM unnest({_types(meta, names)}) AS given({', '.join(columns)})"
        f" WHERE kept.{columns[0]} = given.{columns[0]}"
    )


@cache
def _insert_many_sql(label: str, names: tuple[str, ...], ignore_conflicts: bool) -> str:
    meta = apps.get_model(label)._meta
    columns = ", ".join(connection.ops.quote_name(meta.get_field(name).column) for name in names)
    return (
        f"INSERT INTO {connection.ops.quote_name(meta.db_table)} ({columns}) SELECT {columns}"
        f" FROM unnest({_types(meta, names)}) WITH ORDINALITY AS given({columns}, place) ORDER BY place"
        + (" ON CONFLICT DO NOTHING" if ignore_conflicts else "")
    )


def _types(meta: Any, names: Sequence[str]) -> str:
    return ", ".join(f"%s::{_cast(meta.get_field(name))}[]" for name in names)


def _cast(field: Any) -> str:
    kind: str = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    # A cast to varchar(255) cuts a longer value off silently; without the length it is refused.
    return kind.partition("(")[0]


def _arrays(rows: Sequence[models.Model], names: Sequence[str]) -> list[list[Any]]:
    fields: list[Any] = [rows[0]._meta.get_field(name) for name in names]
    return [[_prepared(field, row) for row in rows] for field in fields]


def insert_together(*rows: models.Model) -> None:
    """Insert rows of different tables in one statement: all of them or none, in one round trip.

    Later rows may point to earlier ones by keys made in Python. A key that the database makes is set on its
    row. Meant for hot paths: `save()` builds its SQL anew each time.
    """
    columns = [_insertable(row) for row in rows]
    sql = _insert_sql(tuple((row._meta.label, fields) for row, fields in zip(rows, columns, strict=True)))
    values = [_inserted(row, name) for row, fields in zip(rows, columns, strict=True) for name in fields]
    # One statement is a transaction of its own; inside another's, a refusal must not spoil that one.
    alone = nullcontext() if not connection.in_atomic_block else transaction.atomic()
    with alone, connection.cursor() as cursor:
        cursor.execute(sql, values)
        keys = cursor.fetchone()
    for row, key in zip(rows, keys, strict=True):
        row.pk = row._meta.pk.to_python(key)
        row._state.adding, row._state.db = False, connection.alias


def _insertable(row: models.Model) -> tuple[str, ...]:
    """The fields that have a value of their own; the database fills in the others."""
    given = row.__dict__
    return tuple(
        field.name
        for field in row._meta.concrete_fields
        if not isinstance(given.get(field.attname), DatabaseDefault)
        and not (field.primary_key and given.get(field.attname) is None)
    )


@cache
def _insert_sql(tables: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    quote = connection.ops.quote_name
    parts, keys = [], []
    for number, (label, names) in enumerate(tables):
        meta = apps.get_model(label)._meta
        columns = ", ".join(quote(meta.get_field(name).column) for name in names)
        marks = ", ".join(["%s"] * len(names))
        parts.append(
            f"row{number} AS (INSERT INTO {quote(meta.db_table)} ({columns}) VALUES ({marks})"
            f" RETURNING {quote(meta.pk.column)} AS key)"
        )
        keys.append(f"(SELECT key FROM row{number})")
    return f"WITH {', '.join(parts)} SELECT {', '.join(keys)}"


def _inserted(row: models.Model, name: str) -> Any:
    field: Any = row._meta.get_field(name)
    return field.get_db_prep_save(field.pre_save(row, True), connection)


def _prepared(field: Any, row: models.Model) -> Any:
    value = field.get_db_prep_save(field.pre_save(row, False), connection)
    return bytes(value) if isinstance(value, memoryview | bytes) else value
