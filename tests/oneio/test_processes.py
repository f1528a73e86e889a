"""Child processes: started again when they die, and none left behind."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from oneio import processes
from oneio.processes import Children, ProcessError, Program, only_one, stop_left_over
from tests.patience import wait_for

SLEEPER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
PARENT = (
    f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(processes, "RESTART_PAUSE_SECONDS", 0.05)


def program(code: str, **fields: object) -> Program:
    """A program of a few words of Python."""
    return Program("test program", (sys.executable, "-c", code), **fields)  # type: ignore[arg-type]


def leader() -> int:
    """The process that runs now."""
    while not (record := program("").record.read_text()):
        time.sleep(0.01)  # it is just being written
    [*_, (pid, _began)] = processes.json.loads(record)
    return int(pid)


def test_killed_program_is_started_again() -> None:
    with Children() as children:
        children.start(program(SLEEPER))
        first = leader()
        os.kill(first, signal.SIGKILL)

        wait_for(lambda: leader() != first)
        assert psutil.pid_exists(leader())


def test_leaving_stops_everything() -> None:
    with Children() as children:
        children.start(program(SLEEPER))
        pid = leader()

    assert not psutil.pid_exists(pid)
    assert not program("").record.exists()


def test_stubborn_program_is_killed() -> None:
    with Children() as children:
        children.start(program(STUBBORN, stop_seconds=0.3))
        pid = leader()
        time.sleep(0.3)

    assert not psutil.pid_exists(pid)


def test_grandchildren_end_with_their_parent() -> None:
    with Children() as children:
        children.start(program(PARENT))
        pid = leader()
        wait_for(lambda: len(psutil.Process(pid).children()) == 1)
        [grandchild] = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)

        wait_for(lambda: not grandchild.is_running())


def test_left_over_of_killed_parent_is_stopped() -> None:
    run = (
        "import sys, time\nfrom oneio.processes import Children, Program\n"
        f"with Children() as children:\n"
        f"    children.start(Program('test program', (sys.executable, '-c', {SLEEPER!r})))\n"
        "    print('started', flush=True)\n    time.sleep(60)\n"
    )
    parent = processes.subprocess.Popen(
        [sys.executable, "-c", run], stdout=processes.subprocess.PIPE, cwd=processes.CHECKOUT
    )
    assert parent.stdout is not None
    with parent.stdout:
        parent.stdout.readline()
    parent.kill()
    parent.wait()
    orphan = leader()

    stop_left_over()

    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_stranger_with_the_same_id_is_left_alone() -> None:
    stranger = processes.subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
    program("").record.write_text(f"[[{stranger.pid}, 12.5]]")

    stop_left_over()

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_program_that_ends_at_once_is_named() -> None:
    broken = program("raise SystemExit('no such table')", ready=lambda: False)

    with Children() as children:
        children.start(broken)
        with pytest.raises(ProcessError, match=r"test program ends as soon as .* no such table .*\.log"):
            children.wait_ready(broken)


def test_program_that_never_gets_ready_is_named() -> None:
    silent = program(SLEEPER, ready=lambda: False)

    with Children() as children:
        children.start(silent)
        with pytest.raises(ProcessError, match="is not ready after 0 s"):
            children.wait_ready(silent, seconds=0.2)


def test_second_one_in_a_folder_is_refused() -> None:
    with only_one(), pytest.raises(ProcessError, match="already runs from"), only_one():
        pass


def test_large_log_is_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 10)
    program("").log.write_text("what happened before")

    with Children() as children:
        children.start(program(SLEEPER))

    assert program("").log.with_suffix(".log.1").read_text() == "what happened before"
