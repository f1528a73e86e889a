"""What is sent for a delivery: worked out from its snapshot, the same each time, without any database."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conversations import sender
from conversations.models import Delivery, Participant
from conversations.sender import Job, command_for, outgoing, perform
from endpoints.adapters.base import Action
from endpoints.outcomes import Failure, Found, Result
from tests.conversations.desk import TITLE, DeskAdapter, Office, office
from tests.conversations.workers import expire_leases, take

pytestmark = pytest.mark.django_db(transaction=True)
EVERYTHING = ["create", "update", "comment"]


@pytest.fixture
def place() -> Iterator[Office]:
    with office() as found:
        yield found


def next_job(place: Office) -> Job:
    [job] = take(place.target.pk)
    return job


def second_job(place: Office, **body: Any) -> Job:
    """The job of a message about a ticket that the target has already."""
    place.first(ticket="a")
    place.deliver()
    place.first(ticket="a", **{"title": "later", "operation": "update"} | body)
    return next_job(place)


def test_first_delivery_creates_the_ticket(place: Office) -> None:
    place.rule()
    place.first(title="Down")

    command = command_for(job := next_job(place), job.endpoint.adapter)

    assert command is not None
    assert (command.action, command.target, command.attributes) == (Action.CREATE, None, {"title": "Down"})
    assert command.effect_key == Delivery.objects.get().effect_key


def test_same_job_gives_the_same_command(place: Office) -> None:
    place.rule(TITLE, {"category": "variable", "kind": "constant", "constant": "1", "target": "n"})
    place.first()
    job = next_job(place)

    assert command_for(job, job.endpoint.adapter) == command_for(job, job.endpoint.adapter)


def test_update_sends_only_what_differs(place: Office) -> None:
    place.rule(TITLE, {"source": "priority", "target": "priority"})

    job = second_job(place, priority="high", title="Down")
    command = command_for(job, job.endpoint.adapter)

    assert command is not None
    assert (command.action, command.attributes) == (Action.UPDATE, {"priority": "high"})


def test_variables_come_from_the_snapshot(place: Office) -> None:
    place.rule(
        {"category": "variable", "source": "title", "target": "short"},
        {"kind": "template", "template": "[{{ variables.short }}]", "target": "title"},
    )
    place.first(title="Down")

    perform(next_job(place), place.http)

    assert place.desk.tickets == {"1": {"title": "[Down]"}}


def test_mapping_counts_for_its_action_at_the_target(place: Office) -> None:
    place.rule(
        TITLE,
        {"kind": "constant", "constant": "new", "target": "status", "only_on": "create"},
        {"kind": "constant", "constant": "seen", "target": "priority", "only_on": "update"},
    )

    job = second_job(place, title="later")
    command = command_for(job, job.endpoint.adapter)

    assert place.desk.tickets["1"]["status"] == "new"
    assert "priority" not in place.desk.tickets["1"]
    assert command is not None
    assert command.attributes == {"title": "later", "priority": "seen"}


SPLIT = {
    "kind": "split",
    "source": "title",
    "separator": ",",
    "target": "title",
    "further_targets": ["priority"],
}


def test_every_target_of_a_mapping_can_be_edited(place: Office) -> None:
    place.rule(SPLIT, {"kind": "constant", "constant": "seen", "target": "priority", "only_on": "update"})
    place.first(title="Down, high")

    shown = outgoing(next_job(place))

    assert [(one.name, one.value) for one in shown] == [("title", "Down"), ("priority", "high")]


def test_edited_target_leaves_the_mappings_others(place: Office) -> None:
    place.rule(SPLIT)
    place.first(title="Down, high")
    job = replace(next_job(place), overrides={"title": "Up"})

    command = command_for(job, job.endpoint.adapter)

    assert command is not None
    assert command.attributes == {"title": "Up", "priority": "high"}


def test_mapping_may_read_the_other_tickets(place: Office) -> None:
    slug = place.source.slug
    place.rule(
        {"source": f"participants.{slug}.external_id", "target": "title"},
        {"source": f"participants.{slug}.attributes.title", "target": "priority"},
        {"source": "participants.nowhere.number", "target": "status", "missing": "default", "default": "-"},
    )
    place.first(ticket="a", title="Down")

    perform(next_job(place), place.http)

    assert place.desk.tickets == {"1": {"title": "a", "priority": "Down", "status": "-"}}


def test_comment_goes_to_the_known_ticket(place: Office) -> None:
    place.rule(operations=EVERYTHING)

    job = second_job(place, operation="comment", title="Down", comments=["Is it back?"])
    perform(job, place.http)

    assert place.desk.requests == [Action.CREATE, Action.COMMENT]
    assert place.desk.comments == ["Is it back?"]


def test_comment_is_worded_by_the_rule(place: Office) -> None:
    wording = {"kind": "template", "template": "They say: {{ comment.text }}", "target": "comment"}
    place.rule(TITLE, wording, operations=EVERYTHING)

    perform(second_job(place, operation="comment", title="Down", comments=["yes"]), place.http)

    assert place.desk.comments == ["They say: yes"]


def test_comment_without_a_ticket_is_refused(place: Office) -> None:
    place.rule(operations=EVERYTHING)
    place.first(ticket="a", comments=["one"])
    Delivery.objects.filter(part="record").update(state="skipped")

    done = perform(next_job(place), place.http)

    assert done.no_ticket
    assert place.desk.requests == []


def test_rule_that_may_not_create_sends_nothing(place: Office) -> None:
    place.rule(operations=["update", "create"])
    place.first(ticket="a")
    place.deliver()
    place.first(ticket="a", title="later")
    Participant.objects.filter(endpoint=place.target).update(external_id=None)
    job = next_job(place)
    object.__setattr__(job.rule, "operations", frozenset({"update"}))

    assert perform(job, place.http).no_ticket


def test_nothing_to_change_sends_nothing(place: Office) -> None:
    place.rule({"kind": "constant", "constant": "x", "target": "title"})

    done = perform(second_job(place), place.http)

    assert done.nothing_to_do
    assert place.desk.requests == [Action.CREATE]


def test_unrenderable_command_says_why(place: Office) -> None:
    place.rule(TITLE, {"source": "priority", "target": "priority"})
    place.first(priority="unrenderable")

    done = perform(next_job(place), place.http)

    assert done.mapping_failed
    assert done.outcome is not None
    assert done.outcome.result is Result.NOT_SENT
    assert "Map another one" in done.outcome.detail


def test_bug_before_sending_is_an_outcome(place: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    place.rule()
    place.first(title="canary")
    monkeypatch.setattr(DeskAdapter, "render", lambda *_: {}["canary"])

    done = perform(next_job(place), place.http)

    assert done.outcome is not None
    assert (done.outcome.result, done.outcome.failure) == (Result.NOT_SENT, Failure.INTERNAL)


def test_bug_while_sending_leaves_arrival_unknown(
    place: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place.rule()
    place.first(title="canary")
    monkeypatch.setattr(DeskAdapter, "send", lambda *_: {}["canary"])

    done = perform(next_job(place), place.http)

    assert done.outcome is not None
    assert (done.outcome.result, done.outcome.code) == (Result.UNKNOWN, "KeyError")
    assert "canary" not in caplog.text


def test_create_in_doubt_is_looked_up(place: Office) -> None:
    place.rule()
    place.first()
    perform(next_job(place), place.http)
    expire_leases()

    done = perform(next_job(place), place.http)

    assert done.verification is not None
    assert done.verification.found is Found.YES
    assert place.desk.requests == [Action.CREATE]


def test_create_in_doubt_whose_ticket_is_known_becomes_an_update(place: Office) -> None:
    place.rule()
    place.first(title="Down")
    perform(next_job(place), place.http)
    Participant.objects.filter(endpoint=place.target).update(external_id="1")
    expire_leases()

    done = perform(next_job(place), place.http)

    assert done.action is Action.UPDATE
    assert done.verification is None
    assert place.desk.requests == [Action.CREATE, Action.UPDATE]


def test_sending_asks_the_database_nothing(place: Office, django_assert_num_queries: Any) -> None:
    place.rule()
    place.first()
    job = next_job(place)

    with django_assert_num_queries(0):
        done = sender.perform(job, place.http)

    assert done.outcome is not None
    assert done.outcome.confirmed
