"""What runs in the demo: web server, workers and the two simulated systems, each at its address."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from conversations.demo.passwords import Passwords, demo_folder
from oneio import serving
from oneio.processes import Program

SERVICENOW_PORT = 8081
JIRA_PORT = 8082
RECEIVERS = {"servicenow": "servicenow-prod", "jira": "jira-cloud"}
"""User name with which each system posts to us."""


@dataclass(frozen=True, slots=True)
class Places:
    """The address of each part, without a slash at the end."""

    web: str
    servicenow: str
    jira: str


@dataclass(frozen=True, slots=True)
class Programs:
    """All parts, not started yet."""

    places: Places
    web: Program
    workers: Program
    servicenow: Program
    jira: Program


def choose_places(port: int | None = None) -> Places:
    """Free addresses, the web server's on `port` if one is given. Raises PortTaken."""
    web = serving.exact_port(port) if port else serving.free_port(serving.PORT)
    servicenow = serving.free_port(SERVICENOW_PORT, taken=frozenset({web}))
    jira = serving.free_port(JIRA_PORT, taken=frozenset({web, servicenow}))
    return Places(*(f"http://127.0.0.1:{number}" for number in (web, servicenow, jira)))


def programs(places: Places, passwords: Passwords) -> Programs:
    """The programs that serve at these places."""
    # The simulated systems are on this machine, where requests otherwise must not go.
    environment = {"ONEIO_ALLOW_LOOPBACK": "1", "ONEIO_PUBLIC_URL": places.web}
    return Programs(
        places=places,
        web=serving.web_server(_port(places.web), environment=environment),
        workers=serving.workers(environment),
        servicenow=_sandbox(
            "servicenow",
            places.servicenow,
            f"{places.web}/api",
            {
                "SANDBOX_RECEIVER_PASSWORD": passwords.receiver_servicenow,
                "SANDBOX_PASSWORD": passwords.servicenow,
                "SANDBOX_CLIENT_SECRET": passwords.servicenow_client,
            },
        ),
        jira=_sandbox(
            "jira",
            places.jira,
            # As the how-to registers it: what Jira tells of an attachment does not say whose it is.
            f"{places.web}/api?issue.id=${{issue.id}}&issue.key=${{issue.key}}",
            {"SANDBOX_RECEIVER_PASSWORD": passwords.receiver_jira, "SANDBOX_PASSWORD": passwords.jira},
        ),
    )


def _sandbox(system: str, place: str, receiver: str, passwords: dict[str, str]) -> Program:
    arguments = {
        "--port": str(_port(place)),
        "--data": str(demo_folder() / f"{system}.journal"),
        "--receiver-url": receiver,
        "--receiver-user": RECEIVERS[system],
    }
    words = [word for pair in arguments.items() for word in pair]
    return Program(
        name=f"sandbox {system}",
        command=(sys.executable, "manage.py", "sandbox", system, *words),
        environment=passwords,
        ready=serving.answers(f"{place}/_sandbox/health"),
    )


def _port(place: str) -> int:
    return int(place.rpartition(":")[2])
