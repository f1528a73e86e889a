import ssl
from pathlib import Path

from endpoints.sandbox.tls import ensure_certificate


def test_valid_certificate_is_kept(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path).cert.read_bytes()

    second = ensure_certificate(tmp_path).cert.read_bytes()

    assert first == second


def test_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "a")
    other = ensure_certificate(tmp_path / "b")
    files.key.write_bytes(other.key.read_bytes())

    files = ensure_certificate(tmp_path / "a")

    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.cert, files.key)


def test_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path)

    assert files.key.stat().st_mode & 0o077 == 0
