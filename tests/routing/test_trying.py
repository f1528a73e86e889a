"""A rule tried on one message: each condition and each mapping says what it gives, and why nothing."""

from typing import Any

from oneio.paths import MISSING
from routing.mapping import TargetAction
from routing.trying import Given, Trial, try_on
from tests.routing.test_drafting import compiled

DOCUMENT = {"attributes": {"title": "Down", "priority": "1"}, "message": {"number": "INC1"}}


def tried(action: TargetAction | None = "create", document: dict[str, Any] = DOCUMENT, **parts: Any) -> Trial:
    return try_on(compiled(**parts), document, action)


def outcome(**row: Any) -> Given:
    return tried(outgoing=[{"source": "title", "target": "title", **row}]).given[0]


def test_value_is_given_with_its_target() -> None:
    assert outcome().values == {"title": "Down"}


def test_each_way_to_give_nothing_has_its_reason() -> None:
    other = [{"attribute": "priority", "operator": "equals", "value": "2"}]

    assert (outcome(source="nowhere").fate, outcome(source="nowhere", missing="clear").fate) == (
        "nothing",
        "cleared",
    )
    assert outcome(only_on="update").why == "only on update"
    assert outcome(when=other).why == "its condition does not hold"


def test_failing_mapping_stops_no_other() -> None:
    rows = [{"source": "nowhere", "target": "a", "missing": "hold"}, {"source": "title", "target": "b"}]

    trial = tried(outgoing=rows)

    assert [one.fate for one in trial.given] == ["failed", "value"]
    assert trial.given[0].why.startswith("a must have a value")
    assert trial.outgoing == {"b": "Down"}


def test_appended_text_stands_behind_what_earlier_rows_gave() -> None:
    rows = [
        {"source": "title", "target": "text"},
        {"kind": "append", "source": "priority", "target": "text"},
    ]

    assert tried(outgoing=rows).outgoing == {"text": "Down\n1"}


def test_variables_are_read_by_conversation_and_outgoing_rows() -> None:
    trial = tried(
        variables=[{"source": "title", "target": "name"}],
        conversation=[{"source": "variables.name", "target": "kept"}],
        outgoing=[{"source": "variables.name", "target": "title"}],
    )

    assert (trial.conversation, trial.outgoing) == ({"kept": "Down"}, {"title": "Down"})


def test_conditions_answer_one_by_one() -> None:
    trial = tried(
        when=[
            {"attribute": "priority", "operator": "equals", "value": "2"},
            {"attribute": "nowhere", "operator": "not_exists"},
        ]
    )

    assert [(one.holds, one.actual) for one in trial.answers] == [(False, "1"), (True, MISSING)]
    assert trial.matched is False


def test_comment_is_worded_only_with_one() -> None:
    row = {"source": "comment.text", "target": "comment"}

    silent = tried(outgoing=[row]).given[0]
    said = tried(document={**DOCUMENT, "comment": {"text": "Hello"}}, outgoing=[row]).given[0]

    assert silent.why == "only for messages with a comment"
    assert said.values == {"comment": "Hello"}
