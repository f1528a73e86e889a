"""The ground under the make targets: finding Python, and the virtual environment."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from oneio.state import CHECKOUT
from scripts import debian, setup

MAKEFILE = CHECKOUT / "Makefile"


@pytest.fixture
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file without packages, so that set-up needs no network."""
    lock_file = tmp_path / "requirements.lock"
    lock_file.write_text("# nothing\n")
    monkeypatch.setattr(setup, "LOCK_FILES", {"runtime": lock_file, "dev": lock_file})
    return lock_file


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A folder in which every Python is too old."""
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout and return its exit code and output."""
    variables = os.environ | environment
    return subprocess.run(command, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False)


def test_help_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert targets

    listed = run("make").stdout

    assert re.findall(r"make (\S+)", listed) == targets[1].split()


def test_paths_in_targets_are_relative() -> None:
    recipes = [line for line in MAKEFILE.read_text().splitlines() if line.startswith("\t")]

    assert recipes
    assert not re.search(r"(?<!['\w])/(?:\w+/)", "\n".join(recipes))


def test_missing_python_is_explained(old_python: Path) -> None:
    done = run(
        "sh", "scripts/with_venv.sh", "runtime", "python", PATH=f"{old_python}:/bin:/usr/bin", PYTHON=""
    )

    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr


@pytest.mark.slow
def test_interrupted_setup_starts_over(tmp_path: Path, lock_file: Path) -> None:
    venv = tmp_path / "a venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "half-written").touch()
    (venv / setup.UNFINISHED).touch()

    setup.prepare(venv, "runtime")

    assert setup.is_ready(venv, "runtime")
    assert not (venv / "bin" / "half-written").exists()


@pytest.mark.slow
def test_changed_lock_file_is_noticed(tmp_path: Path, lock_file: Path) -> None:
    venv = tmp_path / "venv"
    setup.prepare(venv, "dev")
    assert setup.is_ready(venv, "runtime")

    lock_file.write_text("# something else\n")

    assert not setup.is_ready(venv, "runtime")


def test_foreign_unusable_venv_is_left_alone(
    tmp_path: Path, lock_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(setup, "CHECKOUT", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    chosen = setup.choose_venv(tmp_path / "state", "runtime")

    assert chosen == tmp_path / "state" / "venv"


def test_missing_package_prints_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert debian.install("python3.11-venv", "The virtual environment") is False

    assert "sudo apt-get install -y python3.11-venv" in capsys.readouterr().err


def test_unknown_system_is_told_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)

    assert debian.install("chromium", "The browser tests") is False

    assert "needs chromium" in capsys.readouterr().err
