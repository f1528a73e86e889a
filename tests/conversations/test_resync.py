"""Resync: the last full state is routed again, and only what differs goes out."""

from collections.abc import Callable
from typing import Any

import pytest

from conversations.models import Message, MessageState, Participant
from conversations.resync import CannotResync, resync
from tests.conversations.world import Line, states
from tests.factories import make_conversation, make_endpoint, make_message, make_participant

Work = Callable[..., None]
CREATED = "2026-11-21 09:00:00"
UNFIT = [{}, {"state": "routed", "operation": "comment"}, {"state": "faulty", "operation": "update"}]


def forget_title(line: Line) -> None:
    """Let us believe that Jira's ticket has another title: as if somebody had changed it there unseen."""
    ticket = Participant.objects.get(endpoint=line.jira_endpoint)
    ticket.shadow["known"]["title"] = "Changed at Jira"
    ticket.save()


def ticket_of(line: Line) -> Participant:
    return Participant.objects.get(endpoint=line.snow)


def test_what_differs_is_sent_again(line: Line, work: Work) -> None:
    line.join()
    line.incident()
    work()
    line.jira.call("PUT", f"/rest/api/2/issue/{line.issue['id']}", json={"fields": {"summary": "Changed"}})
    forget_title(line)

    resync(ticket_of(line))
    work()

    assert line.issue["fields"]["summary"] == "Core switch drops uplink"
    assert states(endpoint=line.jira_endpoint) == ["delivered", "delivered"]


def test_what_is_the_same_is_not_written(line: Line, work: Work) -> None:
    line.join()
    line.incident()
    work()
    before = line.issue["fields"]["updated"]

    message = resync(ticket_of(line))
    work()

    message.refresh_from_db()
    assert message.state == MessageState.ROUTED
    assert line.issue["fields"]["updated"] == before


def test_comments_are_not_sent_twice(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    work()
    note = {"sys_id": "n" * 32, "element": "comments", "value": "Any news?", "sys_created_on": CREATED}
    line.incident("a" * 32, "update", comments=[note])
    work()
    before = line.comments()

    resync(ticket_of(line))
    work()

    assert len(before) == 1
    assert line.comments() == before


def make_ticket(**fields: Any) -> Participant:
    """A ticket about which its endpoint has told `fields`, if any."""
    conversation = make_conversation()
    endpoint = make_endpoint(environment=conversation.environment)
    if fields:
        make_message(endpoint, conversation=conversation, **fields)
    return make_participant(conversation, endpoint)


@pytest.mark.django_db
def test_event_is_no_duplicate_of_itself() -> None:
    ticket = make_ticket(state="routed", operation="update", event_id="e1")

    message = resync(ticket)

    assert message.state == MessageState.RECEIVED
    assert not Message.objects.filter(event_id="e1").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("told", UNFIT)
def test_without_a_full_state_it_says_so(told: dict[str, str]) -> None:
    ticket = make_ticket(**told)

    with pytest.raises(CannotResync, match="no create or update of this ticket is kept"):
        resync(ticket)


@pytest.mark.django_db
def test_newer_message_on_its_way_goes_first() -> None:
    ticket = make_ticket(state="routed", operation="update")
    make_message(ticket.endpoint)

    with pytest.raises(CannotResync, match="Try again in a moment"):
        resync(ticket)

    assert Message.objects.count() == 2


@pytest.mark.django_db
def test_what_the_message_does_not_tell_stays_known() -> None:
    ticket = make_ticket(
        state="routed", operation="update", body={"canonical": {"attributes": {"title": "New"}}}
    )
    ticket.shadow = {"known": {"title": "New", "owner": "Ada"}, "written": {}, "codes": {"title": "1"}}
    ticket.save()

    resync(ticket)

    ticket.refresh_from_db()
    assert ticket.shadow["known"] == {"owner": "Ada"}
    assert ticket.shadow["codes"] == {}
