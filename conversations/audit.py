"""Notes who read what tickets say; administrators see the list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from conversations.models import Conversation, Delivery, Message, PayloadView, Replay


def payload_read(user: Any, *rows: Message | Delivery | Conversation | Replay) -> None:
    """Note that `user` sees the content of these rows; the same row again within the hour adds nothing."""
    PayloadView.objects.bulk_create(_entries(user, rows), ignore_conflicts=True)


def _entries(user: Any, rows: Iterable[Message | Delivery | Conversation | Replay]) -> list[PayloadView]:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    return [
        PayloadView(
            organization_id=row.organization_id,
            environment_id=row.environment_id,
            user_id=user.pk,
            person=user.get_username(),
            subject=row._meta.model_name or "",
            key=str(row.pk),
            hour=hour,
        )
        for row in rows
    ]
