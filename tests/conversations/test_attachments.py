"""Files: stored while they arrive, whole or not at all, and noticed when tampered with."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from conversations.attachments import (
    CHUNK_BYTES,
    IncomingFile,
    plain_file_name,
    read_chunks,
    remove_abandoned,
    take_in,
)
from conversations.ingest import Arrival
from conversations.models import Attachment, AttachmentChunk, Message
from endpoints.models import Endpoint
from oneio.crypto import Undecryptable
from tests.conversations.inbound import ATTACHMENTS, Sender
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db
FORM = (
    b'--xx\r\nContent-Disposition: form-data; name="f"; filename="../shot.png"\r\n'
    b"Content-Type: image/png\r\n\r\n"
    b"\x89PNG\r\n--xx--\r\n"
)


def stored(content: bytes = b"abc", endpoint: Endpoint | None = None) -> Attachment:
    """A file of this content, taken in and read from the database again."""
    pieces = iter([content[:10], content[10:]])
    file = IncomingFile("incident", "abc", "log.txt", "text/plain", pieces)
    attachment = take_in(endpoint or make_endpoint(), Arrival(b"", "application/json"), file)
    return Attachment.objects.get(pk=attachment.pk)


def content_of(attachment: Attachment) -> bytes:
    return b"".join(read_chunks(attachment))


def test_raw_body_becomes_a_file_and_a_message() -> None:
    answer = Sender().post(b"line 1\r\n", ATTACHMENTS, "text/plain")

    attachment = Attachment.objects.get(pk=answer.json()["attachment_id"])
    message = Message.objects.get(body_id=answer.json()["response_id"])
    assert answer.status_code == 202
    assert (attachment.file_name, attachment.content_type, attachment.complete) == (
        "log.txt",
        "text/plain",
        True,
    )
    assert content_of(attachment) == b"line 1\r\n"
    assert (message.operation, message.entity_type, message.external_id) == ("attach", "incident", "abc")
    assert attachment.message == message


def test_announcement_names_the_file() -> None:
    attachment = stored(b"12345")

    assert attachment.message is not None
    assert json.loads(attachment.message.body.raw) == {
        "attachment": str(attachment.pk),
        "entity_type": "incident",
        "external_id": "abc",
        "size": 5,
        "content_type": "text/plain",
    }


def test_form_gives_file_name_and_type() -> None:
    path = "/api/v1/attachments?entity_type=incident&external_id=abc"

    answer = Sender().post(FORM, path, "multipart/form-data; boundary=xx")

    attachment = Attachment.objects.get(pk=answer.json()["attachment_id"])
    assert (attachment.file_name, attachment.content_type) == ("shot.png", "image/png")
    assert content_of(attachment) == b"\x89PNG"


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_file_of_any_size_comes_back(size: int) -> None:
    content = bytes(i % 251 for i in range(size))

    attachment = stored(content)

    assert content_of(attachment) == content
    assert attachment.size == size


def test_stored_file_is_not_readable() -> None:
    attachment = stored(b"top secret" * 10)

    for chunk in attachment.chunks.all():
        assert b"secret" not in bytes(chunk.data)
    with pytest.raises(Undecryptable):
        _moved_to_another_file(attachment)


def test_swapped_chunks_are_noticed() -> None:
    attachment = stored(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c")
    first, second = attachment.chunks.all()[:2]
    first.data, second.data = second.data, first.data
    AttachmentChunk.objects.bulk_update([first, second], ["data"])

    with pytest.raises(Undecryptable):
        content_of(attachment)


def test_cut_file_is_noticed() -> None:
    attachment = stored(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c")
    attachment.chunks.filter(index=2).delete()

    with pytest.raises(Undecryptable):
        content_of(attachment)


def test_cut_file_with_a_new_end_is_noticed() -> None:
    attachment = stored(b"a" * CHUNK_BYTES + b"b")
    attachment.chunks.filter(index=1).delete()
    attachment.chunks.update(last=True)

    with pytest.raises(Undecryptable):
        content_of(attachment)


def test_changed_size_is_noticed() -> None:
    attachment = stored(b"abc")
    attachment.size = 4

    with pytest.raises(Undecryptable, match="3 bytes instead of 4"):
        content_of(attachment)


def test_interrupted_upload_leaves_nothing() -> None:
    def breaking() -> Iterator[bytes]:
        yield b"a" * 3 * CHUNK_BYTES
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        take_in(
            make_endpoint(), Arrival(b"", "application/json"), IncomingFile("a", "b", "c", "", breaking())
        )

    assert not Attachment.objects.exists()
    assert not AttachmentChunk.objects.exists()
    assert not Message.objects.exists()


def test_too_large_file_leaves_nothing(settings: Settings) -> None:
    settings.ATTACHMENT_MAX_BYTES = 2 * CHUNK_BYTES

    answer = Sender().post(b"a" * (2 * CHUNK_BYTES + 1), ATTACHMENTS, "text/plain")

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert not AttachmentChunk.objects.exists()


def test_incomplete_file_cannot_be_read() -> None:
    attachment = stored()
    attachment.complete = False

    with pytest.raises(Undecryptable, match="not complete"):
        content_of(attachment)


def test_abandoned_uploads_are_removed() -> None:
    endpoint = make_endpoint()
    kept, young, old = (stored(endpoint=endpoint) for _ in range(3))
    Attachment.objects.filter(pk__in=[young.pk, old.pk]).update(complete=False, message=None)
    Attachment.objects.filter(pk__in=[kept.pk, old.pk]).update(created_at=timezone.now() - timedelta(days=2))

    remove_abandoned(endpoint)

    assert set(Attachment.objects.all()) == {kept, young}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("log.txt", "log.txt"),
        ("C:\\temp\\ä.png", "ä.png"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nb\x00.txt", "ab.txt"),
        ("..", ""),
        ("dir/", ""),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_file_name_is_only_a_name(name: str, plain: str) -> None:
    assert plain_file_name(name) == plain


def test_senseless_content_type_becomes_any() -> None:
    answer = Sender().post(b"x", ATTACHMENTS, "a" * 101)

    assert (
        Attachment.objects.get(pk=answer.json()["attachment_id"]).content_type == "application/octet-stream"
    )


@pytest.mark.slow
def test_100_mib_need_little_memory() -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(400):
            yield bytes(CHUNK_BYTES)

    tracemalloc.start()
    try:
        file = IncomingFile("incident", "abc", "core.bin", "", pieces())
        attachment = take_in(make_endpoint(), Arrival(b"", "application/json"), file)
        size = sum(map(len, read_chunks(attachment)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size == attachment.size == 100 * 1024 * 1024
    assert peak < 20 * 1024 * 1024


def _moved_to_another_file(attachment: Attachment) -> bytes:
    other = stored(b"x", attachment.endpoint)
    moved = attachment.chunks.get()
    other.chunks.update(data=moved.data)
    return content_of(other)
