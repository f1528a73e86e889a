"""Storing: once per Idempotency-Key, also when two arrive at once, and never half."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest
from django.db import close_old_connections, connection, transaction
from django.http import HttpResponse

from conversations import ingest
from conversations.models import Attachment, Message, MessageBody
from oneio.wakeup import CHANNEL, connect
from tests.conversations.inbound import ATTACHMENTS, MESSAGES, Sender
from tests.patience import PATIENCE, wait_for


@pytest.mark.django_db
def test_same_key_and_body_gives_same_id() -> None:
    sender = Sender()

    first, second = (sender.post(b'{"a": 1}', HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))

    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert Message.objects.count() == MessageBody.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("body", "path"), [(b'{"a": 2}', MESSAGES), (b'{"a": 1}', f"{MESSAGES}?p=1")])
def test_same_key_for_another_message_is_refused(body: bytes, path: str) -> None:
    sender = Sender()
    sender.post(b'{"a": 1}', HTTP_IDEMPOTENCY_KEY="k")

    answer = sender.post(body, path, HTTP_IDEMPOTENCY_KEY="k")

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "idempotency_key_reused"
    assert Message.objects.count() == 1


@pytest.mark.django_db
def test_endpoints_do_not_share_keys() -> None:
    first, second = (Sender().post(b"{}", HTTP_IDEMPOTENCY_KEY="k").json() for _ in range(2))

    assert first != second


@pytest.mark.django_db
def test_malformed_body_leaves_its_key_free() -> None:
    sender = Sender()
    sender.post(b"{", HTTP_IDEMPOTENCY_KEY="k")

    assert sender.post(b"{}", HTTP_IDEMPOTENCY_KEY="k").status_code == 202


@pytest.mark.django_db
def test_message_without_key_is_always_new() -> None:
    sender = Sender()

    first, second = (sender.post(b"{}").json() for _ in range(2))

    assert first != second


@pytest.mark.django_db
def test_key_itself_is_not_stored() -> None:
    Sender().post(b"{}", HTTP_IDEMPOTENCY_KEY="order-4711")

    with connection.cursor() as cursor:
        cursor.execute("SELECT m::text, b::text FROM conversations_message m, conversations_messagebody b")
        assert "order-4711" not in str(cursor.fetchall())


@pytest.mark.django_db
def test_repeated_file_gives_same_ids() -> None:
    sender = Sender()

    answers = [sender.post(b"abc", ATTACHMENTS, "text/plain", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert Attachment.objects.count() == Message.objects.count() == 1


@pytest.mark.django_db
def test_key_of_a_file_stands_for_that_file() -> None:
    sender = Sender()
    sender.post(b"abc", ATTACHMENTS, "text/plain", HTTP_IDEMPOTENCY_KEY="k")

    assert sender.post(b"abd", ATTACHMENTS, "text/plain", HTTP_IDEMPOTENCY_KEY="k").status_code == 422
    assert Attachment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_failed_store_leaves_nothing() -> None:
    sender = Sender()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE conversations_message ADD CONSTRAINT refuse CHECK (size = 0) NOT VALID")
    try:
        answer = sender.post()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE conversations_message DROP CONSTRAINT refuse")

    assert answer.status_code == 503
    assert not MessageBody.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_same_key_at_once_makes_one_message() -> None:
    sender = Sender()
    barrier = threading.Barrier(8)

    def post(_: int) -> HttpResponse:
        try:
            barrier.wait()
            return sender.post(b'{"a": 1}', HTTP_IDEMPOTENCY_KEY="k")
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(post, range(8)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["response_id"] for answer in answers}) == 1
    assert Message.objects.count() == MessageBody.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_workers_are_woken_after_commit() -> None:
    sender, seen = Sender(), []

    def woken() -> None:
        seen.append((connection.in_atomic_block, Message.objects.count()))

    with patch.object(ingest, "wake", woken), patch.object(ingest, "quiet", lambda: False):
        sender.post()

    assert seen == [(False, 1)]


@pytest.mark.django_db(transaction=True)
def test_lone_message_wakes_workers_with_its_commit() -> None:
    sender = Sender()

    with (
        connect(connection.get_connection_params()) as listener,
        patch.object(ingest, "quiet", lambda: True),
        patch.object(ingest, "wake", side_effect=AssertionError("its commit has done it")),
    ):
        listener.execute(f"LISTEN {CHANNEL}")
        sender.post()

        assert list(listener.notifies(timeout=PATIENCE, stop_after=1))
        assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_messages_at_once_share_a_commit() -> None:
    sender = Sender()

    answers = post_while_storing_waits([lambda: sender.post(b"{}")] * 6)

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["response_id"] for answer in answers}) == 6
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT xmin::text) FROM conversations_message")
        assert cursor.fetchone() == (6, 2)  # the one that waited, and all that came meanwhile


@pytest.mark.django_db(transaction=True)
def test_repeated_key_spoils_no_neighbour() -> None:
    sender = Sender()
    bodies = [(b"{}", ""), (b'{"a": 1}', "k"), (b'{"a": 1}', "k"), (b'{"a": 2}', "k"), (b'{"a": 3}', "other")]
    posts = [lambda body=body, key=key: sender.post(body, HTTP_IDEMPOTENCY_KEY=key) for body, key in bodies]

    alone, first, again, reused, other = post_while_storing_waits(posts)

    assert first.json()["response_id"] == again.json()["response_id"]
    assert reused.status_code == 422
    assert {answer.status_code for answer in (alone, first, again, other)} == {202}
    assert Message.objects.count() == MessageBody.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_refused_message_fails_alone() -> None:
    sender = Sender()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE conversations_message ADD CONSTRAINT refuse CHECK (size <> 8) NOT VALID")
    try:
        bodies = [b"{}", b'{"a": 1}', b'{"a": 12}', b'{"a": 123}']
        answers = post_while_storing_waits([lambda body=body: sender.post(body) for body in bodies])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE conversations_message DROP CONSTRAINT refuse")

    assert [answer.status_code for answer in answers] == [202, 503, 202, 202]
    assert sorted(bytes(body.raw) for body in MessageBody.objects.all()) == sorted({*bodies} - {bodies[1]})


def post_while_storing_waits(posts: list[Callable[[], HttpResponse]]) -> list[HttpResponse]:
    """Post one after the other while a lock keeps the first of them from being stored; their answers."""
    with ThreadPoolExecutor(len(posts)) as threads, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE conversations_messagebody")
        futures = []
        for count, post in enumerate(posts):
            futures.append(threads.submit(_then_close, post))
            wait_for(lambda count=count: waiting_to_be_stored() == count)  # type: ignore[misc]
        transaction.set_rollback(True)
    return [future.result(20) for future in futures]


def waiting_to_be_stored() -> int:
    """How many have joined the next commit; -1 before the first one has begun to store."""
    waiting = list(ingest._together._waiting.values())
    return len(waiting[0]) if waiting else -1


def _then_close(post: Callable[[], HttpResponse]) -> HttpResponse:
    try:
        return post()
    finally:
        connection.close()
