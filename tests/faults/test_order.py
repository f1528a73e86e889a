"""A ticket that needs a person stops only itself, says why and since when, and then goes on."""

import time
from datetime import timedelta

import pytest

from tests.faults.background import Background
from tests.faults.installation import UNHURRIED, Installation
from tests.faults.line import FaultLine, fault_line
from tests.faults.proxy import Fault
from tests.faults.systems import system_of

pytestmark = pytest.mark.slow
MESSAGES = 6
RETRY = (
    "from conversations import deliveries; from conversations.models import Delivery;"
    "print(deliveries.retry(Delivery.objects.filter(state='held', organization__slug='%s')))"
)


def heads(line: FaultLine) -> list[tuple[str, timedelta]]:
    """Why each held delivery is, and since when."""
    return line.installed.query(  # type: ignore[return-value]
        "SELECT d.hold_reason, now() - d.state_since FROM conversations_delivery d"
        " JOIN oneio_organization o ON o.id = d.organization_id WHERE o.slug = %s AND d.state = 'held'",
        line.name,
    )


def test_held_head_blocks_its_ticket_only_and_drains(product: Installation, network: Background) -> None:
    began = time.monotonic()
    product.start_workers(ONEIO_PUMPS="4", **UNHURRIED)
    with fault_line(product, network, system_of("mute"), system="mute") as line:
        line.proxy.order(Fault.RESET_AFTER_REQUEST)  # taken, never seen by the target
        line.post(0, 1, MESSAGES)
        line.post(1, 10, MESSAGES)
        before = line.settle()
        [(why, age)] = heads(line)
        since_began = timedelta(seconds=time.monotonic() - began)

        assert before.held == {"unknown": 1, "behind unknown": MESSAGES - 1}
        assert before.delivered == 9 * MESSAGES
        assert (why, timedelta(0) < age < since_began) == ("unknown", True)
        assert product.run("manage.py", "shell", "-c", RETRY % line.name).split()[-1] == "1"
        after = line.settle()
        assert (after.sound, after.delivered, after.held) == (True, 10 * MESSAGES, {}), after
