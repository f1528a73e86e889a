"""Conversations as a Django app."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """See the package's models for what lives here."""

    name = "conversations"
    verbose_name = "Flow"
