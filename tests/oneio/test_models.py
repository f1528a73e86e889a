"""Tenants: each organization has one active data key, each environment its receiver address."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from oneio.models import DataKey, Environment
from tests.factories import make_environment, make_organization

pytestmark = pytest.mark.django_db


def test_new_organization_gets_one_data_key() -> None:
    organization = make_organization()

    organization.name = "renamed"
    organization.save()

    assert DataKey.objects.get(organization=organization).active


def test_organization_has_one_active_data_key() -> None:
    organization = make_organization()

    with pytest.raises(IntegrityError, match="one_active_data_key"), transaction.atomic():
        DataKey.objects.create(organization=organization, active=True, wrapped=b"")


def test_organization_has_each_environment_once() -> None:
    environment = make_environment()

    with pytest.raises(IntegrityError, match="environment_once_per_organization"), transaction.atomic():
        Environment.objects.create(organization=environment.organization, kind=environment.kind)


@pytest.mark.parametrize(
    ("kind", "path"), [("production", "/api/v1/messages"), ("qa", "/qa/api/v1/messages")]
)
def test_each_environment_has_its_receiver_address(kind: str, path: str) -> None:
    assert make_environment(kind=kind).receiver_path == path


def test_organization_with_environments_cannot_be_deleted() -> None:
    organization = make_environment().organization

    with pytest.raises(ProtectedError):
        organization.delete()
