"""Scheduled work is kept in step with the settings at each start of the workers."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.utils.module_loading import import_string
from django_q.models import Schedule

from oneio.schedule import ensure_schedules

pytestmark = pytest.mark.django_db


def test_every_schedule_of_the_settings_exists_once() -> None:
    ensure_schedules()
    ensure_schedules()

    assert sorted(Schedule.objects.values_list("name", flat=True)) == sorted(configured.SCHEDULES)


def test_every_scheduled_function_can_be_called() -> None:
    for function, minutes in configured.SCHEDULES.values():
        assert callable(import_string(function))
        assert minutes >= 1


def test_changed_settings_change_the_schedule(settings: Any) -> None:
    ensure_schedules()
    settings.SCHEDULES = {"Sweep": ("conversations.tasks.sweep", 7)}

    ensure_schedules()

    assert Schedule.objects.get(name="Sweep").minutes == 7


def test_schedules_never_run_out() -> None:
    ensure_schedules()

    assert set(Schedule.objects.values_list("repeats", flat=True)) == {-1}
