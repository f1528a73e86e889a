"""Encrypted columns: what rows hold opens for that row alone, and queries cannot use it."""

import json
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import connection
from django.db.models import QuerySet

from conversations.models import DeliveryContent, Message, MessageBody
from endpoints.models import Credentials
from oneio.crypto import Undecryptable
from tests.factories import make_endpoint, make_message, make_organization

pytestmark = pytest.mark.django_db
BODY = MessageBody._meta.db_table


def make_body(**fields: Any) -> MessageBody:
    """A stored message body, read again."""
    organization = fields.pop("organization", None) or make_organization()
    body = MessageBody.objects.create(organization=organization, **({"raw": b"disk is full"} | fields))
    return MessageBody.objects.get(pk=body.pk)


def stored(pk: object, column: str = "raw") -> bytes:
    """What the database itself holds."""
    return bytes(execute(f"SELECT {column} FROM {BODY} WHERE id = %s", pk))


def execute(sql: str, *parameters: object) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0] if cursor.description else None


def test_value_is_sealed_in_the_database() -> None:
    body = make_body()

    assert b"disk" not in stored(body.pk)
    assert body.raw == b"disk is full"


def test_value_moved_to_another_row_refuses() -> None:
    one, other = make_body(), make_body()
    organization = one.organization_id
    execute(
        f"UPDATE {BODY} SET raw = %s, organization_id = %s WHERE id = %s",
        stored(one.pk),
        organization,
        other.pk,
    )

    with pytest.raises(Undecryptable, match="moved or changed"):
        _ = MessageBody.objects.get(pk=other.pk).raw


def test_value_moved_to_another_column_refuses() -> None:
    body = make_body(parameters={"a": 1})
    execute(f"UPDATE {BODY} SET headers = parameters WHERE id = %s", body.pk)

    with pytest.raises(Undecryptable, match="headers of row"):
        _ = MessageBody.objects.get(pk=body.pk).headers


def test_row_moved_to_another_organization_refuses() -> None:
    body, other = make_body(), make_organization()
    execute(f"UPDATE {BODY} SET organization_id = %s WHERE id = %s", other.pk, body.pk)

    with pytest.raises(Undecryptable, match=f"organization {other.pk}"):
        _ = MessageBody.objects.get(pk=body.pk).raw


def test_value_moved_to_another_table_refuses() -> None:
    body = make_body(problem="disk is full")
    content = DeliveryContent.objects.create(pk=body.pk, organization_id=body.organization_id)
    table = DeliveryContent._meta.db_table
    execute(f"UPDATE {table} SET problem = %s WHERE id = %s", stored(body.pk, "problem"), content.pk)

    with pytest.raises(Undecryptable, match=f"{table}.problem"):
        _ = DeliveryContent.objects.get(pk=content.pk).problem


def test_changed_ciphertext_refuses() -> None:
    body = make_body()
    execute(
        f"UPDATE {BODY} SET raw = set_byte(raw, 30, 1 - sign(get_byte(raw, 30))::int) WHERE id = %s", body.pk
    )

    with pytest.raises(Undecryptable, match="moved or changed"):
        _ = MessageBody.objects.get(pk=body.pk).raw


@pytest.mark.parametrize(
    "query",
    [
        lambda rows: rows.filter(raw=b"x"),
        lambda rows: rows.exclude(problem="x"),
        lambda rows: rows.filter(problem__contains="x"),
        lambda rows: rows.filter(canonical__title="x"),
        lambda rows: rows.order_by("raw"),
        lambda rows: rows.order_by("-problem"),
        lambda rows: rows.values("raw"),
        lambda rows: rows.values(),
        lambda rows: rows.values_list("canonical", flat=True),
        lambda rows: rows.update(raw=b"x"),
        lambda rows: rows.update(canonical={"a": 1}),
    ],
)
def test_queries_on_an_encrypted_column_raise(query: Any) -> None:
    make_body()

    with pytest.raises(FieldError, match="encrypted"):
        list(query(MessageBody.objects.all()))


@pytest.mark.parametrize(
    "query", [lambda rows: rows.values("body__raw"), lambda rows: rows.order_by("-body__problem")]
)
def test_queries_through_a_link_raise_too(query: Any) -> None:
    make_message()

    with pytest.raises(FieldError, match="encrypted"):
        list(query(Message.objects.all()))


def test_asking_whether_there_is_a_value_works() -> None:
    body = make_body(problem=None)

    assert MessageBody.objects.filter(problem__isnull=True, raw__isnull=False).get() == body


def test_other_columns_stay_readable_as_values() -> None:
    body = make_body(content_type="text/xml")

    rows: QuerySet[Any] = MessageBody.objects.order_by("content_type").values("pk", "content_type")

    assert list(rows) == [{"pk": body.pk, "content_type": "text/xml"}]


def test_bulk_create_encrypts() -> None:
    organization = make_organization()

    bodies = MessageBody.objects.bulk_create(
        MessageBody(organization=organization, raw=f"disk {number}".encode()) for number in range(3)
    )

    assert not any(b"disk" in stored(body.pk) for body in bodies)
    assert [MessageBody.objects.get(pk=body.pk).raw for body in bodies] == [b"disk 0", b"disk 1", b"disk 2"]


def test_bulk_update_refuses_rather_than_writing_plain_text() -> None:
    body = make_body()
    body.raw = b"memory is full"

    with pytest.raises(FieldError, match="save the row instead"):
        MessageBody.objects.bulk_update([body], ["raw"])


def test_saving_an_unread_row_keeps_the_ciphertext() -> None:
    body = make_body()
    before = stored(body.pk)

    body.content_type = "text/xml"
    body.save()

    assert stored(body.pk) == before
    assert MessageBody.objects.get(pk=body.pk).raw == b"disk is full"


def test_unread_row_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pk = make_body().pk
    opened: list[object] = []
    monkeypatch.setattr("oneio.fields.decrypt", lambda *_: opened.append(_) or b"x")

    body = MessageBody.objects.get(pk=pk)
    body.save()

    assert opened == []
    assert body.raw == b"x"
    assert len(opened) == 1


def test_changed_value_is_sealed_on_save() -> None:
    body = make_body()

    body.raw = b"memory is full"
    body.save(update_fields=["raw"])

    assert b"memory" not in stored(body.pk)
    assert MessageBody.objects.get(pk=body.pk).raw == b"memory is full"


def test_value_changed_in_place_is_saved() -> None:
    body = make_body(parameters={"a": 1})

    body.parameters["b"] = 2
    body.save()

    assert MessageBody.objects.get(pk=body.pk).parameters == {"a": 1, "b": 2}


@pytest.mark.parametrize("rows", [MessageBody.objects.defer("raw"), MessageBody.objects.only("pk", "raw")])
def test_deferred_value_is_loaded_when_read(rows: QuerySet[Any]) -> None:
    body = make_body()

    assert rows.get(pk=body.pk).raw == b"disk is full"


def test_refreshed_row_reads_the_value_anew() -> None:
    body = make_body()
    other = MessageBody.objects.get(pk=body.pk)
    assert body.raw == b"disk is full"
    other.raw = b"memory is full"
    other.save()

    body.refresh_from_db()

    assert body.raw == b"memory is full"


def test_json_integers_keep_every_digit() -> None:
    number = 12345678901234567890123456789

    body = make_body(canonical={"id": number, "texts": ["ä", "\u2028", ""], "none": None})

    assert body.canonical == {"id": number, "texts": ["ä", "\u2028", ""], "none": None}
    assert json.dumps(body.canonical["id"]) == str(number)


def test_empty_and_missing_values_stay_apart() -> None:
    body = make_body(raw=b"", problem=None)

    assert body.raw == b""
    assert body.problem is None
    assert make_body(problem="").problem == ""


def test_sealed_value_never_shows_in_repr() -> None:
    body = make_body()
    sealed = body.__dict__["raw"]

    assert repr(sealed) == f"{sealed}" == f"<encrypted, {len(stored(body.pk))} bytes>"
    assert "disk" not in repr(body) + str(body)


def test_secrets_show_in_no_text_of_their_row() -> None:
    endpoint = make_endpoint(secrets={"password": "canary-77"})
    credentials = Credentials.objects.get(endpoint=endpoint)

    assert credentials.secrets == {"password": "canary-77"}
    assert "canary-77" not in repr(credentials) + str(credentials)
