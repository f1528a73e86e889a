"""The demo's passwords: made once per state folder, kept in a file that only its user may read."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from oneio.state import state_directory


@dataclass(frozen=True, slots=True)
class Passwords:
    """`administrator` opens the admin; `receiver_*` are what the systems post to us with; the others are
    what we, and the people of the example, log in to the simulated systems with."""

    administrator: str = field(repr=False)
    receiver_servicenow: str = field(repr=False)
    receiver_jira: str = field(repr=False)
    servicenow: str = field(repr=False)
    servicenow_client: str = field(repr=False)
    jira: str = field(repr=False)


def demo_folder() -> Path:
    """Where the demo keeps its passwords and what the simulated systems hold."""
    folder = state_directory() / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def ensure_passwords() -> Passwords:
    """The passwords of this state folder, made at the first call."""
    path = demo_folder() / "passwords.json"
    try:
        return Passwords(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        # Nothing depends on the old ones: whoever uses them is told the new ones at each start.
        passwords = Passwords(*(secrets.token_urlsafe(12) for _ in fields(Passwords)))
        _write(path, json.dumps(asdict(passwords), indent=2))
        return passwords


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
