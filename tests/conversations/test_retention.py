"""Retention: what is old goes, what is unfinished stays, and nothing breaks because of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from conversations import jobs, queue, retention
from conversations.attachments import IncomingFile, read_chunks, take_in
from conversations.ingest import Arrival
from conversations.models import (
    Attachment,
    AttachmentChunk,
    Attempt,
    Conversation,
    Delivery,
    DeliveryContent,
    Lane,
    Message,
    MessageBody,
    MessageState,
    Participant,
    PayloadView,
    RemoteItem,
    ReplacedTicket,
)
from conversations.models.delivery import DELAYS
from conversations.router import route_again
from endpoints.configs import EndpointConfigs
from oneio.admin.page import url_of
from oneio.bulk import update_rows
from oneio.crypto import Undecryptable
from oneio.identifiers import earliest
from routing.rules import RuleBook
from tests.conversations.workers import at_once, other_worker
from tests.conversations.world import Line
from tests.factories import (
    make_conversation,
    make_delivery,
    make_endpoint,
    make_message,
    make_participant,
)

pytestmark = pytest.mark.django_db
OLD = timedelta(days=31)
ANCIENT = timedelta(days=366)


def old_id(age: timedelta = OLD) -> UUID:
    """A key made that long ago."""
    return UUID(int=earliest(timezone.now() - age).int + MessageBody._meta.pk.get_default().int % 2**70)


def aged(message: Message, age: timedelta = OLD) -> Message:
    """The same message as if it had come in that long ago."""
    body = message.body
    before, said = body.pk, (body.raw, body.parameters, body.headers, body.canonical, body.problem)
    body.pk = old_id(age)
    body.raw, body.parameters, body.headers, body.canonical, body.problem = said
    body.save(force_insert=True)
    Message.objects.filter(pk=message.pk).update(body=body, received_at=Now() - age)
    MessageBody.objects.filter(pk=before).delete()
    if message.conversation_id:
        Conversation.objects.filter(pk=message.conversation_id).update(last_activity_at=Now() - age)
    return Message.objects.get(pk=message.pk)


def old_delivery(state: str = "delivered", age: timedelta = OLD, **fields: Any) -> Delivery:
    """A delivery of an old message, with content as old and one try."""
    source = make_endpoint()
    conversation = make_conversation(source.environment, pk=old_id(age))
    message = aged(make_message(source, state=MessageState.ROUTED, conversation=conversation), age)
    delivery = make_delivery(message, state=state, snapshot={"changed": {"a": "b"}}, **fields)
    content = DeliveryContent.objects.create(
        pk=old_id(age), organization_id=delivery.organization_id, snapshot={"changed": {"a": "b"}}
    )
    Delivery.objects.filter(pk=delivery.pk).update(content=content)
    delivery.content.delete()
    Attempt.objects.create(
        delivery=delivery,
        organization_id=delivery.organization_id,
        token=1,
        ended_at=Now(),
        result="confirmed",
        request={"url": "x"},
        answer={"headers": {}},
        detail="said",
    )
    return Delivery.objects.get(pk=delivery.pk)


def test_old_message_is_emptied_and_stays_listed() -> None:
    message = aged(make_message(state=MessageState.ROUTED, body={"headers": {"a": "b"}}))

    retention.run()

    body = MessageBody.objects.get(pk=message.body_id)
    assert (body.raw, body.canonical, body.headers, body.parameters) == (None, None, {}, {})
    assert body.emptied_at is not None
    assert Message.objects.filter(pk=message.pk, state=MessageState.ROUTED).exists()


def test_young_message_keeps_what_it_says() -> None:
    message = aged(make_message(state=MessageState.ROUTED), timedelta(days=29))

    retention.run()

    assert MessageBody.objects.get(pk=message.body_id).raw == b"{}"


@pytest.mark.parametrize("state", ["received", "held", "quarantined"])
def test_message_that_waits_keeps_what_it_says(state: str) -> None:
    message = aged(make_message(state=state), ANCIENT)

    retention.run()

    assert MessageBody.objects.get(pk=message.body_id).raw == b"{}"


def test_old_delivery_forgets_what_it_carried() -> None:
    delivery = old_delivery()

    retention.run()

    content, attempt = DeliveryContent.objects.get(delivery=delivery), Attempt.objects.get()
    assert (content.snapshot, content.problem) == ({}, None)
    assert content.emptied_at is not None
    assert (attempt.result, attempt.request, attempt.answer, attempt.detail) == (
        "confirmed",
        None,
        None,
        None,
    )


@pytest.mark.parametrize("state", ["delayed", "queued", "sending", "verifying", "held"])
def test_unfinished_delivery_keeps_all_it_needs(state: str) -> None:
    why = {"held": {"hold_reason": "refused"}, "delayed": {"reason": DELAYS[0]}}
    delivery = old_delivery(state, ANCIENT, **why.get(state, {}))

    retention.run()

    assert DeliveryContent.objects.get(delivery=delivery).snapshot == {"changed": {"a": "b"}}
    assert delivery.message.body.raw == b"{}"
    assert Conversation.objects.filter(pk=delivery.conversation_id).exists()


def test_old_file_is_deleted_and_says_so() -> None:
    endpoint = make_endpoint()
    file = IncomingFile("incident", "abc", "log.txt", "text/plain", iter([b"abc"]))
    attachment = take_in(endpoint, Arrival(b"", "application/json"), file)
    Message.objects.update(state=MessageState.PROCESSED)
    new = old_id()
    AttachmentChunk.objects.all().delete()
    Attachment.objects.filter(pk=attachment.pk).update(id=new)
    row = Attachment(id=new, organization_id=endpoint.organization_id, url="https://x/log?key=secret")
    update_rows([row], "url")
    AttachmentChunk.objects.create(attachment_id=new, index=0, last=True, data=b"sealed")

    retention.run()

    assert not AttachmentChunk.objects.exists()
    assert Attachment.objects.get(pk=new).url is None
    with pytest.raises(Undecryptable, match="retention"):
        list(read_chunks(Attachment.objects.get(pk=new)))


def test_silent_conversation_goes_with_all_that_hangs_on_it() -> None:
    delivery = old_delivery(age=ANCIENT)
    participant = make_participant(delivery.conversation, delivery.endpoint)
    RemoteItem.objects.create(
        participant=participant, organization_id=delivery.organization_id, kind="comment", remote_id="1"
    )

    ReplacedTicket.objects.create(
        environment=delivery.environment,
        conversation=delivery.conversation,
        endpoint=delivery.endpoint,
        entity_type=delivery.entity_type,
        external_id="old",
        delivery=delivery,
    )

    retention.run()

    gone = (
        Conversation,
        ReplacedTicket,
        Message,
        MessageBody,
        Delivery,
        DeliveryContent,
        Attempt,
        Lane,
        Participant,
        RemoteItem,
    )
    assert [model.__name__ for model in gone if model._default_manager.exists()] == []


def test_conversation_heard_of_lately_stays() -> None:
    delivery = old_delivery(age=ANCIENT)
    Conversation.objects.update(last_activity_at=Now() - timedelta(days=364))

    retention.run()

    assert Delivery.objects.filter(pk=delivery.pk).exists()


def test_old_message_of_no_conversation_goes() -> None:
    stray = aged(make_message(state=MessageState.UNMATCHED), ANCIENT)
    young = make_message(state=MessageState.UNMATCHED)

    retention.run()

    assert list(Message.objects.values_list("pk", flat=True)) == [young.pk]
    assert not MessageBody.objects.filter(pk=stray.body_id).exists()


def test_zero_days_keep_for_ever(settings: Settings) -> None:
    settings.RETENTION_CONTENT_DAYS = settings.RETENTION_CONVERSATION_DAYS = settings.RETENTION_VIEW_DAYS = 0
    delivery = old_delivery(age=ANCIENT)
    seen = view_of(delivery, timedelta(days=9999))

    assert retention.run() == {}

    assert DeliveryContent.objects.get(delivery=delivery).emptied_at is None
    assert PayloadView.objects.filter(pk=seen.pk).exists()


def view_of(delivery: Delivery, age: timedelta) -> PayloadView:
    """A person read what the delivery says, that long ago."""
    row = PayloadView.objects.create(
        environment=delivery.environment,
        person="ada",
        subject="delivery",
        key=str(delivery.pk),
        hour=timezone.now() - age,
    )
    PayloadView.objects.filter(pk=row.pk).update(first_seen_at=Now() - age)
    return row


def test_notes_of_who_read_what_go_after_two_years(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_batches(monkeypatch)
    delivery = make_delivery()
    young = view_of(delivery, timedelta(days=729))
    for days in range(731, 736):
        view_of(delivery, timedelta(days=days))

    gone = retention.run()

    assert gone["who read what"] == 5
    assert list(PayloadView.objects.values_list("pk", flat=True)) == [young.pk]


def test_note_of_who_read_what_outlives_its_conversation() -> None:
    delivery = old_delivery(age=ANCIENT)
    seen = view_of(delivery, ANCIENT)

    retention.run()

    assert not Conversation.objects.exists()
    assert PayloadView.objects.filter(pk=seen.pk).exists()


def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEPS", [replace(step, at_once=2) for step in retention.STEPS])


def test_many_rows_go_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_batches(monkeypatch)
    for _ in range(5):
        aged(make_message(state=MessageState.UNMATCHED), ANCIENT)

    assert retention.due()["what messages said"] == 5
    gone = retention.run()

    assert (gone["what messages said"], gone["messages without a conversation"]) == (5, 5)
    assert set(retention.run().values()) == {0}


def test_what_is_still_needed_does_not_stop_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_batches(monkeypatch)
    for _ in range(3):
        old_delivery("held", ANCIENT + OLD, hold_reason="refused")
    last = old_delivery(age=ANCIENT)

    retention.run()

    assert Delivery.objects.count() == 3
    assert not Conversation.objects.filter(pk=last.conversation_id).exists()


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_batches(monkeypatch)
    for _ in range(9):
        old_delivery(age=ANCIENT)

    one, other = at_once(retention.run)

    retention.run()
    assert one["conversations"] + other["conversations"] <= 9
    assert not Conversation.objects.exists()
    assert not DeliveryContent.objects.exists()


def test_run_ends_when_its_time_is_over() -> None:
    aged(make_message(state=MessageState.UNMATCHED))

    assert set(retention.run(0).values()) == {0}
    assert retention.run()["what messages said"] == 1


@pytest.mark.django_db(transaction=True)
def test_conversation_in_somebodys_hands_is_left_alone() -> None:
    delivery = old_delivery(age=ANCIENT)
    with other_worker() as router:
        router.begin()
        held = Conversation.objects.filter(pk=delivery.conversation_id).select_for_update(no_key=True)
        router.do(lambda: list(held.values_list("pk", flat=True)))

        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            assert retention.run()["conversations"] == 0
        router.commit()

    assert retention.run()["conversations"] == 1


def test_emptied_message_is_not_routed_again() -> None:
    message = aged(make_message(state=MessageState.FAULTY))
    retention.run()

    assert route_again([message]) == 0


def test_delivery_whose_message_is_gone_is_held_with_a_reason() -> None:
    delivery = make_delivery()
    Lane.objects.update(due_at=Now() - OLD)
    MessageBody.objects.filter(message=delivery.message).update(raw=None, emptied_at=Now())
    turn = queue.claim_lanes(1, suspects=True)
    assert turn is not None

    prepared = jobs.prepare(
        turn.lanes, EndpointConfigs().get(delivery.endpoint_id), RuleBook().of(delivery.environment_id)
    )

    delivery.refresh_from_db()
    assert prepared == []
    assert (delivery.state, delivery.hold_reason) == ("held", "expired")


@pytest.mark.parametrize(("option", "left"), [("--dry-run", b"{}"), ("--verbosity=1", None)])
def test_command_says_how_much_goes(option: str, left: bytes | None) -> None:
    message = aged(make_message(state=MessageState.UNMATCHED))
    said = StringIO()

    call_command("retention", option, stdout=said)

    assert "what messages said: 1" in said.getvalue()
    assert MessageBody.objects.get(pk=message.body_id).raw == left


@pytest.mark.django_db(transaction=True)
def test_later_update_of_a_forgotten_ticket_opens_a_conversation(
    line: Line, work: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "earliest", lambda _: UUID(int=2**128 - 1))  # as if made long ago
    line.join()
    line.incident("a" * 32)
    work()
    [forgotten] = Conversation.objects.values_list("pk", flat=True)
    Conversation.objects.update(last_activity_at=Now() - ANCIENT)
    retention.run()

    message = line.incident("a" * 32, "update", short_description="Down")
    work()

    message.refresh_from_db()
    assert message.state == "routed"
    assert message.conversation_id not in {None, forgotten}


def test_pages_say_that_contents_are_gone(admin_client: Client) -> None:
    delivery = old_delivery()
    retention.run()

    pages = [admin_client.get(url_of(row)).content.decode() for row in (delivery.message, delivery)]

    assert all("30 days (retention)" in page for page in pages)
