"""Many rows in one statement, each with its own values."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from conversations.models import Attachment, Conversation, Message, MessageBody, Participant
from endpoints.models import EntityType
from oneio.bulk import Writes, fetch_pairs, new_row, update_rows
from tests.factories import make_conversation, make_endpoint, make_message

pytestmark = pytest.mark.django_db


def test_each_row_gets_its_own_values() -> None:
    endpoint = make_endpoint()
    messages = [make_message(endpoint) for _ in range(3)]
    conversation = make_conversation(endpoint.environment)
    for number, message in enumerate(messages):
        message.number, message.state = f"INC{number}", "processed"
        message.conversation = conversation if number else None
        message.routed_at = datetime(2026, 1, number + 1, tzinfo=UTC)

    update_rows(messages, "number", "state", "conversation", "routed_at")

    rows = list(Message.objects.order_by("id"))
    assert [row.number for row in rows] == ["INC0", "INC1", "INC2"]
    assert [row.conversation for row in rows] == [None, conversation, conversation]
    assert [row.routed_at.day for row in rows if row.routed_at] == [1, 2, 3]


def test_fields_not_named_and_other_rows_stay() -> None:
    one, other = make_message(number="INC1"), make_message(number="INC2")
    one.number, one.external_id = "changed", "not written"

    update_rows([one], "number")

    assert Message.objects.get(pk=one.pk).external_id == ""
    assert Message.objects.get(pk=other.pk).number == "INC2"


def test_encrypted_values_are_sealed() -> None:
    bodies = [make_message().body for _ in range(2)]
    for number, body in enumerate(bodies):
        body.canonical, body.problem = {"title": f"disk {number}"}, None if number else "disk"

    update_rows(bodies, "canonical", "problem")

    with connection.cursor() as cursor:
        cursor.execute("SELECT canonical, problem FROM conversations_messagebody")
        held = [bytes(value) for row in cursor.fetchall() for value in row if value is not None]
    assert len(held) == 3
    assert not any(b"disk" in value for value in held)
    read = [MessageBody.objects.get(pk=body.pk) for body in bodies]
    assert [(body.canonical["title"], body.problem) for body in read] == [
        ("disk 0", "disk"),
        ("disk 1", None),
    ]


def test_pairs_are_rows_that_belong_together(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    messages = [make_message(number=f"INC{number}") for number in range(3)]
    for message in messages:
        message.body.canonical = {"title": message.number}
    update_rows([message.body for message in messages], "canonical")

    with django_assert_num_queries(1):
        pairs = fetch_pairs(Message, MessageBody, "ON two.id = one.response_id ORDER BY one.id DESC", [])

    assert [message.number for message, _ in pairs] == ["INC2", "INC1", "INC0"]
    assert [body.canonical["title"] for _, body in pairs] == ["INC2", "INC1", "INC0"]
    assert [message.body_id for message, _ in pairs] == [body.pk for _, body in pairs]


def test_new_row_is_what_the_model_makes() -> None:
    message = make_message()
    given = {"organization_id": message.organization_id, "message": message, "file_name": "a.txt"}

    made, usual = new_row(Attachment, **given), Attachment(**given)

    unlike = {"id", "_state"}
    assert {name: value for name, value in vars(made).items() if name not in unlike}.keys() == (
        vars(usual).keys() - unlike
    )
    assert all(
        getattr(made, field.attname) == getattr(usual, field.attname)
        for field in Attachment._meta.concrete_fields
        if not field.primary_key and not field.has_db_default()
    )
    assert made.message is message
    assert made.pk != new_row(Attachment, **given).pk


def test_one_statement_whatever_the_number(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    messages = [make_message() for _ in range(5)]

    with django_assert_num_queries(1):
        update_rows(messages, "number", "state")
    with django_assert_num_queries(0):
        update_rows([], "number")


def test_changes_of_several_tables_are_one_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    message = make_message()
    conversation, participant = newcomers(message)
    message.number, message.body.problem = "INC1", "disk"
    writes = Writes()

    writes.insert([conversation])
    writes.insert([participant])  # points to what is inserted beside it
    writes.update([message], "number")
    writes.update([message.body], "problem")
    with django_assert_num_queries(1):
        writes.send()

    assert Participant.objects.get().conversation == conversation
    assert Message.objects.get().number == "INC1"
    assert MessageBody.objects.get().problem == "disk"


def test_one_refused_change_takes_back_all() -> None:
    message = make_message(number="INC1")
    _, participant = newcomers(message)
    message.number = "INC2"
    writes = Writes()

    writes.update([message], "number")
    writes.insert([participant])  # its conversation is nowhere
    with pytest.raises(IntegrityError), transaction.atomic():
        writes.send()

    assert Message.objects.get().number == "INC1"


def newcomers(message: Message) -> tuple[Conversation, Participant]:
    """A conversation and the sender's ticket in it, not stored yet."""
    tenant = {"organization_id": message.organization_id, "environment_id": message.environment_id}
    conversation = new_row(Conversation, **tenant)
    participant = new_row(
        Participant,
        **tenant,
        conversation=conversation,
        endpoint_id=message.endpoint_id,
        entity_type=EntityType.objects.filter(endpoint=message.endpoint)[0],
        external_id="INC1",
    )
    return conversation, participant


def test_own_statement_goes_with_the_changes(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    messages = [make_message(number=f"INC{number}") for number in range(2)]
    writes = Writes()
    for message in messages:
        message.state = "processed"
    writes.update(messages, "state")

    with django_assert_num_queries(1):
        rows = writes.send_with("SELECT %s::bigint + 1", [41])

    assert rows == [(42,)]
    assert Message.objects.filter(state="processed").count() == 2
    with django_assert_num_queries(0):
        writes.send()  # nothing is left of it
