"""Recorded ServiceNow messages read as canonical messages."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from endpoints.adapters.base import Unreadable
from endpoints.adapters.servicenow import ServiceNowAdapter
from endpoints.canonical import CanonicalMessage, Operation, Visibility
from tests.endpoints.adapters.conftest import RECEIVED_AT, payload, received, servicenow_config

SYS_ID = "6f1d2c3b4a5968778695a4b3c2d1e0f1"


def read(name: str, **parameters: str) -> CanonicalMessage:
    return ServiceNowAdapter(servicenow_config()).read(received(payload(name), **parameters))


def test_insert_gives_display_values_and_codes() -> None:
    message = read("servicenow-insert")

    assert (message.operation, message.entity_type, message.external_id) == (
        Operation.CREATE,
        "incident",
        SYS_ID,
    )
    assert message.attributes["status"] == "In Progress"
    assert message.attributes["reporter"] == "Aino Virtanen"
    assert message.codes["status"] == "2"
    assert message.codes["reporter"] == "a1b2c3d4e5f60718293a4b5c6d7e8f90"


def test_times_are_utc_whatever_people_see() -> None:
    message = read("servicenow-insert")

    assert message.attributes["created_at"] == datetime(2026, 11, 21, 9, 41, 7, tzinfo=UTC)
    assert message.attributes["u_vendor_start"] == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert message.attributes["due_at"] is None
    assert message.occurred_at == datetime(2026, 11, 21, 9, 52, 30, tzinfo=UTC)


def test_system_and_journal_columns_are_no_attributes() -> None:
    attributes = read("servicenow-insert").attributes

    assert not {"sys_id", "number", "comments", "work_notes", "correlation_display"} & attributes.keys()
    assert attributes["u_site"] == "Espoo"
    assert attributes["active"] is True
    assert attributes["reassignment_count"] == 1


def test_resolved_ticket_stays_an_update() -> None:
    message = read("servicenow-update")

    assert message.operation is Operation.UPDATE
    assert message.attributes["resolution_notes"] == "Relay restarted"
    assert message.effect_key == "5f0c9a"
    assert message.attributes["partner_reference"] == "OPS-7"
    assert message.event_id == f"incident:{SYS_ID}:3:2026-11-21 09:52:30"


def test_comments_carry_their_visibility() -> None:
    message = read("servicenow-comment")

    assert message.operation is Operation.COMMENT
    assert [comment.visibility for comment in message.comments] == [
        Visibility.PUBLIC,
        Visibility.INTERNAL,
    ]
    assert message.comments[1].author.id == "beth.anglin"
    assert message.comments[1].at == datetime(2026, 11, 21, 9, 52, 31, tzinfo=UTC)


def test_deletion_is_another_event_than_the_last_update() -> None:
    deleted = read("servicenow-delete")

    assert deleted.operation is Operation.DELETE
    assert deleted.event_id != read("servicenow-comment").event_id


def test_flat_record_is_read_too() -> None:
    message = read("servicenow-flat")

    assert (message.operation, message.number) == (Operation.UPDATE, "INC0010042")
    assert message.attributes["title"] == "Mail gateway refuses connections"
    assert message.attributes["reporter"] == "a1b2c3d4e5f60718293a4b5c6d7e8f90"
    assert "entity_type" not in message.attributes


def test_table_api_answer_names_its_table_itself() -> None:
    message = read("servicenow-table_api")

    assert message.entity_type == "incident"
    assert message.operation is Operation.CREATE
    assert message.link == (f"https://acme.service-now.example/nav_to.do?uri=incident.do?sys_id={SYS_ID}")


def test_parameter_can_name_the_table() -> None:
    body = {"sys_id": SYS_ID, "quantity": "2.5", "configuration_item": "x", "cmdb_ci": "mail-gw-01"}

    message = ServiceNowAdapter(servicenow_config()).read(received(body, entity_type="sc_req_item"))

    assert message.attributes == {"quantity": Decimal("2.5"), "configuration_item": "mail-gw-01"}
    assert message.occurred_at == RECEIVED_AT


def test_attachments_of_the_message_are_read() -> None:
    file = {"sys_id": "f1", "file_name": "trace.txt", "content_type": "text/plain", "size_bytes": "12"}
    body = {**payload("servicenow-update"), "changes": [], "attachments": [file]}

    message = ServiceNowAdapter(servicenow_config()).read(received(body))

    assert message.operation is Operation.ATTACH
    assert (message.attachments[0].file_name, message.attachments[0].size) == ("trace.txt", 12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"entity_type": "u_unknown"}, "no active entity type for “u_unknown”"),
        ({"operation": "merge"}, "“merge” is not known"),
        ({"sys_id": "", "record": {}}, "no sys_id"),
        ({"record": []}, "not an object"),
        ({"result": [{}, {}]}, "one record"),
    ],
)
def test_unreadable_messages_say_what_to_do(changes: dict[str, Any], words: str) -> None:
    body = {**payload("servicenow-insert"), **changes}

    with pytest.raises(Unreadable, match=words):
        ServiceNowAdapter(servicenow_config()).read(received(body))
