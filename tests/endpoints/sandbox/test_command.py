import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command

from endpoints.sandbox.store import Store
from tests.endpoints.sandbox.conftest import Receiver

MANAGE = Path(__file__).resolve().parents[3] / "manage.py"


def run_until_asked(ask: Callable[[str], None], number: signal.Signals, *options: str) -> None:
    """Run the command in this thread; another thread asks it something, then sends the signal."""
    output = StringIO()

    def ask_and_stop() -> None:
        while "sandbox at" not in output.getvalue():
            time.sleep(0.01)
        try:
            ask(output.getvalue().split()[-1])
        finally:
            os.kill(os.getpid(), number)

    asking = threading.Thread(target=ask_and_stop)
    asking.start()
    call_command("sandbox", "servicenow", *options, stdout=output)
    asking.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_signalled(number: signal.Signals, http: requests.Session) -> None:
    urls = []

    def ask(url: str) -> None:
        urls.append(url)
        assert http.get(url + "/_sandbox/health").json()["system"] == "servicenow"

    run_until_asked(ask, number)

    with pytest.raises(requests.ConnectionError):
        http.get(urls[0] + "/_sandbox/health")


def test_secrets_come_from_files_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http: requests.Session, receiver: Receiver
) -> None:
    (tmp_path / "password").write_text("from a file\n")
    monkeypatch.setenv("SANDBOX_RECEIVER_PASSWORD", "from the environment")
    receiver_at = ["--receiver-url", receiver.base_url + "/api", "--receiver-user", "sn"]

    def ask(url: str) -> None:
        incidents = f"{url}/api/now/table/incident"
        assert http.get(incidents, auth=("oneio", "from a file")).status_code == 200
        http.post(incidents, auth=("admin", "admin"), json={})
        while not receiver.posts:
            time.sleep(0.01)

    run_until_asked(ask, signal.SIGTERM, *receiver_at, "--password-file", str(tmp_path / "password"))

    authorization = receiver.posts[0].authorization
    assert authorization
    assert authorization.password == "from the environment"


def test_tls_certificate_is_kept_in_its_folder(tmp_path: Path, http: requests.Session) -> None:
    def ask(url: str) -> None:
        answer = http.get(url + "/_sandbox/health", verify=str(tmp_path / "sandbox-cert.pem"))
        assert (url[:8], answer.status_code) == ("https://", 200)

    run_until_asked(ask, signal.SIGTERM, "--tls", "--tls-folder", str(tmp_path))


def test_taken_port_and_file_are_explained(tmp_path: Path, receiver: Receiver) -> None:
    port = receiver.base_url.rpartition(":")[2]
    store = Store(tmp_path / "data.jsonl")

    with pytest.raises(CommandError, match="in use"):
        call_command("sandbox", "servicenow", "--port", port)
    with pytest.raises(CommandError, match="choose another file"):
        call_command("sandbox", "servicenow", "--data", str(tmp_path / "data.jsonl"))

    store.close()


@contextmanager
def process(data: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, str(MANAGE), "sandbox", "servicenow", "--data", str(data)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output) as running:
        while b"\n" not in log.read_bytes():
            assert running.poll() is None
            time.sleep(0.02)
        yield running, log.read_text().split()[-1]
        running.kill()


@pytest.mark.slow
def test_killed_sandbox_has_lost_nothing_answered(tmp_path: Path, http: requests.Session) -> None:
    answered: list[str] = []

    def create_until_killed(url: str) -> None:
        while True:
            try:
                answer = http.post(f"{url}/api/now/table/incident", json={}, auth=("admin", "admin"))
            except requests.RequestException:
                return
            answered.append(answer.json()["result"]["number"])

    with process(tmp_path / "data.jsonl", tmp_path / "first") as (running, url):
        writing = threading.Thread(target=create_until_killed, args=(url,))
        writing.start()
        while len(answered) < 50:
            time.sleep(0.01)
        running.kill()
        writing.join()

    with process(tmp_path / "data.jsonl", tmp_path / "second") as (_, url):
        kept = http.get(f"{url}/_sandbox/records?table=incident").json()
    assert set(answered) <= {record["number"] for record in kept}
    assert len(kept) <= len(answered) + 1
