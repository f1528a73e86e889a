"""Deletes what has been kept long enough: contents after some days, conversations after a long silence, and
the notes of who read them later still.

Small batches in short transactions; rows that somebody else has in hand are left for the next run. So it may
be killed at any moment, run twice at once, and never makes anybody wait. What is unfinished is never touched.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Model, OuterRef, Q

from conversations import queue
from conversations.models import (
    UNFINISHED,
    Attachment,
    AttachmentChunk,
    Attempt,
    Conversation,
    Delivery,
    DeliveryContent,
    Lane,
    LookupAnswer,
    Message,
    MessageBody,
    MessageState,
    PayloadView,
    ReplayItem,
    ReplayState,
)
from oneio.bulk import update_rows
from oneio.fields import EncryptedField
from oneio.identifiers import earliest

RUN_SECONDS = 120.0
PAUSE_SECONDS = 0.02
ROWS_AT_ONCE = 500
CONVERSATIONS_AT_ONCE = 20
FILES_AT_ONCE = 10
PENDING = (MessageState.RECEIVED, MessageState.HELD, MessageState.QUARANTINED)
Row: TypeAlias = tuple[Any, ...]
"""A row's key, by which its table is walked, and what else its removal needs."""


@dataclass(frozen=True, slots=True)
class Step:
    """One sort of data: what is old enough, which of that is still needed, and how the rest is removed.

    `old` gives rows in the order of `key`, by an index; `needed` gets their keys and is asked once they are
    locked.
    """

    name: str
    setting: str
    old: Callable[[datetime], Any]
    needed: Callable[[list[Any]], set[Any]]
    remove: Callable[[list[Row]], None]
    at_once: int = ROWS_AT_ONCE
    key: str = "pk"

    @property
    def days(self) -> int:
        """How long it is kept; 0 means for ever."""
        days: int = getattr(settings, self.setting)
        return days


def run(seconds: float = RUN_SECONDS) -> dict[str, int]:
    """Remove what is due, for `seconds` at most; the next run goes on. Returns how many of each sort."""
    deadline = time.monotonic() + seconds
    return {step.name: _walk(step, deadline, remove=True) for step in STEPS if step.days}


def due() -> dict[str, int]:
    """How many of each sort a run would remove."""
    return {step.name: _walk(step, math.inf, remove=False) for step in STEPS if step.days}


def _walk(step: Step, deadline: float, *, remove: bool) -> int:
    """Batch after batch, each from where the last one ended: what is still needed is passed once a run."""
    gone, after = 0, None
    while time.monotonic() < deadline:
        with queue.unsynchronised():
            found = _next(step, after, lock=remove)
            needed = step.needed([row[0] for row in found])
            going = [row for row in found if row[0] not in needed]
            if remove and going:
                step.remove(going)
        gone += len(going)
        if len(found) < step.at_once:
            break
        after = found[-1][0]
        time.sleep(PAUSE_SECONDS)
    return gone


def _next(step: Step, after: Any, *, lock: bool) -> list[Row]:
    rows = step.old(queue.database_now() - timedelta(days=step.days)).order_by(step.key)
    if after is not None:
        rows = rows.filter(**{f"{step.key}__gt": after})
    if lock:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    return list(rows[: step.at_once])


def _bodies(before: datetime) -> Any:
    rows = MessageBody.objects.filter(emptied_at=None, pk__lt=earliest(before))
    return rows.values_list("pk", "organization_id")


def _needed_bodies(keys: list[Any]) -> set[Any]:
    rows = Message.objects.filter(Q(state__in=PENDING) | _open(message=OuterRef("pk")), body__in=keys)
    return set(rows.values_list("body_id", flat=True))


def _empty_bodies(rows: list[Row]) -> None:
    now = queue.database_now()
    bodies = [MessageBody(id=pk, organization_id=organization, emptied_at=now) for pk, organization in rows]
    update_rows(bodies, *_encrypted(MessageBody), "emptied_at")


def _contents(before: datetime) -> Any:
    rows = DeliveryContent.objects.filter(emptied_at=None, pk__lt=earliest(before))
    return rows.values_list("pk", "organization_id")


def _needed_contents(keys: list[Any]) -> set[Any]:
    rows = Delivery.objects.filter(content__in=keys, state__in=UNFINISHED)
    return set(rows.values_list("content_id", flat=True))


def _empty_contents(rows: list[Row]) -> None:
    now = queue.database_now()
    contents = [DeliveryContent(id=pk, organization_id=owner, emptied_at=now) for pk, owner in rows]
    update_rows(contents, *_encrypted(DeliveryContent), "emptied_at")
    tries = Attempt.objects.filter(delivery__content__in=[row.pk for row in contents])
    told = [Q(**{f"{name}__isnull": False}) for name in _encrypted(Attempt)]
    tries.filter(reduce(or_, told)).update(**dict.fromkeys(_encrypted(Attempt)))


def _encrypted(model: type[Model]) -> list[str]:
    """The columns in which a table keeps what tickets say: all of them go."""
    return [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedField)]


def _files(before: datetime) -> Any:
    rows = Attachment.objects.filter(emptied_at=None, complete=True, pk__lt=earliest(before))
    return rows.values_list("pk")


def _needed_files(keys: list[Any]) -> set[Any]:
    waits = Q(message__state__in=PENDING) | _open(conversation=OuterRef("conversation"))
    return set(Attachment.objects.filter(waits, pk__in=keys).values_list("pk", flat=True))


def _empty_files(rows: list[Row]) -> None:
    keys = [pk for (pk,) in rows]
    AttachmentChunk.objects.filter(attachment__in=keys).delete()
    Attachment.objects.filter(pk__in=keys).update(emptied_at=queue.database_now(), url=None)


def _replayed(before: datetime) -> Any:
    rows = ReplayItem.objects.filter(emptied_at=None, pk__lt=earliest(before))
    return rows.values_list("pk", "organization_id")


def _needed_replayed(keys: list[Any]) -> set[Any]:
    rows = ReplayItem.objects.filter(pk__in=keys, replay__state=ReplayState.RUNNING)
    return set(rows.values_list("pk", flat=True))


def _empty_replayed(rows: list[Row]) -> None:
    now = queue.database_now()
    items = [ReplayItem(id=pk, organization_id=owner, emptied_at=now) for pk, owner in rows]
    update_rows(items, *_encrypted(ReplayItem), "emptied_at")


def _answers(before: datetime) -> Any:
    return LookupAnswer.objects.filter(pk__lt=earliest(before)).values_list("pk")


def _asked_now(keys: list[Any]) -> set[Any]:
    rows = LookupAnswer.objects.filter(pk__in=keys, asked_until__gt=queue.database_now())
    return set(rows.values_list("pk", flat=True))


def _forget_answers(rows: list[Row]) -> None:
    LookupAnswer.objects.filter(pk__in=[pk for (pk,) in rows]).delete()


def _silent(before: datetime) -> Any:
    """Conversations of which nobody has heard since. Whoever adds to one locks it and moves its time, so
    what is added meanwhile saves it."""
    rows = Conversation.objects.filter(pk__lt=earliest(before), last_activity_at__lt=before)
    return rows.values_list("pk")


def _busy(keys: list[Any]) -> set[Any]:
    open_ones = Delivery.objects.filter(conversation__in=keys, state__in=UNFINISHED)
    pending = Message.objects.filter(conversation__in=keys, state__in=PENDING)
    return {key for rows in (open_ones, pending) for key in rows.values_list("conversation_id", flat=True)}


def _delete_conversations(rows: list[Row]) -> None:
    keys = [pk for (pk,) in rows]
    queue.lock_lanes(Lane.objects.filter(conversation__in=keys).values_list("pk", flat=True))
    messages = Message.objects.filter(conversation__in=keys).values_list("pk", flat=True)
    _delete(list(messages), keys)


def _strays(before: datetime) -> Any:
    rows = Message.objects.filter(conversation=None, body_id__lt=earliest(before))
    return rows.values_list("body_id", "pk")


def _delete_messages(rows: list[Row]) -> None:
    _delete([pk for _, pk in rows], [])


def _delete(messages: list[int], conversations: list[UUID]) -> None:
    """Delete messages and conversations with all that hangs on them."""
    keys: dict[str, Any] = {"messages": messages, "conversations": conversations}
    with connection.cursor() as cursor:
        for statement in _DELETIONS:
            cursor.execute(statement, keys)


def _views(before: datetime) -> Any:
    return PayloadView.objects.filter(first_seen_at__lt=before).values_list("pk")


def _no_views(_: list[Any]) -> set[Any]:
    """What was read may be there still, or long gone: an entry stands for itself."""
    return set()


def _delete_views(rows: list[Row]) -> None:
    PayloadView.objects.filter(pk__in=[pk for (pk,) in rows]).delete()


def _open(**where: OuterRef) -> Exists:
    return Exists(Delivery.objects.filter(state__in=UNFINISHED, **where))


_HANGING = "message_id = ANY(%(messages)s) OR conversation_id = ANY(%(conversations)s::uuid[])"
_OF_CONVERSATIONS = "conversation_id = ANY(%(conversations)s::uuid[])"
_DELETIONS = (
    "DELETE FROM conversations_replayitem WHERE message_id = ANY(%(messages)s)",
    "DELETE FROM conversations_conflict"
    f" WHERE delivery_id IN (SELECT id FROM conversations_delivery WHERE {_HANGING})",
    "DELETE FROM conversations_replacedticket"
    f" WHERE delivery_id IN (SELECT id FROM conversations_delivery WHERE {_HANGING})",
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
    Step("what messages said", _CONTENTS, _bodies, _needed_bodies, _empty_bodies),
    Step("what deliveries carried", _CONTENTS, _contents, _needed_contents, _empty_contents),
    Step("what replays would write", _CONTENTS, _replayed, _needed_replayed, _empty_replayed),
    Step("files", _CONTENTS, _files, _needed_files, _empty_files, FILES_AT_ONCE),
    Step("answers to lookups", _CONTENTS, _answers, _asked_now, _forget_answers),
    Step("conversations", _CONVERSATIONS, _silent, _busy, _delete_conversations, CONVERSATIONS_AT_ONCE),
    Step(
        "messages without a conversation",
        _CONVERSATIONS,
        _strays,
        _needed_bodies,
        _delete_messages,
        key="body_id",
    ),
    Step("who read what", "RETENTION_VIEW_DAYS", _views, _no_views, _delete_views),
)
