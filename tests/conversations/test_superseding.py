"""Superseding: while a target cannot be reached only the latest state waits, and no change is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from conversations.deliveries import supersede
from conversations.models import Delivery
from endpoints import gates
from tests.conversations.world import Line, publish, states
from tests.factories import make_delivery, make_participant

Work = Callable[..., None]
MAPPINGS = [{"source": "title", "target": "title"}, {"source": "description", "target": "description"}]
SYS_ID = "a" * 32


def begin(line: Line, work: Work, mappings: list[dict[str, Any]] = MAPPINGS, **fields: Any) -> None:
    """A ticket on both sides, and a target for which everything waits."""
    fields = {"supersede": True} | fields
    publish(line.snow, line.jira_endpoint, mappings, write_back=False, **fields)
    line.incident(SYS_ID)
    work()
    gates.suspend(line.jira_endpoint)


def update(line: Line, **changes: Any) -> None:
    line.incident(SYS_ID, "update", **changes)


def test_newest_update_replaces_waiting_ones(line: Line, work: Work) -> None:
    begin(line, work)
    for title in ("One", "Two", "Three"):
        update(line, short_description=title)
        work()

    assert states() == ["delivered", "superseded", "superseded", "queued"]
    _, one, two, three = Delivery.objects.order_by("id")
    assert (one.superseded_by, two.superseded_by) == (two, three)


def test_updates_of_one_batch_replace_each_other(line: Line, work: Work) -> None:
    begin(line, work)
    for title in ("One", "Two", "Three"):
        update(line, short_description=title)
    work()

    assert states() == ["delivered", "superseded", "superseded", "queued"]


def test_no_change_of_the_replaced_is_lost(line: Line, work: Work) -> None:
    begin(line, work)
    update(line, short_description="Down", description="Since noon")
    update(line, short_description="Down", description="Since noon", urgency="1")
    work()

    gates.resume(line.jira_endpoint)
    work()

    assert states() == ["delivered", "superseded", "delivered"]
    assert line.issue["fields"]["summary"] == "Down"
    assert line.issue["fields"]["description"] == "Since noon"


def test_update_that_does_not_tell_all_replaces_nothing(line: Line, work: Work) -> None:
    begin(line, work)
    update(line, description="Since noon")
    update(line, short_description="Down")
    work()

    gates.resume(line.jira_endpoint)
    work()

    assert states() == ["delivered"] * 3
    assert line.issue["fields"]["description"] == "Since noon"


def test_changes_keep_the_value_before_the_first(line: Line, work: Work) -> None:
    begin(line, work)
    for title in ("One", "Two"):
        update(line, short_description=title)
    work()

    newest = Delivery.objects.latest("id")

    assert newest.content.snapshot["changed"]["title"] == "Core switch drops uplink"


@pytest.mark.parametrize(
    ("fields", "mappings"),
    [
        ({"supersede": False}, MAPPINGS),
        ({}, [*MAPPINGS, {"kind": "append", "source": "urgency", "target": "resolution_notes"}]),
    ],
    ids=["unless the rule wants it", "where something is appended"],
)
def test_each_update_is_sent(
    line: Line, work: Work, fields: dict[str, Any], mappings: list[dict[str, Any]]
) -> None:
    begin(line, work, mappings, **fields)
    for title in ("One", "Two"):
        update(line, short_description=title)
    work()

    assert states() == ["delivered", "queued", "queued"]


def test_create_is_never_replaced(line: Line, work: Work) -> None:
    publish(line.snow, line.jira_endpoint, MAPPINGS, write_back=False, supersede=True)
    gates.suspend(line.jira_endpoint)
    line.incident(SYS_ID)
    for title in ("One", "Two"):
        update(line, short_description=title)
    work()
    assert states() == ["queued", "superseded", "queued"]

    gates.resume(line.jira_endpoint)
    work()

    assert line.issue["fields"]["summary"] == "Two"


def queued_pair(**older: Any) -> tuple[Delivery, Delivery]:
    """Two updates of one ticket by one rule, the newer telling everything."""
    first = make_delivery(snapshot={"changed": {"title": "x"}}, **older)
    make_participant(first.conversation, first.endpoint)
    second = make_delivery(
        first.message, first.endpoint, rule=first.rule, lane=first.lane, snapshot={"changed": {}}
    )
    return first, second


@pytest.mark.django_db
@pytest.mark.parametrize(
    "older",
    [
        {"state": "sending"},
        {"state": "verifying"},
        {"state": "held", "hold_reason": "refused"},
        {"state": "delivered"},
        {"part": "comment:0"},
        {"part": "write_back"},
    ],
    ids=str,
)
def test_only_waiting_updates_are_replaced(older: dict[str, Any]) -> None:
    first, second = queued_pair(**older)

    assert supersede({(second.endpoint_id, second.effect_key): {"title"}}) == 0

    first.refresh_from_db()
    assert first.state == older.get("state", "queued")


@pytest.mark.django_db
def test_update_of_another_rule_is_left_alone() -> None:
    first, _ = queued_pair()
    other = make_delivery(first.message, first.endpoint, lane=first.lane, snapshot={"changed": {}})

    assert supersede({(other.endpoint_id, other.effect_key): {"title"}}) == 0
