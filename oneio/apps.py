"""The ground floor as a Django app, and the admin's pages."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core.checks import CheckMessage, Tags, register


class OneioConfig(AppConfig):
    """Tenants, access, encryption and the workers' runtime."""

    name = "oneio"
    verbose_name = "Organizations"
    default_auto_field = "django.db.models.BigAutoField"
    default = True

    def ready(self) -> None:
        """Register the system checks."""
        from oneio import checks  # noqa: F401


class PagesConfig(SimpleAdminConfig):
    """Django's admin. Its pages are loaded with the addresses that lead to them: workers need none."""

    def ready(self) -> None:
        """Register the system checks."""
        register(check_dependencies, Tags.admin)
        register(check_pages, Tags.admin)


def check_pages(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """What Django has to say about the pages, all of which are loaded for it."""
    autodiscover()
    return list(check_admin_app(app_configs, **options))
