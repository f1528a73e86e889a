"""People signed in to the admin, for tests of its pages."""

from django.contrib.auth.models import User
from django.test import Client

from oneio import access
from oneio.models import Environment
from tests.factories import unique


def make_user(role: str = "", environment: Environment | None = None, **fields: object) -> User:
    """A member of staff, with a role in one environment if it is given."""
    user = User.objects.create_user(unique("person"), password="correct horse", is_staff=True, **fields)
    if role and environment:
        access.grant(user, role, environment)
    return user


def signed_in(role: str = "", environment: Environment | None = None) -> Client:
    """A browser signed in: a superuser, or a person with one role."""
    client = Client()
    client.force_login(make_user(role, environment, is_superuser=not role))
    return client
