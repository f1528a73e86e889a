"""The whole product as real processes: the round trip, and the same with any one of them killed."""

import signal
from collections.abc import Iterator

import pytest

from tests.journey.installation import START_SECONDS, Installation, installation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    """One demo that stays up for all tests of this file."""
    with installation() as place:
        place.start()
        yield place


def test_demo_tells_verified_round_trip(running: Installation) -> None:
    assert "Verified at both systems: one issue, each comment once" in running.output
    assert "FAILED" not in running.output
    assert "✗" not in running.output


def test_ticket_travels_back_and_forth(running: Installation) -> None:
    story = running.story()

    story.open_incident()
    story.accept()
    story.create_issue()
    story.write_back()
    story.ask_in_servicenow()
    story.answer_in_jira()
    story.start_work()
    story.resolve()

    story.verify()


@pytest.mark.parametrize(
    "victim",
    [
        "web-server",
        "pump",
        "sentinel",
        "workers",
        "sandbox-servicenow",
        "sandbox-jira",
        "PostgreSQL",
    ],
)
def test_one_issue_though_killed(running: Installation, victim: str) -> None:
    story = running.story()
    story.open_incident()

    running.kill(victim)

    story.accept()
    story.create_issue()
    story.write_back()
    assert len(story.scene.jira.issues_about(story.ticket.number)) == 1


def test_incident_waits_for_killed_web_server(running: Installation) -> None:
    story = running.story()
    running.kill("all of the web-server")

    story.open_incident()

    story.accept()
    story.create_issue()
    assert len(story.scene.jira.issues_about(story.ticket.number)) == 1


def test_killed_demo_starts_again_and_finishes(running: Installation) -> None:
    story = running.story()
    story.open_incident()
    running.stop(signal.SIGKILL)

    running.start()

    again = running.story()
    again.ticket = story.ticket
    again.accept()
    again.create_issue()
    again.write_back()
    assert len(again.scene.jira.issues_about(story.ticket.number)) == 1


def test_interrupt_leaves_no_process(running: Installation) -> None:
    code = running.stop(signal.SIGINT)

    assert code == 0
    assert running.processes() == []


def test_demo_runs_once_and_ends(running: Installation) -> None:
    code = running.run("--once").wait(START_SECONDS)

    assert code == 0, running.output
    assert running.processes() == []
