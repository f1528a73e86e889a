"""Commands rendered as Jira requests."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from endpoints.adapters.base import (
    Action,
    Command,
    EntityConfig,
    Reference,
    Unrenderable,
)
from endpoints.adapters.jira import JiraAdapter
from endpoints.canonical import Comment, EntityKind, Visibility
from tests.endpoints.adapters.conftest import ISSUE, RECEIVED_AT, jira_config

ANY = EntityConfig("issue", EntityKind.TASK, "*")
V2 = {"api_version": "2"}


def command(action: Action = Action.CREATE, **changes: Any) -> Command:
    values: dict[str, Any] = {"entity": ISSUE, "effect_key": "5f0c9a", "attributes": {"title": "VPN is down"}}
    return Command(action, **{**values, **changes})


def fields_of(asked: Command, **settings: str) -> dict[str, Any]:
    plan = JiraAdapter(jira_config(settings=settings)).render(asked)
    fields: dict[str, Any] = plan.steps[0].body["fields"]
    return fields


def comment_body(visibility: Visibility, **settings: str) -> dict[str, Any]:
    asked = said(Reference("10007"), Comment("1", "Look at\nthe log", visibility))
    body: dict[str, Any] = JiraAdapter(jira_config(settings=settings)).render(asked).steps[0].body
    return body


def said(target: Reference, comment: Comment) -> Command:
    return command(Action.COMMENT, target=target, attributes={}, comment=comment)


def test_create_names_project_type_and_mark() -> None:
    assert fields_of(command()) == {
        "summary": "VPN is down",
        "project": {"key": "OPS"},
        "issuetype": {"name": "Incident"},
        "labels": ["oneio-5f0c9a"],
    }


def test_reference_field_replaces_the_label() -> None:
    fields = fields_of(command(), reference_field="customfield_10050")

    assert fields["customfield_10050"] == "5f0c9a"
    assert "labels" not in fields


def test_values_take_the_shape_of_their_field() -> None:
    attributes = {
        "title": "Line one\nline two",
        "priority": "High",
        "labels": "two words, other",
        "assignee": "712020:aa11",
        "components": ["VPN"],
        "due_at": datetime(2026, 11, 29, 23, tzinfo=UTC),
        "customfield_10051": "2 - High",
        "customfield_10052": Decimal("12.5"),
        "customfield_10054": datetime(2026, 11, 22, 6, tzinfo=UTC),
        "parent": {"id": "10001"},
        "resolution": None,
    }

    fields = fields_of(command(attributes=attributes), option_fields="customfield_10051")

    assert fields["summary"] == "Line one line two"
    assert fields["priority"] == {"name": "High"}
    assert fields["labels"] == ["two_words", "other", "oneio-5f0c9a"]
    assert fields["assignee"] == {"accountId": "712020:aa11"}
    assert fields["components"] == [{"name": "VPN"}]
    assert fields["duedate"] == "2026-11-30"
    assert fields["customfield_10051"] == {"value": "2 - High"}
    assert fields["customfield_10052"] == 12.5
    assert fields["customfield_10054"] == "2026-11-22T07:00:00.000+0100"
    assert (fields["parent"], fields["resolution"]) == ({"id": "10001"}, None)


def test_version_decides_how_texts_are_written() -> None:
    asked = command(attributes={"title": "x", "description": "a\nb"})

    assert fields_of(asked, **V2)["description"] == "a\nb"
    assert fields_of(asked)["description"]["type"] == "doc"


def test_data_center_names_people_and_speaks_version_2() -> None:
    asked = command(attributes={"title": "x", "assignee": "mlaine"})
    adapter = JiraAdapter(jira_config(settings={"deployment": "data_center"}))

    [step] = adapter.render(asked).steps

    assert step.path == "/rest/api/2/issue"
    assert step.body["fields"]["assignee"] == {"name": "mlaine"}


def test_status_is_a_step_of_its_own() -> None:
    asked = command(
        Action.UPDATE,
        target=Reference("10007"),
        attributes={"title": "x", "status": "Done", "resolution": "Duplicate"},
    )

    fields, status = JiraAdapter(jira_config()).render(asked).steps

    assert fields.body == {"fields": {"summary": "x"}}
    assert status.path == "/rest/api/3/issue/10007/transitions"
    assert status.body == {
        "transition": {"name": "Done"},
        "fields": {"resolution": {"name": "Duplicate"}},
    }


def test_comment_carries_our_key() -> None:
    body = comment_body(Visibility.PUBLIC, **V2)

    assert body == {
        "body": "Look at\nthe log",
        "properties": [{"key": "oneio", "value": {"effect_key": "5f0c9a"}}],
    }


def test_internal_comment_is_refused_until_it_is_set_how() -> None:
    with pytest.raises(Unrenderable, match="Internal comments"):
        comment_body(Visibility.INTERNAL)


def test_internal_comment_is_hidden_as_set() -> None:
    jsm = comment_body(Visibility.INTERNAL, internal_comments="jsm")
    role = comment_body(Visibility.INTERNAL, internal_comments="role", internal_comment_role="Agents")
    public = comment_body(Visibility.INTERNAL, internal_comments="as_public")

    assert {"key": "sd.public.comment", "value": {"internal": True}} in jsm["properties"]
    assert role["visibility"] == {"type": "role", "value": "Agents"}
    assert public.keys() == {"body", "properties"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (command(attributes={"title": "x" * 256}), "Truncate it in the mapping"),
        (command(attributes={"title": "x", "description": "x" * 32_768}), "Truncate it in the mapping"),
        (command(attributes={"description": "x"}), "Map something to title"),
        (command(attributes={"title": "x", "created_at": RECEIVED_AT}), "sets “created” itself"),
        (command(entity=ANY), "Map issuetype"),
        (command(Action.UPDATE), "which Jira issue"),
        (command(Action.WRITE_BACK, target=Reference("1")), "no partner ticket"),
    ],
)
def test_unrenderable_commands_say_what_to_do(asked: Command, words: str) -> None:
    with pytest.raises(Unrenderable, match=words):
        JiraAdapter(jira_config()).render(asked)


def test_create_without_project_says_where_to_set_it() -> None:
    with pytest.raises(Unrenderable, match="project key"):
        fields_of(command(), project="")


def test_ids_of_strangers_stay_inside_their_path() -> None:
    asked = said(Reference("../user?x="), Comment("1", "x", Visibility.PUBLIC))

    [step] = JiraAdapter(jira_config()).render(asked).steps

    assert step.path == "/rest/api/3/issue/..%2Fuser%3Fx%3D/comment"
