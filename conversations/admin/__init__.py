"""The pages on which people find tickets: messages, deliveries, conversations."""

from conversations.admin import conversations, deliveries, messages, readers

__all__ = ["conversations", "deliveries", "messages", "readers"]
