"""The web server's way in."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneio.settings")
_answer = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # loads every page, so that no request has to


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django's answer; one that is complete leaves in one piece instead of being asked for its pieces."""
    response: Any = _answer(environ, start_response)
    if not isinstance(response, HttpResponse):
        return response  # type: ignore[no-any-return]
    response.close()
    return [response.content]


gc.collect()
gc.freeze()  # what is loaded now stays: the collector need not look at it again
