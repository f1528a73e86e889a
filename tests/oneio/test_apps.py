"""Workers load what they need; the system checks still see every page."""

import subprocess
import sys

import pytest
from django.contrib import admin
from django.core.checks import Tags, run_checks

from oneio.models import Organization
from oneio.state import CHECKOUT

LOADED = "import django, sys; django.setup(); import conversations.pump; print(*sys.modules)"


def loaded_by_a_pump() -> set[str]:
    words = [sys.executable, "-c", LOADED]
    return set(subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split())


def test_pump_loads_no_page() -> None:
    loaded = loaded_by_a_pump()

    assert "conversations.queue" in loaded
    assert not loaded & {
        "oneio.admin",
        "conversations.admin",
        "rest_framework.views",
        "rest_framework.response",
    }


def test_page_that_cannot_work_is_told_by_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    run_checks(tags=[Tags.admin])

    monkeypatch.setattr(type(admin.site._registry[Organization]), "list_display", ["nothing"])

    assert "admin.E108" in {message.id for message in run_checks(tags=[Tags.admin])}
