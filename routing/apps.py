"""Routing rules as a Django app."""

from django.apps import AppConfig


class RoutingConfig(AppConfig):
    """See the package's models for what lives here."""

    name = "routing"
    verbose_name = "Set up"
