"""The pages on which people find tickets: messages, deliveries, conversations."""

from conversations.admin import conversations, deliveries, messages

__all__ = ["conversations", "deliveries", "messages"]
