"""What every test stands on: a PostgreSQL server of its own and no keys left over from another test."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.plugin import DjangoDbBlocker

from endpoints.receiver_logins import forget_identified
from oneio import crypto
from oneio.embedded_postgres import EmbeddedPostgres
from oneio.state import state_directory, static_directory

# An example that takes long is none that fails.
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    """Keep the embedded server of this state folder running while any test process needs it."""
    if not settings.EMBEDDED_DATABASE:
        yield
        return
    with EmbeddedPostgres(state_directory(), durable=False).running():
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before the test database is dropped, end connections that background threads still hold."""
    yield
    name = connection.settings_dict["NAME"]
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        connection.close()


@pytest.fixture(scope="session", autouse=True)
def _static_folder() -> None:
    # Pages are served without collected static files, but WhiteNoise warns where there is no folder.
    static_directory()


@pytest.fixture(autouse=True)
def _no_keys_left_over() -> Iterator[None]:
    crypto.forget_keys()
    forget_identified()
    yield
    crypto.forget_keys()
    forget_identified()
