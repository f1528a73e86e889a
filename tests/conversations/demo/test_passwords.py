"""The demo's passwords: made once, readable by their user alone."""

import stat
from pathlib import Path

import pytest

from conversations.demo.passwords import demo_folder, ensure_passwords


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path))


def test_passwords_stay_the_same() -> None:
    first = ensure_passwords()

    assert ensure_passwords() == first


def test_each_password_is_another() -> None:
    made = ensure_passwords()

    values = [getattr(made, name) for name in made.__slots__]
    assert len(set(values)) == 6
    assert min(map(len, values)) >= 16


def test_only_owner_may_read_them() -> None:
    ensure_passwords()

    mode = stat.S_IMODE((demo_folder() / "passwords.json").stat().st_mode)
    assert mode == 0o600


def test_damaged_file_is_made_anew() -> None:
    first = ensure_passwords()
    (demo_folder() / "passwords.json").write_text('{"administrator": ')

    assert ensure_passwords() != first


def test_printing_shows_no_password() -> None:
    made = ensure_passwords()

    assert made.administrator not in repr(made)
