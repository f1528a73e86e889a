"""The ground floor as a Django app."""

from django.apps import AppConfig


class OneioConfig(AppConfig):
    """Tenants, access, encryption and the workers' runtime."""

    name = "oneio"
    verbose_name = "Organizations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from oneio import checks  # noqa: F401
