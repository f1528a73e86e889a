"""Notes the files that messages bring or speak of, so that rules can carry them to targets."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable, Sequence
from uuid import UUID

from conversations.attachments import plain_content_type, plain_file_name, store_chunks
from conversations.models import Attachment, Conversation, Delivery, Message
from endpoints import canonical
from endpoints.canonical import CanonicalMessage
from endpoints.configs import LoadedEndpoint
from oneio.bulk import Writes
from routing.decision import FILE
from routing.files import CarriedFile

REMOTE_ID_LENGTH = 255
UNNAMED = "file"


class Filing:
    """The files of one batch of an endpoint's messages."""

    def __init__(
        self, endpoint: LoadedEndpoint, messages: Sequence[tuple[Message, CanonicalMessage]]
    ) -> None:
        self.endpoint = endpoint
        self._known = _known([message for message, told in messages if told.attachments])
        self._new: list[Attachment] = []
        self._contents: dict[UUID, bytes] = {}
        self._moved: dict[UUID, list[UUID]] = {}

    def note(
        self, message: Message, conversation: Conversation, files: Iterable[canonical.Attachment]
    ) -> tuple[CarriedFile, ...]:
        """Remember these files of a message with its conversation; for a message routed again, the same
        ones as before."""
        return tuple(_carried(self._row(message, conversation, file)) for file in files)

    def save(self, writes: Writes) -> None:
        """Write what is new; `writes` has the conversations. Contents that came inside messages are kept in
        encrypted chunks like others."""
        writes.insert(self._new)
        if self._contents or self._moved:
            writes.send()
        for row in self._new:
            if (content := self._contents.get(row.pk)) is not None:
                row.size = 0
                store_chunks(row, iter([content]))
                Attachment.objects.filter(pk=row.pk).update(size=row.size, complete=True)
        for conversation_id, keys in self._moved.items():
            Attachment.objects.filter(pk__in=keys).update(conversation=conversation_id)

    def _row(self, message: Message, conversation: Conversation, file: canonical.Attachment) -> Attachment:
        known = self._known.get((message.pk, file.stored or file.id[:REMOTE_ID_LENGTH]))
        if known is None:
            return self._make(message, conversation, file)
        self._moved.setdefault(conversation.pk, []).append(known.pk)
        return known

    def _make(self, message: Message, conversation: Conversation, file: canonical.Attachment) -> Attachment:
        content = _decoded(file.content)
        row = Attachment(
            organization_id=self.endpoint.organization_id,
            environment_id=self.endpoint.environment_id,
            endpoint_id=self.endpoint.id,
            message=message,
            conversation=conversation,
            file_name=plain_file_name(file.file_name) or UNNAMED,
            content_type=plain_content_type(file.content_type),
            size=len(content) if content is not None else file.size or 0,
            remote_id=file.id[:REMOTE_ID_LENGTH],
            url=file.url or None,
        )
        if content is not None:
            self._contents[row.pk] = content
        self._new.append(row)
        self._known[message.pk, row.remote_id] = row
        return row


def of_message(message: Message) -> tuple[CarriedFile, ...]:
    """The files that the message brought or spoke of."""
    return tuple(map(_carried, Attachment.objects.filter(message=message).order_by("id")))


def earlier(conversation: Conversation) -> tuple[CarriedFile, ...]:
    """The files that came to the conversation before, oldest first."""
    rows = Attachment.objects.filter(conversation=conversation, emptied_at=None).order_by("id")
    return tuple(map(_carried, rows))


def sent(conversation: Conversation) -> frozenset[tuple[int, str]]:
    """Where files of the conversation went or are going to: target endpoint and part."""
    rows = Delivery.objects.filter(conversation=conversation, part__startswith=f"{FILE}:")
    return frozenset(rows.values_list("endpoint_id", "part"))


def _known(messages: Sequence[Message]) -> dict[tuple[int, str], Attachment]:
    """(message, id there, or ours where it was posted here) → the row that exists."""
    if not messages:
        return {}
    rows = Attachment.objects.filter(message__in=messages)
    return {(row.message_id or 0, row.remote_id or str(row.pk)): row for row in rows}


def _carried(row: Attachment) -> CarriedFile:
    size = row.size if row.complete or row.size else None
    return CarriedFile(str(row.pk), row.file_name, row.content_type, size, row.endpoint_id)


def _decoded(content: str) -> bytes | None:
    """The bytes of base64 that came in a message; None where there are none, or they cannot be read."""
    try:
        return b64decode(content, validate=True) if content else None
    except (binascii.Error, ValueError):
        return None
