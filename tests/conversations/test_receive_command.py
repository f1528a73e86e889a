"""`manage.py receive`: a message from a file."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from conversations.models import Message, MessageState
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db


def run(path: Path, **options: Any) -> str:
    out = StringIO()
    call_command("receive", str(path), stdout=out, **({"endpoint": "snow"} | options))
    return out.getvalue().strip()


@pytest.mark.parametrize(("name", "content"), [("a.json", b'{"a": 1}'), ("a.xml", b"<a/>")])
def test_file_becomes_a_message(tmp_path: Path, name: str, content: bytes) -> None:
    endpoint = make_endpoint(slug="snow")
    (tmp_path / name).write_bytes(content)

    response_id = run(tmp_path / name)

    message = Message.objects.get(body_id=response_id)
    assert (message.endpoint, message.state, message.body.raw) == (endpoint, "received", content)


def test_malformed_file_is_recorded(tmp_path: Path) -> None:
    make_endpoint(slug="snow")
    (tmp_path / "a.json").write_bytes(b"{")

    with pytest.raises(CommandError, match="recorded as faulty"):
        run(tmp_path / "a.json")

    assert Message.objects.get().state == MessageState.FAULTY


def test_unread_content_type_is_said(tmp_path: Path) -> None:
    make_endpoint(slug="snow")
    (tmp_path / "a.json").write_bytes(b"{}")

    with pytest.raises(CommandError, match="JSON or XML"):
        run(tmp_path / "a.json", content_type="text/plain")

    assert not Message.objects.exists()


def test_missing_and_large_files_are_said(tmp_path: Path, settings: Any) -> None:
    make_endpoint(slug="snow")
    settings.MESSAGE_MAX_BYTES = 3
    (tmp_path / "a.json").write_bytes(b"{   }")

    with pytest.raises(CommandError, match="cannot be read"):
        run(tmp_path / "none.json")
    with pytest.raises(CommandError, match="larger"):
        run(tmp_path / "a.json")
