"""The scheduled work: what runs how often, kept in step with the settings at each start of the workers."""

from django.conf import settings
from django_q.models import Schedule


def ensure_schedules() -> None:
    """Make django-q2's schedules equal to settings.SCHEDULES (name → dotted function, minutes)."""
    for name, (function, minutes) in settings.SCHEDULES.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={"func": function, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )
