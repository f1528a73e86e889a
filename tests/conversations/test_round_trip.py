"""A ticket's way through the engine, with (simulated) systems on both sides, over real HTTP."""

import json
from collections.abc import Callable

from conversations.models import Conversation, Delivery, Message, Participant
from tests.conversations.world import Line, make_table, states
from tests.factories import make_message

Work = Callable[..., None]


def test_incident_becomes_one_issue(line: Line, work: Work) -> None:
    line.join()
    line.incident()

    work()

    assert line.issue["fields"]["summary"] == "Core switch drops uplink"
    assert Participant.objects.get(endpoint=line.jira_endpoint).number == line.issue["key"]


def test_update_reaches_the_same_issue(line: Line, work: Work) -> None:
    line.join()
    first = line.incident()
    work()

    line.incident(Participant.objects.get(endpoint=line.snow).external_id, "update", short_description="Down")
    work()

    assert line.issue["fields"]["summary"] == "Down"
    assert Conversation.objects.count() == 1
    assert Message.objects.get(pk=first.pk).state == "routed"


def test_update_sent_right_behind_the_create_waits_for_it(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)
    line.incident("a" * 32, "update", short_description="Down")
    line.incident("a" * 32, "update", short_description="Up again")

    work()

    assert line.issue["fields"]["summary"] == "Up again"
    assert states(endpoint=line.jira_endpoint) == ["delivered"] * 3


def test_issue_number_is_written_back(line: Line, work: Work) -> None:
    line.join()
    line.incident("a" * 32)

    work()

    assert line.record("a" * 32)["correlation_id"] == line.issue["key"]


def test_comment_arrives_once_with_its_author(line: Line, work: Work) -> None:
    wording = {
        "kind": "template",
        "template": "{{ comment.author.name }}: {{ comment.text }}",
        "target": "comment",
    }
    line.join([{"source": "title", "target": "title"}, wording])
    line.incident("a" * 32)
    work()
    note = {
        "sys_id": "c1",
        "element": "comments",
        "value": "Is it back?",
        "sys_created_by": "abel.tuter",
        "sys_created_on": "2026-01-01 10:00:00",
    }

    line.incident("a" * 32, "update", comments=[note])
    line.incident("a" * 32, "update", comments=[note])
    work()

    assert line.comments() == ["abel.tuter: Is it back?"]
    assert list(Message.objects.order_by("id").values_list("state", flat=True)) == [
        "routed",
        "routed",
        "echo",
    ]


def test_values_are_translated_by_a_table(line: Line, work: Work) -> None:
    table = make_table(line.snow, {"1 - Critical": "Highest"})
    line.join(
        [
            {"source": "title", "target": "title"},
            {"source": "priority", "target": "priority", "kind": "translate", "table": table},
        ]
    )
    line.incident(priority="1 - Critical")

    work()

    assert line.issue["fields"]["priority"]["name"] == "Highest"


def test_missing_table_row_holds_only_that_delivery(line: Line, work: Work) -> None:
    table = make_table(line.snow, {"1 - Critical": "Highest"}, name="Priorities")
    line.join(
        [
            {"source": "title", "target": "title"},
            {"source": "priority", "target": "priority", "kind": "translate", "table": table},
        ]
    )
    line.incident(priority="7 - Odd")
    line.incident(priority="1 - Critical")

    work()

    assert states(endpoint=line.jira_endpoint) == ["held", "delivered"]
    held = Delivery.objects.get(state="held")
    assert held.hold_reason == "mapping"
    assert "Priorities" in held.content.problem
    assert "7 - Odd" in held.content.problem


def test_unmatched_message_says_why(line: Line, work: Work) -> None:
    message = line.incident()

    work()

    message.refresh_from_db()
    assert (message.state, message.reason) == ("unmatched", "no_rule_for_entity")


def test_unknown_entity_type_is_recorded_as_faulty(line: Line, work: Work) -> None:
    line.join()
    message = make_message(line.snow, json.dumps({"entity_type": "kb_article", "sys_id": "1" * 32}).encode())

    work()

    message.refresh_from_db()
    assert message.state == "faulty"
    assert "kb_article" in message.body.problem
