"""Counters: numbers that rules give out one by one."""

from __future__ import annotations

from django.db import models

from oneio.models import EnvironmentModel, addressable, within_environment


class Counter(EnvironmentModel):
    """A named number that grows by one each time a rule takes it; no number is given twice."""

    name = models.SlugField(max_length=60)
    value = models.BigIntegerField("last number given", default=0)

    class Meta:
        ordering = ["name"]
        constraints = [
            within_environment("counter"),
            addressable("counter"),
            models.UniqueConstraint(fields=["environment", "name"], name="counter_name_once"),
        ]

    def __str__(self) -> str:
        return self.name
