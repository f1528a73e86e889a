"""What the inbound API answers: the shapes for its description, and a message's state in words."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from conversations.models import Delivery, DeliveryState, Message, MessageState


class MessageAccepted(serializers.Serializer[Any]):
    """202 for a message."""

    response_id = serializers.UUIDField()


class FileAccepted(serializers.Serializer[Any]):
    """202 for a file."""

    response_id = serializers.UUIDField()
    attachment_id = serializers.UUIDField()


class ErrorContent(serializers.Serializer[Any]):
    """What went wrong."""

    code = serializers.CharField(help_text="For programs; never changes.")
    message = serializers.CharField(help_text="What happened, for people.")
    what_to_do = serializers.CharField(help_text="What to do about it.")


class ErrorAnswer(serializers.Serializer[Any]):
    """Every answer that is no success."""

    error = ErrorContent()
    response_id = serializers.UUIDField(required=False, help_text="Set where a faulty message was recorded.")


class DeliveryStatus(serializers.Serializer[Any]):
    """One target of a message."""

    endpoint = serializers.CharField(help_text="The target's name.")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    number = serializers.CharField(allow_blank=True, help_text="The ticket's number at the target.")
    since = serializers.DateTimeField()


class MessageStatus(serializers.Serializer[Any]):
    """What became of a message."""

    response_id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=MessageState.choices)
    reason = serializers.CharField(allow_blank=True)
    received_at = serializers.DateTimeField()
    conversation = serializers.UUIDField(allow_null=True)
    deliveries = DeliveryStatus(many=True)


def status_of(message: Message) -> dict[str, Any]:
    """A message's state as its sender may know it."""
    conversation = message.conversation
    participants = conversation.participants.all() if conversation else ()
    numbers = {participant.endpoint_id: participant.number for participant in participants}
    deliveries = message.deliveries.select_related("endpoint").order_by("id")
    status = {
        "response_id": message.body_id,
        "state": message.state,
        "reason": message.reason,
        "received_at": message.received_at,
        "conversation": message.conversation_id,
        "deliveries": [_delivery(delivery, numbers) for delivery in deliveries],
    }
    return dict(MessageStatus(status).data)


def _delivery(delivery: Delivery, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "endpoint": delivery.endpoint.name,
        "state": delivery.state,
        "number": numbers.get(delivery.endpoint_id, ""),
        "since": delivery.state_since,
    }
