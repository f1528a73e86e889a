"""The web server's way in."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries
from django.http import HttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneio.settings")
_answer = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # loads every page, so that no request has to
# A connection goes back to the pool when its request ends, so none is old when the next begins. Statements
# are noted only for debugging, and a cache in memory has nothing to close.
request_started.disconnect(close_old_connections)
request_started.disconnect(reset_queries)
request_finished.disconnect(close_caches)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django's answer; one that is complete leaves in one piece instead of being asked for its pieces."""
    response: Any = _answer(environ, start_response)
    if not isinstance(response, HttpResponse):
        return response  # type: ignore[no-any-return]
    response.close()
    return [response.content]


# Requests come and go and form few cycles: looking for them after each 700 objects costs a twentieth.
gc.set_threshold(10_000, 20, 50)
gc.collect()
gc.freeze()  # what is loaded now stays: the collector need not look at it again
