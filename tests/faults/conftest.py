"""One installation for all fault tests of a process: setting up a database takes longer than most of them."""

from collections.abc import Iterator

import pytest

from tests.faults.background import Background, background
from tests.faults.installation import Installation, installation


@pytest.fixture(scope="session")
def installed() -> Iterator[Installation]:
    """An installation in which no web server and no workers run."""
    with installation() as made:
        yield made


@pytest.fixture
def product(installed: Installation) -> Iterator[Installation]:
    """The installation with its web server; what a test starts besides is stopped after it."""
    installed.start_web()
    try:
        yield installed
    finally:
        installed.stop()


@pytest.fixture
def network() -> Iterator[Background]:
    """A loop for targets, proxies and partners."""
    with background() as running:
        yield running
