"""The embedded PostgreSQL, with real servers and real signals; the path of its state has a space."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from oneio import embedded_postgres, postgres_files
from oneio.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPostgres]:
    """A server that has not started yet; its data is gone afterwards."""
    state = tmp_path / "with a space"
    state.mkdir(mode=0o711)
    monkeypatch.setenv("ONEIO_STATE_DIR", str(state))
    server = EmbeddedPostgres(state, durable=False)
    yield server
    server.remove()


def query(statement: str) -> object:
    """Return the first value of a query to the product's database."""
    entry = embedded_postgres.settings()
    with psycopg.connect(
        host=str(entry["HOST"]), user=str(entry["USER"]), dbname=str(entry["NAME"])
    ) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def postmaster(server: EmbeddedPostgres) -> psutil.Process:
    """Return the server's main process as its lock file names it."""
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))


def test_second_start_finds_it_running(server: EmbeddedPostgres) -> None:
    assert server.ensure_running() is True
    assert server.ensure_running() is False

    server.stop()
    assert not server.is_running()
    assert server.ensure_running() is True


def test_text_sorts_alike_everywhere(server: EmbeddedPostgres) -> None:
    server.ensure_running()

    locale = query(
        "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
    )

    assert locale == "bC.UTF-8"


def test_server_is_never_root(server: EmbeddedPostgres) -> None:
    server.ensure_running()

    uid = postmaster(server).uids().real
    assert uid != 0
    assert server.socket.stat().st_uid == server.data.stat().st_uid == uid


def test_ctrl_c_does_not_reach_it(server: EmbeddedPostgres) -> None:
    server.ensure_running()

    assert os.getsid(postmaster(server).pid) != os.getsid(0)


def test_killed_server_comes_back_with_data(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    query("CREATE TABLE kept AS SELECT 7 AS value")

    postmaster(server).kill()

    assert server.ensure_running() is True
    assert query("SELECT value FROM kept") == 7


def test_reused_process_id_is_not_mistaken(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    postmaster(server).kill()
    lock_file = server.data / "postmaster.pid"
    lock_file.write_text("\n".join([str(os.getpid()), *lock_file.read_text().split("\n")[1:]]))

    assert not server.is_running()

    assert server.ensure_running() is True


def test_empty_lock_file_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    server.stop("immediate")
    (server.data / "postmaster.pid").touch()

    assert server.ensure_running() is True


def test_processes_at_once_start_one_server(server: EmbeddedPostgres) -> None:
    command = [sys.executable, "-m", "oneio.embedded_postgres", "start"]

    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    answers = [process.communicate()[1] for process in running]

    assert answers == [b"", b"", b""]
    assert server.log.read_text().count("ready to accept connections") == 1


def test_lost_socket_folder_is_made_anew(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    shutil.rmtree(server.socket)

    assert server.ensure_running() is True
    assert query("SELECT 1") == 1


def test_interrupted_first_start_is_repaired(server: EmbeddedPostgres) -> None:
    (server.state / "postgres.new").mkdir()
    (server.state / "postgres.new" / "half-written").touch()

    assert server.ensure_running() is True
    assert not (server.data / "half-written").exists()


def test_foreign_socket_folder_is_refused(server: EmbeddedPostgres, tmp_path: Path) -> None:
    server.socket.symlink_to(tmp_path)

    with pytest.raises(EmbeddedPostgresError, match="belongs to somebody else"):
        server.ensure_running()

    server.socket.unlink()


def test_data_of_other_version_is_explained(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")

    with pytest.raises(EmbeddedPostgresError, match=r"incompatible with server.*DATABASE_URL"):
        server.ensure_running()


def test_unusable_state_folder_gives_advice(server: EmbeddedPostgres) -> None:
    server.log.parent.touch()

    with pytest.raises(EmbeddedPostgresError, match="Set ONEIO_STATE_DIR"):
        server.ensure_running()


def test_failing_statement_leaves_no_value_in_log(server: EmbeddedPostgres) -> None:
    server.ensure_running()

    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        query("SELECT 'canary-of-a-ticket'::integer")

    assert "canary" not in server.log.read_text()


def test_last_user_stops_the_server(server: EmbeddedPostgres) -> None:
    other = EmbeddedPostgres(server.state, durable=False)

    with server.running():
        with other.running():
            assert query("SHOW fsync") == "off"
        assert server.is_running()

    assert not server.is_running()


def test_long_log_is_put_aside(server: EmbeddedPostgres) -> None:
    server.log.parent.mkdir()
    server.log.write_bytes(b"x" * (embedded_postgres.LOG_BYTES + 1))

    server.ensure_running()

    assert server.log.stat().st_size < 10_000


def test_waiting_for_stopped_server_fails(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedPostgresError, match="has ended"):
        server.wait_ready()


def test_frozen_server_is_reported(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    process = postmaster(server)
    process.send_signal(signal.SIGSTOP)
    status = server.data / "postmaster.pid"
    text = status.read_text()
    status.write_text(text.replace("ready   ", "starting"))

    with pytest.raises(EmbeddedPostgresError, match="did not answer within 0 s"):
        server.wait_ready(timeout=0.1)

    status.write_text(text)
    process.send_signal(signal.SIGCONT)


def test_wheel_out_of_reach_is_copied(
    server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = postgres_files.installed_package()
    package = tmp_path / "hidden" / wheel.name
    package.mkdir(mode=0o700, parents=True)
    shutil.copytree(wheel / "pginstall18", package / "pginstall18", symlinks=True)
    monkeypatch.setattr(postgres_files, "installed_package", lambda: package)
    monkeypatch.setattr(postgres_files, "SHARED_PLACE", tmp_path / "shared")
    (tmp_path / "hidden").chmod(0o700)
    somebody = postgres_files.Account(65534, 65534, change=True)

    programs = postgres_files.programs(server.state, somebody)

    assert programs.is_relative_to(tmp_path / "shared")
    assert subprocess.run([programs / "postgres", "--version"], check=True).returncode == 0
    assert postgres_files.programs(server.state, somebody) == programs


def test_data_stays_in_reachable_state(tmp_path: Path) -> None:
    somebody = postgres_files.Account(65534, 65534, change=True)
    nobody_else = postgres_files.Account(os.geteuid(), os.getegid(), change=False)

    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        assert postgres_files.data_place(Path(place), somebody) == Path(place)

    assert postgres_files.data_place(tmp_path, nobody_else) == tmp_path


def test_missing_wheel_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(EmbeddedPostgresError, match="Set DATABASE_URL"):
        postgres_files.installed_package()


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "ONEIO_STATE_DIR")]
)
def test_failed_file_operation_gives_advice(number: int, advice: str) -> None:
    assert advice in str(postgres_files.failure("It failed", OSError(number, os.strerror(number))))


def test_command_line_starts_and_stops(server: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]) -> None:
    codes = [embedded_postgres.main([word]) for word in ("status", "start", "status", "stop", "status")]

    assert codes == [3, 0, 0, 0, 3]
    assert str(server.socket) in capsys.readouterr().out
    assert embedded_postgres.main([]) == 2
    assert embedded_postgres.main(["remove"]) == 0
    assert not server.data.exists()


def test_command_line_opens_psql(server: EmbeddedPostgres) -> None:
    command = [sys.executable, "-m", "oneio.embedded_postgres", "psql", "-Atc", "SELECT current_database()"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == "oneio\n"
