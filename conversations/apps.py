"""Conversations as a Django app."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    """See the package's models for what lives here."""

    name = "conversations"
    verbose_name = "Flow"

    def ready(self) -> None:
        """Give routing what belongs to rules but lives here: golden tickets, and what messages have shown."""
        from conversations.golden_documents import GoldenSection
        from conversations.observing import observe
        from routing import checking
        from routing.portable.companions import COMPANIONS, GOLDEN

        checking.OBSERVERS.append(observe)
        COMPANIONS[GOLDEN] = GoldenSection()
