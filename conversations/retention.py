"""Deletes what has been kept long enough: contents after some days, conversations after a long silence.

Small batches in short transactions; rows that somebody else has in hand are left for the next run. So it may
be killed at any moment, run twice at once, and never makes anybody wait. What is unfinished is never touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from conversations import queue
from conversations.models import (
    UNFINISHED,
    Attachment,
    AttachmentChunk,
    Attempt,
    Conversation,
    Delivery,
    DeliveryContent,
    DeliveryState,
    Lane,
    Message,
    MessageBody,
    MessageState,
)
from oneio.bulk import update_rows
from oneio.identifiers import earliest
from oneio.models import Environment

RUN_SECONDS = 120.0
PAUSE_SECONDS = 0.02
ROWS_AT_ONCE = 500
CONVERSATIONS_AT_ONCE = 20
FILES_AT_ONCE = 10
UNFINISHED_DELIVERIES = (*UNFINISHED, DeliveryState.DELAYED)
FINISHED_DELIVERIES = tuple(set(DeliveryState) - set(UNFINISHED_DELIVERIES))
FINISHED_MESSAGES = tuple(
    set(MessageState) - {MessageState.RECEIVED, MessageState.HELD, MessageState.QUARANTINED}
)


@dataclass(frozen=True, slots=True)
class Step:
    """One sort of data: what is due before a moment, and how a batch of it is removed."""

    name: str
    setting: str
    due: Callable[[datetime], QuerySet[Any]]
    remove: Callable[[Sequence[Any]], None]
    at_once: int = ROWS_AT_ONCE

    @property
    def days(self) -> int:
        """How long it is kept; 0 means for ever."""
        days: int = getattr(settings, self.setting)
        return days

    def rows(self) -> QuerySet[Any]:
        """What has been kept long enough, by the database's clock."""
        return self.due(queue.database_now() - timedelta(days=self.days))


def run(seconds: float = RUN_SECONDS) -> dict[str, int]:
    """Remove what is due, for `seconds` at most; the next run goes on. Returns how many of each sort."""
    deadline = time.monotonic() + seconds
    return {step.name: _run(step, deadline) for step in STEPS if step.days}


def due() -> dict[str, int]:
    """How many of each sort a run would remove."""
    return {step.name: step.rows().count() for step in STEPS if step.days}


def _run(step: Step, deadline: float) -> int:
    done = 0
    while time.monotonic() < deadline:
        removed = _remove_batch(step)
        done += removed
        if removed < step.at_once:
            break
        time.sleep(PAUSE_SECONDS)
    return done


def _remove_batch(step: Step) -> int:
    with queue.unsynchronised():
        rows = step.rows().select_for_update(skip_locked=True, of=("self",))
        keys = list(rows[: step.at_once])
        if keys:
            step.remove(keys)
    return len(keys)


def _bodies(before: datetime) -> QuerySet[Any]:
    rows = MessageBody.objects.filter(emptied_at=None, pk__lt=earliest(before))
    rows = rows.filter(~_open(message__body=OuterRef("pk")), message__state__in=FINISHED_MESSAGES)
    due_rows: QuerySet[Any] = rows.order_by("pk").values_list("pk", "organization_id")
    return due_rows


def _empty_bodies(keys: Sequence[tuple[UUID, int]]) -> None:
    now = queue.database_now()
    bodies = [MessageBody(id=pk, organization_id=organization, emptied_at=now) for pk, organization in keys]
    update_rows(bodies, "raw", "parameters", "headers", "canonical", "problem", "emptied_at")


def _contents(before: datetime) -> QuerySet[Any]:
    rows = DeliveryContent.objects.filter(emptied_at=None, pk__lt=earliest(before))
    rows = rows.filter(delivery__state__in=FINISHED_DELIVERIES)
    due_rows: QuerySet[Any] = rows.order_by("pk").values_list("pk", "organization_id")
    return due_rows


def _empty_contents(keys: Sequence[tuple[UUID, int]]) -> None:
    now = queue.database_now()
    rows = [DeliveryContent(id=pk, organization_id=organization, emptied_at=now) for pk, organization in keys]
    update_rows(rows, "snapshot", "overrides", "problem", "emptied_at")
    tries = Attempt.objects.filter(delivery__content__in=[row.pk for row in rows])
    told = Q(request__isnull=False) | Q(answer__isnull=False) | Q(detail__isnull=False)
    tries.filter(told).update(request=None, answer=None, detail=None)


def _files(before: datetime) -> QuerySet[Any]:
    rows = Attachment.objects.filter(emptied_at=None, complete=True, pk__lt=earliest(before))
    rows = rows.filter(~_open(conversation=OuterRef("conversation"))).exclude(
        Q(message__isnull=False) & ~Q(message__state__in=FINISHED_MESSAGES)
    )
    due_rows: QuerySet[Any] = rows.order_by("pk").values_list("pk", flat=True)
    return due_rows


def _empty_files(keys: Sequence[UUID]) -> None:
    AttachmentChunk.objects.filter(attachment__in=keys).delete()
    Attachment.objects.filter(pk__in=keys).update(emptied_at=queue.database_now())


def _silent(before: datetime) -> QuerySet[Any]:
    """Conversations of which nobody has heard since. Whoever adds to one locks it and moves its time, so
    what is added meanwhile saves it."""
    waiting = Message.objects.filter(conversation=OuterRef("pk")).exclude(state__in=FINISHED_MESSAGES)
    environments = list(Environment.objects.values_list("pk", flat=True))  # the index begins with it
    rows = Conversation.objects.filter(environment__in=environments, last_activity_at__lt=before)
    rows = rows.filter(~_open(conversation=OuterRef("pk")), ~Exists(waiting))
    due_rows: QuerySet[Any] = rows.order_by("last_activity_at").values_list("pk", flat=True)
    return due_rows


def _delete_conversations(keys: Sequence[UUID]) -> None:
    lanes = Lane.objects.filter(conversation__in=keys).values_list("pk", flat=True)
    queue.lock_lanes(lanes)
    messages = Message.objects.filter(conversation__in=keys).values_list("pk", flat=True)
    _delete(list(messages), keys)


def _strays(before: datetime) -> QuerySet[Any]:
    rows = Message.objects.filter(conversation=None, body_id__lt=earliest(before))
    due_rows: QuerySet[Any] = (
        rows.filter(state__in=FINISHED_MESSAGES).order_by("body_id").values_list("pk", flat=True)
    )
    return due_rows


def _delete_messages(keys: Sequence[int]) -> None:
    _delete(keys, [])


def _delete(messages: Sequence[int], conversations: Sequence[UUID]) -> None:
    """Delete messages and conversations with all that hangs on them."""
    keys: dict[str, Any] = {"messages": list(messages), "conversations": list(conversations)}
    with connection.cursor() as cursor:
        for statement in _DELETIONS:
            cursor.execute(statement, keys)


def _open(**where: OuterRef) -> Exists:
    return Exists(Delivery.objects.filter(state__in=UNFINISHED_DELIVERIES, **where))


_HANGING = "message_id = ANY(%(messages)s) OR conversation_id = ANY(%(conversations)s::uuid[])"
_OF_CONVERSATIONS = "conversation_id = ANY(%(conversations)s::uuid[])"
_DELETIONS = (
    "DELETE FROM conversations_attempt"
    f" WHERE delivery_id IN (SELECT id FROM conversations_delivery WHERE {_HANGING})",
    f"WITH gone AS (DELETE FROM conversations_delivery WHERE {_HANGING} RETURNING content_id)"
    " DELETE FROM conversations_deliverycontent WHERE id IN (SELECT content_id FROM gone)",
    "DELETE FROM conversations_attachmentchunk"
    f" WHERE attachment_id IN (SELECT id FROM conversations_attachment WHERE {_HANGING})",
    f"DELETE FROM conversations_attachment WHERE {_HANGING}",
    "WITH gone AS (DELETE FROM conversations_message WHERE id = ANY(%(messages)s) RETURNING response_id)"
    " DELETE FROM conversations_messagebody WHERE id IN (SELECT response_id FROM gone)",
    "DELETE FROM conversations_remoteitem"
    f" WHERE participant_id IN (SELECT id FROM conversations_participant WHERE {_OF_CONVERSATIONS})",
    f"DELETE FROM conversations_participant WHERE {_OF_CONVERSATIONS}",
    f"DELETE FROM conversations_lane WHERE {_OF_CONVERSATIONS}",
    "DELETE FROM conversations_conversation WHERE id = ANY(%(conversations)s::uuid[])",
)
_CONTENTS, _CONVERSATIONS = "RETENTION_CONTENT_DAYS", "RETENTION_CONVERSATION_DAYS"
STEPS = (
    Step("what messages said", _CONTENTS, _bodies, _empty_bodies),
    Step("what deliveries carried", _CONTENTS, _contents, _empty_contents),
    Step("files", _CONTENTS, _files, _empty_files, FILES_AT_ONCE),
    Step("conversations", _CONVERSATIONS, _silent, _delete_conversations, CONVERSATIONS_AT_ONCE),
    Step("messages without a conversation", _CONVERSATIONS, _strays, _delete_messages),
)
