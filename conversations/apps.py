"""Conversations as a Django app."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """See the package's models for what lives here."""

    name = "conversations"
    verbose_name = "Flow"

    def ready(self) -> None:
        """Add what belongs to rules but lives here to their documents."""
        from conversations.golden_documents import GoldenSection
        from routing.portable.companions import COMPANIONS, GOLDEN

        COMPANIONS[GOLDEN] = GoldenSection()
