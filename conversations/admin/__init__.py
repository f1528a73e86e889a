"""The pages on which people find tickets: messages, deliveries, conversations."""

from conversations.admin import conversations, deliveries, evidence, messages, readers, replays

__all__ = ["conversations", "deliveries", "evidence", "messages", "readers", "replays"]
