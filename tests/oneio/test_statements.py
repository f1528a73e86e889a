"""Statements that are planned once: values travel in binary, and Django's rules hold for them."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from oneio import statements
from oneio.models import Organization
from oneio.statements import Array

pytestmark = pytest.mark.django_db

SOME_UUID = UUID("0190c0de-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [1, -1, 2**62, None]),
        ("integer", [0, -(2**31), 2**31 - 1]),
        ("smallint", [-5, 404]),
        ("boolean", [True, False, None]),
        ("bytea", [b"", b"\0\xff", None]),
        ("text", ["", "NULL", '{"a", \\ }', "ü🙂", None]),
        ("varchar", ["x", ""]),
        ("uuid", [SOME_UUID, None]),
        ("timestamp with time zone", [datetime(1999, 5, 1, 1, 2, 3, 456789, UTC), None]),
        ("bigint", []),
    ],
)
def test_arrays_arrive_as_they_are(kind: str, values: list[object]) -> None:
    rows = statements.every(f"SELECT value FROM unnest(%s::{kind}[]) AS given(value)", [Array(kind, values)])

    assert [row[0] for row in rows] == values


def test_type_of_an_array_does_not_depend_on_its_values() -> None:
    question = "SELECT pg_typeof(%s)::text"

    small, large = (statements.one(question, [statements.bigints([number])]) for number in (1, 2**40))

    assert small == large == ("bigint[]",)


def test_statement_is_planned_once() -> None:
    for number in (1, 2, 3):
        statements.one("SELECT 4711 + %s::bigint", [number])

    planned = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT 4711%%'"
    assert statements.one(planned) == (1,)


def test_texts_of_django_are_not_kept() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", ["x" * 1000])

    statements.one("SELECT 1")

    assert connection.connection.prepare_threshold is None


def test_refusals_are_those_of_django() -> None:
    Organization.objects.create(name="Acme", slug="acme")
    again = "INSERT INTO oneio_organization (name, slug) VALUES (%s, %s)"

    with pytest.raises(IntegrityError), transaction.atomic():
        statements.execute(again, ["Acme", "acme"])


def test_wrappers_see_every_statement() -> None:
    def refuse(*_: object) -> object:
        raise RuntimeError("not here")

    with connection.execute_wrapper(refuse), pytest.raises(RuntimeError, match="not here"):
        statements.one("SELECT 1")


def test_changing_says_how_many_rows() -> None:
    Organization.objects.create(name="Acme", slug="acme")

    assert statements.execute("UPDATE oneio_organization SET name = %s", ["Other"]) == 1
