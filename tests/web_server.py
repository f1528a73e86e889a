"""The real web server on the test database, for tests of what only it does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.db import connection

from oneio.serving import answers
from tests.patience import PATIENCE, wait_for

LAUNCH = """
import os, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
from granian import Granian
Granian("oneio.wsgi:application", interface="wsgi", port=int(sys.argv[1]), blocking_threads=8).serve()
"""


@dataclass(frozen=True)
class Server:
    """A running web server and what it has written."""

    url: str
    log: Path

    def connect(self) -> socket.socket:
        """A bare connection to it."""
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)  # type: ignore[arg-type]


@contextmanager
def running(log: Path, **variables: str) -> Iterator[Server]:
    """Granian on a free port, with these variables in its environment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "TEST_DATABASE": connection.settings_dict["NAME"],
        "DJANGO_SETTINGS_MODULE": "oneio.settings",
        "ONEIO_POOL": "1",
        **variables,
    }
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(port)], env=environment, stdout=output, stderr=output
        )
        try:
            wait_for(answers(f"{url}/api/nothing"))
            yield Server(url, log)
        finally:
            process.terminate()
            process.wait(PATIENCE)
