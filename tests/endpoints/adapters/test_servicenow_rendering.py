"""Commands rendered as Table API requests."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from endpoints.adapters.base import Action, Command, EntityConfig, Reference, Unrenderable
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import Comment, EntityKind, Visibility
from tests.endpoints.adapters.conftest import INCIDENT, servicenow_config

SYS_ID = "6f1d2c3b4a5968778695a4b3c2d1e0f1"
JIRA_TICKET = Reference("10007", "OPS-7", "https://acme.atlassian.example/browse/OPS-7")
CHANGE = EntityConfig("change", EntityKind.CHANGE, "change_request")
EVENT = EntityConfig("event", EntityKind.EVENT, "em_event")


def command(action: Action = Action.CREATE, **changes: Any) -> Command:
    values: dict[str, Any] = {
        "entity": INCIDENT,
        "effect_key": "5f0c9a",
        "attributes": {"title": "Mail is down"},
    }
    return Command(action, **{**values, **changes})


def body_of(asked: Command) -> dict[str, Any]:
    [step] = ServiceNowAdapter(servicenow_config()).render(asked).steps
    body: dict[str, Any] = step.body
    return body


def test_create_carries_partner_and_mark() -> None:
    body = body_of(command(partner=JIRA_TICKET))

    assert body == {
        "correlation_id": "OPS-7",
        "short_description": "Mail is down",
        "correlation_display": "oneio:5f0c9a",
    }


def test_mapped_reference_wins_over_partner_number() -> None:
    asked = command(partner=JIRA_TICKET, attributes={"partner_reference": "EXT-1"})

    assert body_of(asked)["correlation_id"] == "EXT-1"


def test_values_are_written_as_people_type_them() -> None:
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    attributes = {"starts_at": at, "u_cost": Decimal("3.50"), "on_hold": True, "watch_list": ["a", "b"]}

    body = body_of(command(entity=CHANGE, attributes=attributes))

    assert body["start_date"] == "2026-11-22 00:00:00"
    assert (body["u_cost"], body["on_hold"], body["watch_list"]) == (3.5, "true", "a,b")


@pytest.mark.parametrize(
    ("visibility", "column"), [(Visibility.PUBLIC, "comments"), (Visibility.INTERNAL, "work_notes")]
)
def test_comment_goes_to_its_journal(visibility: Visibility, column: str) -> None:
    comment = Comment("1", "Try again", visibility)
    asked = command(Action.COMMENT, target=Reference(SYS_ID), attributes={}, comment=comment)

    plan = ServiceNowAdapter(servicenow_config()).render(asked)

    assert plan.steps[0].body == {column: "Try again"}
    assert not plan.repeatable


def test_update_without_journal_is_repeatable() -> None:
    adapter = ServiceNowAdapter(servicenow_config())
    target = Reference(SYS_ID)

    quiet = adapter.render(command(Action.UPDATE, target=target))
    noted = adapter.render(command(Action.UPDATE, target=target, attributes={"work_notes": "seen"}))

    assert (quiet.repeatable, noted.repeatable) == (True, False)
    assert quiet.steps[0].path == f"/api/now/table/incident/{SYS_ID}"


def test_empty_update_needs_no_request() -> None:
    asked = command(Action.UPDATE, target=Reference(SYS_ID), attributes={})

    assert ServiceNowAdapter(servicenow_config()).render(asked).steps == ()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (command(Action.UPDATE), "which ServiceNow record"),
        (command(attributes={"sys_created_on": "x"}), "sets “sys_created_on” itself"),
        (command(attributes={"title": {"a": "b"}}), "is a structure"),
        (command(Action.WRITE_BACK, target=Reference(SYS_ID)), "no partner ticket"),
        (
            command(Action.WRITE_BACK, entity=EVENT, target=Reference(SYS_ID), partner=JIRA_TICKET),
            "events have no correlation",
        ),
        (
            command(Action.COMMENT, entity=EVENT, target=Reference(SYS_ID), comment=Comment("1", "x")),
            "no comments on this kind",
        ),
    ],
)
def test_unrenderable_commands_say_what_to_do(asked: Command, words: str) -> None:
    with pytest.raises(Unrenderable, match=words):
        ServiceNowAdapter(servicenow_config()).render(asked)
