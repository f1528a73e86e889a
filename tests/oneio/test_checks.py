"""Settings that would lose or repeat scheduled work are refused at the start."""

from typing import Any

import pytest
from django.core.checks import Tags, run_checks

from oneio.checks import check_cluster


def test_settings_as_they_come_pass() -> None:
    assert check_cluster(None) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"timeout": 600, "retry": 600}, "E001"),
        ({"workers": 2}, "E002"),
        ({"queue_limit": 1}, "E003"),
        ({"broker_class": "django_q.brokers.orm.ORM"}, "E006"),
    ],
)
def test_cluster_that_loses_work_is_refused(settings: Any, change: dict[str, Any], code: str) -> None:
    settings.PUMPS = 2
    settings.Q_CLUSTER = settings.Q_CLUSTER | change

    [error] = check_cluster(None)

    assert error.id == f"oneio.{code}"
    assert error.hint


@pytest.mark.parametrize(("name", "code"), [("PUMPS", "E004"), ("LEASE_SECONDS", "E005")])
def test_setting_of_zero_is_refused(settings: Any, name: str, code: str) -> None:
    setattr(settings, name, 0)

    assert [error.id for error in check_cluster(None)] == [f"oneio.{code}"]


def test_django_runs_these_checks(settings: Any) -> None:
    settings.PUMPS = 0

    assert "oneio.E004" in {message.id for message in run_checks(tags=[Tags.compatibility])}
