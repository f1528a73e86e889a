"""Reads and writes several rows in one constant statement, encrypted columns included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.apps import apps
from django.db import connection, models
from django.db.models.base import ModelState
from django.db.models.expressions import DatabaseDefault

from oneio import statements
from oneio.fields import Ciphertext, EncryptedField
from oneio.statements import Array

ModelT = TypeVar("ModelT", bound=models.Model)


class Column(NamedTuple):
    """A column as statements name it, and where a row keeps its value."""

    sql: str
    kind: str
    attribute: str
    encrypted: EncryptedField | None

    def of(self, rows: Sequence[models.Model]) -> Array:
        """The values of this column, sealed if it is encrypted, as one parameter."""
        if self.encrypted is not None:
            return Array(self.kind, [self.encrypted.pre_save(row, False) for row in rows])
        name = self.attribute
        return Array(self.kind, [row.__dict__[name] for row in rows])


def fetch_rows(model: type[ModelT], rest: str, parameters: Sequence[Any]) -> list[ModelT]:
    """The rows of `model` that the rest of a SELECT, which is a constant, names: "WHERE id = ANY(%s)"."""
    select, names, sealed = _select(model)
    found = statements.every(f"{select} {rest}", parameters)
    rows = found if not sealed else [_marked(row, sealed) for row in found]
    alias = connection.alias
    return [_loaded(model, alias, names, row) for row in rows]


class Writes:
    """Changes of several tables that go out as one statement: all of them or none, in one round trip.

    Each sees what was there before all of them, so no two may concern the same row; what an inserted row
    points to may be inserted beside it.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._values: list[Array] = []

    def update(self, rows: Sequence[models.Model], *field_names: str) -> None:
        """Write these fields of `rows` (all of one model), each row with its own values.

        Unlike `bulk_update` it seals encrypted fields, and it costs the same plan for one row or a hundred.
        """
        if rows:
            label = rows[0]._meta.label
            columns = _columns(label, (rows[0]._meta.pk.name, *field_names))
            self._add(_update_sql(label, columns), columns, rows)

    def insert(self, rows: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
        """Insert `rows` (all of one model, all with the same fields given) in their order.

        Unlike `bulk_create` its SQL is the same for one row or a hundred, and is built once. Keys that the
        database makes are not read back.
        """
        if rows:
            label = rows[0]._meta.label
            columns = _columns(label, _insertable(rows[0]))
            sql = _insert_sql(label, columns) + (_IGNORING if ignore_conflicts else "")
            self._add(sql, columns, rows)

    def send(self) -> None:
        """Have all of it done."""
        if self._parts:
            *others, last = self._parts
            beside = ", ".join(f"part{number} AS ({sql})" for number, sql in enumerate(others))
            statements.execute(f"WITH {beside} {last}" if beside else last, self._values)

    def _add(self, sql: str, columns: Sequence[Column], rows: Sequence[models.Model]) -> None:
        self._parts.append(sql)
        self._values += [column.of(rows) for column in columns]


def update_rows(rows: Sequence[models.Model], *field_names: str) -> None:
    """Write these fields of `rows`, as `Writes.update` does, at once."""
    writes = Writes()
    writes.update(rows, *field_names)
    writes.send()


def insert_rows(rows: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
    """Insert `rows`, as `Writes.insert` does, at once."""
    writes = Writes()
    writes.insert(rows, ignore_conflicts=ignore_conflicts)
    writes.send()


def new_row(model: type[ModelT], **given: Any) -> ModelT:
    """What `model(**given)` makes of all its fields' defaults and these values, without asking each field.
    Links are given as rows (`message`) or keys (`message_id`)."""
    constants, makers = _defaults(model)
    row = model.__new__(model)
    row._state = ModelState()
    values = row.__dict__
    values.update(constants)
    for name, value in given.items():
        if isinstance(value, models.Model):
            row._state.fields_cache[name] = value
            name, value = f"{name}_id", value.pk
        values[name] = value
    for attribute, make in makers:
        if attribute not in given:
            values[attribute] = make()
    return row


def insert_together(*rows: models.Model) -> None:
    """Insert rows of different tables in one statement: all of them or none, in one round trip.

    Later rows may point to earlier ones by keys made in Python. A key that the database makes is set on its
    row. Meant for hot paths: `save()` builds its SQL anew each time.
    """
    tables = tuple((row._meta.label, _columns(row._meta.label, _insertable(row))) for row in rows)
    values = [column.of([row]) for row, (_, columns) in zip(rows, tables, strict=True) for column in columns]
    with statements.alone():
        keys = statements.one(_together_sql(tables), values)
    for row, key in zip(rows, keys, strict=True):
        row.pk = row._meta.pk.to_python(key)
        row._state.adding, row._state.db = False, connection.alias


_IGNORING = " ON CONFLICT DO NOTHING"


@cache
def _select(model: type[models.Model]) -> tuple[str, list[str], frozenset[int]]:
    """SELECT all columns FROM the table, the attributes they fill, and the places of encrypted ones."""
    meta = model._meta
    columns = _columns(meta.label, tuple(field.name for field in meta.concrete_fields))
    listed = ", ".join(column.sql for column in columns)
    sealed = frozenset(place for place, column in enumerate(columns) if column.encrypted is not None)
    select = f"SELECT {listed} FROM {connection.ops.quote_name(meta.db_table)}"
    return select, [column.attribute for column in columns], sealed


def _loaded(model: type[ModelT], alias: str, names: Sequence[str], values: Sequence[Any]) -> ModelT:
    """What `from_db` makes of a complete row, without asking each field how to set its value."""
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = state = ModelState()
    state.adding, state.db = False, alias
    return row


def _marked(row: Sequence[Any], sealed: frozenset[int]) -> list[Any]:
    return [
        Ciphertext(value) if place in sealed and value is not None else value
        for place, value in enumerate(row)
    ]


@cache
def _update_sql(label: str, columns: tuple[Column, ...]) -> str:
    key, *others = (column.sql for column in columns)
    assignments = ", ".join(f"{column} = given.{column}" for column in others)
    return (
        f"UPDATE {_table(label)} AS kept SET {assignments}"
        f" FROM unnest({_marks(columns)}) AS given({key}, {', '.join(others)})"
        f" WHERE kept.{key} = given.{key}"
    )


@cache
def _insert_sql(label: str, columns: tuple[Column, ...]) -> str:
    listed = ", ".join(column.sql for column in columns)
    return (
        f"INSERT INTO {_table(label)} ({listed}) SELECT {listed}"
        f" FROM unnest({_marks(columns)}) WITH ORDINALITY AS given({listed}, place) ORDER BY place"
    )


@cache
def _together_sql(tables: tuple[tuple[str, tuple[Column, ...]], ...]) -> str:
    parts = []
    for number, (label, columns) in enumerate(tables):
        key = connection.ops.quote_name(apps.get_model(label)._meta.pk.column)
        parts.append(f"row{number} AS ({_insert_sql(label, columns)} RETURNING {key} AS key)")
    keys = ", ".join(f"(SELECT key FROM row{number})" for number in range(len(tables)))
    return f"WITH {', '.join(parts)} SELECT {keys}"


def _table(label: str) -> str:
    return connection.ops.quote_name(apps.get_model(label)._meta.db_table)


def _marks(columns: Sequence[Column]) -> str:
    return ", ".join(f"%s::{column.kind}[]" for column in columns)


def _insertable(row: models.Model) -> tuple[str, ...]:
    """The fields that have a value of their own; the database fills in the others."""
    given = row.__dict__
    return tuple(
        name
        for name, attribute, key in _fields(type(row))
        if not isinstance(given.get(attribute), DatabaseDefault)
        and not (key and given.get(attribute) is None)
    )


@cache
def _fields(model: type[models.Model]) -> tuple[tuple[str, str, bool], ...]:
    return tuple((field.name, field.attname, field.primary_key) for field in model._meta.concrete_fields)


@cache
def _defaults(
    model: type[models.Model],
) -> tuple[dict[str, Any], tuple[tuple[str, Callable[[], Any]], ...]]:
    """The attributes of a new row: those that begin with the same value in each, and those made anew."""
    constants, made = {}, []
    for field in model._meta.concrete_fields:
        if field.has_default() and callable(field.default):
            made.append((field.attname, field.default))
        else:
            constants[field.attname] = field.get_default()
    return constants, tuple(made)


@cache
def _columns(label: str, names: tuple[str, ...]) -> tuple[Column, ...]:
    meta = apps.get_model(label)._meta
    return tuple(_column(meta.get_field(name)) for name in names)


def _column(field: Any) -> Column:
    kind: str = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    encrypted = field if isinstance(field, EncryptedField) else None
    # A cast to varchar(255) cuts a longer value off silently; without the length it is refused.
    return Column(connection.ops.quote_name(field.column), kind.partition("(")[0], field.attname, encrypted)
