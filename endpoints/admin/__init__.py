"""The pages of connected systems and their alerts."""

from endpoints.admin import alerts, endpoints

__all__ = ["alerts", "endpoints"]
