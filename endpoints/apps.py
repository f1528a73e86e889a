"""Endpoints as a Django app."""

from django.apps import AppConfig


class EndpointsConfig(AppConfig):
    """See the package's models for what lives here."""

    name = "endpoints"
    verbose_name = "Set up"
