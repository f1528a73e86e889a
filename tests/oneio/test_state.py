"""The state folder and the keys that set-up makes."""

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneio import state

PRINT_KEY = "from oneio.state import secrets; print(secrets().secret_key)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder, and no keys in the environment."""
    for name in (*state.KEY_VARIABLES, "ONEIO_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout and a home folder of their own, and no folder named by the environment."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        monkeypatch.delenv("ONEIO_STATE_DIR", raising=False)
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", place)
        monkeypatch.setattr(state, "CHECKOUT", Path(place) / "checkout")
        state.CHECKOUT.mkdir()
        yield state.CHECKOUT
        state.CHECKOUT.chmod(0o755)


@pytest.fixture
def read_only(checkout: Path) -> None:
    """Forbid writing into the checkout."""
    checkout.chmod(0o555)


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Run the test without root's power to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield
    os.seteuid(0)


def test_configured_folder_is_made(folder: Path) -> None:
    assert state.state_directory() == folder

    assert folder.is_dir()


def test_each_user_gets_own_folder(checkout: Path) -> None:
    found = state.state_directory()

    assert found == checkout / "var" / state.user_name()
    assert stat.S_IMODE((checkout / "var").stat().st_mode) == 0o1777


@pytest.mark.usefixtures("read_only", "ordinary_user")
def test_foreign_checkout_uses_home_folder(checkout: Path) -> None:
    found = state.state_directory()

    assert found.parent == checkout.parent / ".local" / "state"
    assert found == state.state_directory()
    assert not (checkout / "var").exists()


def test_impossible_folder_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONEIO_STATE_DIR", str(tmp_path / "file" / "state"))

    with pytest.raises(state.StateError, match="Set ONEIO_STATE_DIR to a folder"):
        state.state_directory()


@pytest.mark.usefixtures("ordinary_user")
def test_unwritable_folder_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEIO_STATE_DIR", "/")

    with pytest.raises(state.StateError, match="is not writable"):
        state.state_directory()


def test_unknown_user_gets_a_name() -> None:
    assert state.user_name(4_000_000_000) == "uid-4000000000"


@pytest.mark.usefixtures("folder")
def test_private_folders_are_private() -> None:
    folders = [state.log_directory(), state.media_directory(), state.upload_directory()]

    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert state.static_directory().is_dir()
    assert not state.postgres_directory().exists()


def test_generated_keys_stay_the_same(folder: Path) -> None:
    first, second = state.secrets({}), state.secrets({})

    assert first == second
    assert stat.S_IMODE(state.secrets_file().stat().st_mode) == 0o600


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_processes_at_once_get_same_keys() -> None:
    command = [sys.executable, "-c", PRINT_KEY]

    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    keys = {process.communicate()[0] for process in running}

    assert len(keys) == 1
    assert all(process.returncode == 0 for process in running)


def test_given_keys_win_over_generated(folder: Path) -> None:
    given = state.new_keys()

    found = state.secrets({**given, "ONEIO_ENV": "production"})

    assert found.secret_key == given["ONEIO_SECRET_KEY"]
    assert f"{found.encryption_keys[0].id}:" in given["ONEIO_ENCRYPTION_KEYS"]
    assert not folder.exists()


def test_first_encryption_key_comes_first() -> None:
    old, new = state.new_keys(), state.new_keys()
    ring = {**new, "ONEIO_ENCRYPTION_KEYS": f"new:{new['ONEIO_HASH_KEY']}, old:{old['ONEIO_HASH_KEY']}"}

    found = state.secrets(ring)

    assert [key.id for key in found.encryption_keys] == ["new", "old"]


@pytest.mark.parametrize("missing", state.KEY_VARIABLES)
def test_production_names_the_missing_key(missing: str) -> None:
    given = {**state.new_keys(), "ONEIO_ENV": "production"}
    del given[missing]

    with pytest.raises(state.StateError, match=f"production: {missing}\\..*new-keys"):
        state.secrets(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ONEIO_HASH_KEY", "c2hvcnQ="),
        ("ONEIO_HASH_KEY", "not base64!"),
        ("ONEIO_ENCRYPTION_KEYS", "no-colon"),
        ("ONEIO_ENCRYPTION_KEYS", "k1:c2hvcnQ="),
    ],
)
def test_malformed_key_is_refused(name: str, value: str) -> None:
    with pytest.raises(state.StateError, match=name) as refusal:
        state.secrets({**state.new_keys(), name: value})

    assert value not in str(refusal.value)


def test_one_id_for_two_keys_is_refused() -> None:
    keys = state.new_keys()
    pair = f"k1:{keys['ONEIO_HASH_KEY']}"

    with pytest.raises(state.StateError, match="one id for two keys"):
        state.secrets({**keys, "ONEIO_ENCRYPTION_KEYS": f"{pair},{pair}"})


@pytest.mark.parametrize("damage", ["", "{}", "[]"])
@pytest.mark.usefixtures("folder")
def test_damaged_key_file_is_never_replaced(damage: str) -> None:
    state.secrets_file().write_text(damage)

    with pytest.raises(state.StateError, match="put it back"):
        state.secrets({})

    assert state.secrets_file().read_text() == damage


def test_printed_secrets_show_no_key() -> None:
    given = state.new_keys()

    shown = repr(state.secrets(given)) + repr(state.secrets(given).encryption_keys)

    assert given["ONEIO_SECRET_KEY"] not in shown
    assert "key=" not in shown


def test_printed_new_keys_are_usable(capsys: pytest.CaptureFixture[str]) -> None:
    assert state.main(["new-keys"]) == 0

    printed = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
    assert state.secrets(printed).secret_key == printed["ONEIO_SECRET_KEY"]


def test_directory_is_printed_for_scripts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert state.main(["directory"]) == 0
    assert capsys.readouterr().out == f"{folder}\n"

    assert state.main([]) == 2
