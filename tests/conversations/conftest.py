"""What engine tests stand on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from endpoints.sandbox.server import SandboxServer
from tests.conversations.world import Line, pumping, system
from tests.endpoints.sandbox.conftest import Receiver


@pytest.fixture
def line(transactional_db: None, settings: Any) -> Iterator[Line]:
    """Both systems, started empty, with their endpoints; no rules yet."""
    settings.ALLOW_LOOPBACK = True
    with (
        system("servicenow", ("admin", "admin")) as servicenow,
        system("jira", ("ada@example.com", "jira-sandbox-token")) as jira,
        SandboxServer(ears := Receiver()),
    ):
        yield Line(servicenow, jira, ears)


@pytest.fixture
def work(transactional_db: None, settings: Any) -> Iterator[Callable[..., None]]:
    """Work until nothing is due."""
    settings.ALLOW_LOOPBACK = True
    with pumping() as work_until_idle:
        yield work_until_idle
