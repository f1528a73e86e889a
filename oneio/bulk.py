"""Reads and writes several rows in one constant statement, encrypted columns included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.apps import apps
from django.db import connection, models
from django.db.models.base import ModelState
from django.db.models.expressions import DatabaseDefault

from oneio import statements
from oneio.fields import Ciphertext, EncryptedField
from oneio.statements import Array

ModelT = TypeVar("ModelT", bound=models.Model)
OtherT = TypeVar("OtherT", bound=models.Model)


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
    shape = _shape(model)
    rows = statements.every(f"SELECT {shape.listed('')} FROM {shape.table} {rest}", parameters)
    return shape.filled(rows)


def fetch_pairs(
    one: type[ModelT], two: type[OtherT], rest: str, parameters: Sequence[Any]
) -> list[tuple[ModelT, OtherT]]:
    """The rows of two tables side by side. The rest of the SELECT, which is a constant, says which belong
    together, and calls them so: "ON two.id = ANY(ARRAY[one.body_id]) WHERE one.id = ANY(%s)"; `_update_sql`
    tells why with ANY."""
    left, right = _shape(one), _shape(two)
    columns = f"{left.listed('one.')}, {right.listed('two.')}"
    found = statements.every(
        f"SELECT {columns} FROM {left.table} AS one JOIN {right.table} AS two {rest}", parameters
    )
    width = len(left.columns)
    lefts, rights = [row[:width] for row in found], [row[width:] for row in found]
    return list(zip(left.filled(lefts), right.filled(rights), strict=True))


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
        """Have all of it done; what is added from then on is the next statement."""
        if self._parts:
            last = self._parts.pop()
            statements.execute(self._with(last), self._taken())

    def send_with(self, last: str, parameters: Sequence[Any]) -> list[Any]:
        """Have all of it done together with a statement of one's own, which is a constant; its rows."""
        sql = self._with(last)
        return statements.every(sql, [*self._taken(), *parameters])

    def _with(self, last: str) -> str:
        beside = ", ".join(f"part{number} AS ({sql})" for number, sql in enumerate(self._parts))
        return f"WITH {beside} {last}" if beside else last

    def _taken(self) -> list[Any]:
        values, self._parts, self._values = self._values, [], []
        return values

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


class Shape(Generic[ModelT]):
    """How complete rows of a table are read and filled in."""

    def __init__(self, model: type[ModelT]) -> None:
        meta = model._meta
        columns = _columns(meta.label, tuple(field.name for field in meta.concrete_fields))
        self.model = model
        self.table = connection.ops.quote_name(meta.db_table)
        self.columns = [column.sql for column in columns]
        self.names = [column.attribute for column in columns]
        self.sealed = frozenset(place for place, column in enumerate(columns) if column.encrypted is not None)

    @cache  # noqa: B019 (there is one for each table, and it stays)
    def listed(self, prefix: str) -> str:
        """All columns, as a SELECT names them."""
        return ", ".join(f"{prefix}{column}" for column in self.columns)

    def filled(self, rows: list[Any]) -> list[ModelT]:
        """What `from_db` makes of complete rows, without asking each field how to set its value."""
        if self.sealed:
            rows = [_marked(row, self.sealed) for row in rows]
        alias = connection.alias
        return [_loaded(self.model, alias, self.names, row) for row in rows]


@cache
def _shape(model: type[ModelT]) -> Shape[ModelT]:
    return Shape(model)


def _loaded(model: type[ModelT], alias: str, names: Sequence[str], values: Sequence[Any]) -> ModelT:
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
    # Said with ANY, rows are found by their keys; said with =, their table may be read from end to end, in
    # the order of keys, where PostgreSQL believes that it is nearly empty.
    key, *others = (column.sql for column in columns)
    assignments = ", ".join(f"{column} = given.{column}" for column in others)
    return (
        f"UPDATE {_table(label)} AS kept SET {assignments}"
        f" FROM unnest({_marks(columns)}) AS given({key}, {', '.join(others)})"
        f" WHERE kept.{key} = ANY(ARRAY[given.{key}])"
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
