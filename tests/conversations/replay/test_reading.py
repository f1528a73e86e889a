"""A plan may be made of what systems say now; they are asked in turn, and what they refuse is left out."""

from collections.abc import Callable
from typing import Any

import pytest

from conversations.models import Message, Participant, Replay, ReplayFinding, ReplayState
from conversations.replay import lifecycle
from conversations.replay.assessment import Wishes
from conversations.replay.work import work
from endpoints import gates
from endpoints.models import Endpoint, EndpointGate
from tests.conversations.world import Line
from tests.patience import PATIENCE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def received(line: Line, work_until_idle: Callable[..., None]) -> Message:
    """An incident that came before there was a rule, and was changed since."""
    message = line.incident()
    work_until_idle()
    message.refresh_from_db()
    line.servicenow.call(
        "PATCH", f"/api/now/table/incident/{message.external_id}", json={"short_description": "Uplink up"}
    )
    line.join()
    return message


def make_plan(message: Message) -> Replay:
    replay = lifecycle.create(message.environment, [message.pk], lifecycle.Choice(data="now"), None)
    work(PATIENCE)
    replay.refresh_from_db()
    return replay


@pytest.fixture
def work_until_idle(work: Any) -> Callable[..., None]:
    found: Callable[..., None] = work
    return found


def test_ticket_is_sent_as_it_is_now(line: Line, work_until_idle: Callable[..., None]) -> None:
    replay = make_plan(received(line, work_until_idle))

    [item] = replay.items.all()
    assert (replay.state, item.finding) == (ReplayState.PLANNED, ReplayFinding.SEND)
    assert item.contents["changes"][0]["ours"] == "Uplink up"
    lifecycle.start(replay, Wishes(), None)
    work(PATIENCE)
    work_until_idle()
    assert line.issue["fields"]["summary"] == "Uplink up"


def test_ticket_that_is_gone_is_left_out(line: Line, work_until_idle: Callable[..., None]) -> None:
    message = received(line, work_until_idle)
    line.servicenow.call("DELETE", f"/api/now/table/incident/{message.external_id}")

    [item] = make_plan(message).items.all()

    assert item.finding == ReplayFinding.UNREADABLE
    assert "did not give the ticket (HTTP 404)" in item.contents["problem"]


def test_suspended_system_is_not_asked(line: Line, work_until_idle: Callable[..., None]) -> None:
    message = received(line, work_until_idle)
    gates.suspend(line.snow)

    [item] = make_plan(message).items.all()

    assert item.finding == ReplayFinding.UNREADABLE
    assert "Nothing is sent to" in item.contents["problem"]


def test_rate_of_the_system_is_kept(line: Line) -> None:
    Endpoint.objects.filter(pk=line.snow.pk).update(max_per_second=0.5)
    EndpointGate.objects.filter(pk=line.snow.pk).update(tokens=1)
    first = gates.take_turn(line.snow.pk)

    wait = gates.take_turn(line.snow.pk)

    assert first == 0.0
    assert wait is not None
    assert 1.0 < wait <= 2.0


def test_old_reading_must_be_repeated(line: Line, work_until_idle: Callable[..., None]) -> None:
    replay = make_plan(received(line, work_until_idle))
    Replay.objects.update(planned_at="2020-01-01T00:00Z")

    with pytest.raises(lifecycle.CannotReplay, match="more than an hour ago"):
        lifecycle.start(replay, Wishes(), None)

    assert not Participant.objects.filter(endpoint=line.jira_endpoint).exists()
