"""The product as `make run` starts it, with an empty database, for a person who begins from nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oneio.embedded_postgres import EmbeddedPostgres
from oneio.serving import free_port
from oneio.state import CHECKOUT

READY_SECONDS = 240.0
FIRST_PORT = 8400


@dataclass(frozen=True, slots=True)
class Product:
    """Where it runs and what its first administrator logs in with."""

    url: str
    password: str


@contextmanager
def product() -> Iterator[Product]:
    """Start it from a fresh state folder where every user of the machine may pass; delete it after."""
    folder = Path(tempfile.mkdtemp(prefix="oneio-browser-"))
    folder.chmod(0o711)
    said = folder / "output.txt"
    running = _start(folder, said)
    try:
        yield _ready(running, said)
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(READY_SECONDS)
        EmbeddedPostgres(folder).remove()
        shutil.rmtree(folder)


def _start(folder: Path, said: Path) -> subprocess.Popen[bytes]:
    strange = {"DATABASE_URL", "PYTHONWARNINGS"}
    inherited = {
        name: value for name, value in os.environ.items() if name[:6] != "ONEIO_" and name not in strange
    }
    # The simulated systems are on this machine, where requests otherwise must not go.
    own = {"ONEIO_STATE_DIR": str(folder), "ONEIO_ALLOW_LOOPBACK": "1"}
    with said.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(free_port(FIRST_PORT))],
            cwd=CHECKOUT,
            env=inherited | own,
            stdout=output,
            stderr=output,
        )


def _ready(running: subprocess.Popen[bytes], said: Path) -> Product:
    deadline = time.monotonic() + READY_SECONDS
    while "Ctrl-C stops everything" not in said.read_text():
        assert running.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)
    [url] = re.findall(r"oneio runs: (\S+)/admin/", said.read_text())
    [password] = re.findall(r"with the password (\S+)", said.read_text())
    return Product(url, password)
