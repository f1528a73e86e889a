"""Recorded Jira webhooks read as canonical messages."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from endpoints.adapters.base import (
    EntityConfig,
    Received,
    Unreadable,
)
from endpoints.adapters.jira import JiraAdapter
from endpoints.canonical import CanonicalMessage, EntityKind, Operation, Visibility
from tests.endpoints.adapters.conftest import RECEIVED_AT, jira_config, payload, received

ANY = EntityConfig("issue", EntityKind.TASK, "*")


def read(name: str, settings: dict[str, str] | None = None, **parameters: str) -> CanonicalMessage:
    adapter = JiraAdapter(jira_config(settings=settings or {}))
    return adapter.read(received(payload(name), **parameters))


def test_created_issue_gives_names_and_ids() -> None:
    message = read("jira-issue_created")

    assert (message.operation, message.entity_type) == (Operation.CREATE, "incident")
    assert (message.external_id, message.number) == ("10007", "OPS-7")
    assert message.link == "https://acme.atlassian.example/browse/OPS-7"
    assert [message.attributes[name] for name in ("title", "status", "reporter", "project", "parent")] == [
        "VPN drops every hour",
        "To Do",
        "Sofia Berg",
        "OPS",
        "OPS-1",
    ]
    assert (message.codes["status"], message.codes["reporter"]) == ("10000", "712020:bb22")


def test_description_is_plain_text() -> None:
    assert read("jira-issue_created").attributes["description"] == (
        "What happens\nThe tunnel closes, see the log (https://logs.acme.example/vpn) "
        "and @712020:bb22.\n\n1. connect\n2. wait\n  * an hour\n\nping -c 1 gw"
    )


def test_custom_fields_become_plain_values() -> None:
    attributes = read("jira-issue_created").attributes

    assert attributes["customfield_10050"] is None
    assert attributes["customfield_10051"] == "2 - High"
    assert attributes["customfield_10052"] == Decimal("12.5")
    assert attributes["customfield_10053"] == ["Mika Laine", "Sofia Berg"]
    assert attributes["customfield_10054"] == datetime(2026, 11, 22, 6, tzinfo=UTC)


def test_dates_begin_in_the_endpoints_zone() -> None:
    attributes = read("jira-issue_created").attributes

    assert attributes["due_at"] == datetime(2026, 11, 29, 23, tzinfo=UTC)
    assert attributes["created_at"] == datetime(2026, 11, 21, 9, 15, 0, 123000, tzinfo=UTC)


def test_our_label_is_the_effect_key() -> None:
    message = read("jira-issue_created")

    assert message.effect_key == "5f0c9a"
    assert message.attributes["labels"] == ["network"]


def test_reference_field_is_the_effect_key() -> None:
    body = payload("jira-issue_created")
    body["issue"]["fields"]["customfield_10050"] = "77aa"
    adapter = JiraAdapter(jira_config(settings={"reference_field": "customfield_10050"}))

    assert adapter.read(received(body)).effect_key == "77aa"


def test_change_may_bring_a_comment_along() -> None:
    message = read("jira-issue_updated")

    assert message.operation is Operation.UPDATE
    assert message.attributes["status"] == "In Progress"
    assert [comment.text for comment in message.comments] == ["On it."]
    assert message.actor.id == "712020:aa11"


def test_comment_without_change_is_a_comment() -> None:
    body = {**payload("jira-issue_updated"), "changelog": {"items": []}}

    assert JiraAdapter(jira_config()).read(received(body)).operation is Operation.COMMENT


def test_comment_event_keeps_lines_and_author() -> None:
    [comment] = read("jira-comment_created").comments

    assert comment.text == "Restarted the gateway.\nPlease try again."
    assert (comment.id, comment.author.name) == ("10202", "Mika Laine")
    assert comment.at == datetime(2026, 11, 21, 9, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "project_type", "expected"),
    [
        ({"jsdPublic": True}, "service_desk", Visibility.PUBLIC),
        ({"jsdPublic": False}, "software", Visibility.INTERNAL),
        ({}, "software", Visibility.PUBLIC),
        ({}, "service_desk", Visibility.INTERNAL),
        ({}, None, Visibility.INTERNAL),
        (
            {"jsdPublic": True, "visibility": {"type": "role", "value": "A"}},
            "software",
            Visibility.INTERNAL,
        ),
        (
            {"properties": [{"key": "sd.public.comment", "value": {"internal": True}}]},
            "software",
            Visibility.INTERNAL,
        ),
    ],
)
def test_comment_is_public_only_when_certain(
    changes: dict[str, Any], project_type: str | None, expected: Visibility
) -> None:
    body = payload("jira-comment_created")
    del body["comment"]["jsdPublic"]
    body["comment"].update(changes)
    body["issue"]["fields"]["project"]["projectTypeKey"] = project_type

    [comment] = JiraAdapter(jira_config()).read(received(body)).comments

    assert comment.visibility is expected


def test_unmarked_comments_can_be_declared_public() -> None:
    message = read("jira-comment_data_center", {"unmarked_comments": "public"}, entity_type="Incident")

    assert message.comments[0].visibility is Visibility.PUBLIC


def test_data_center_comment_names_its_issue() -> None:
    message = read("jira-comment_data_center", entity_type="Incident", issue__key="NET-9")

    assert (message.external_id, message.number) == ("26313", "NET-9")
    assert message.actor.id == "mlaine"


def test_attachment_event_needs_the_issue_in_its_address() -> None:
    message = read("jira-attachment_created", entity_type="Incident", issue__id="10007")

    assert (message.operation, message.external_id) == (Operation.ATTACH, "10007")
    assert (message.attachments[0].file_name, message.attachments[0].size) == ("trace.pcap", 2048)


def test_only_new_files_of_a_change_are_told() -> None:
    message = read("jira-issue_updated_attachment")

    assert message.operation is Operation.ATTACH
    assert [file.file_name for file in message.attachments] == ["trace.pcap"]


def test_delivery_id_is_the_event_id() -> None:
    headers = {"x-atlassian-webhook-identifier": "d1"}
    message = Received(payload("jira-issue_created"), {}, headers, RECEIVED_AT)

    assert JiraAdapter(jira_config()).read(message).event_id == "d1"


def test_star_takes_every_issue_type() -> None:
    adapter = JiraAdapter(jira_config(entities=(ANY,)))

    assert adapter.read(received(payload("jira-issue_created"))).entity_type == "issue"


def test_issue_type_id_selects_too() -> None:
    entity = EntityConfig("fault", EntityKind.INCIDENT, "Incident", resolving_value="10004")

    assert (
        JiraAdapter(jira_config(entities=(entity,))).read(received(payload("jira-issue_created"))).entity_type
        == "fault"
    )


def test_documents_are_read_like_wiki_text() -> None:
    body = payload("jira-comment_created")
    line = {"type": "paragraph", "content": [{"type": "text", "text": "From version 3"}]}
    body["comment"]["body"] = {"type": "doc", "version": 1, "content": [line]}

    assert JiraAdapter(jira_config()).read(received(body)).comments[0].text == "From version 3"


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("jira-issue_created", {"webhookEvent": "worklog_updated"}, "is not exchanged"),
        ("jira-issue_created", {"webhookEvent": ""}, "no Jira webhook"),
        ("jira-attachment_created", {}, "Add \\?entity_type="),
        (
            "jira-issue_created",
            {"issue": {"id": "1", "fields": {"issuetype": {"name": "Epic"}}}},
            "“Epic”",
        ),
        ("jira-issue_created", {"issue": {"fields": {"issuetype": {"name": "Task"}}}}, "issue.id="),
    ],
)
def test_unreadable_webhooks_say_what_to_do(name: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        JiraAdapter(jira_config()).read(received({**payload(name), **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        {"timestamp": 10**30, "user": []},
        {"issue": {"id": "1", "fields": {"issuetype": {"name": "Task"}, "created": "2026-13-45T99:00:00Z"}}},
        {"issue": {"id": "1", "fields": {"issuetype": {"name": "Task"}, "x": {"value": 1, "child": {}}}}},
        {"comment": {"id": 5, "body": {"type": "doc", "content": [{"type": "text", "marks": [1]}, 7]}}},
        {"changelog": [], "comment": "x"},
    ],
)
def test_damaged_parts_do_not_stop_reading(damage: dict[str, Any]) -> None:
    message = JiraAdapter(jira_config()).read(received({**payload("jira-issue_updated"), **damage}))

    assert message.external_id in ("1", "10007")
