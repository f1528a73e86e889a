"""The history checker finds each kind of harm that is planted in an otherwise sound history."""

from dataclasses import replace

from tests.faults.history import History, Standing, examine
from tests.faults.target import Applied

MARKS = ["A1-000", "A1-001", "A1-003"]
JOURNAL = [
    Applied("create", "T1", "A1-000", "key-0"),
    Applied("update", "T1", "A1-001", ""),
    Applied("comment", "T1", "A1-003", "key-3"),
]
SOUND = History(MARKS, MARKS, [JOURNAL], [Standing(mark, "delivered") for mark in MARKS], {"T1": "A1-001"})


def test_sound_history_has_no_findings() -> None:
    findings = examine(SOUND)

    assert findings.sound
    assert (findings.attempted, findings.acknowledged, findings.delivered) == (3, 3, 3)


def test_acknowledged_message_never_applied_is_lost() -> None:
    findings = examine(replace(SOUND, journals=[JOURNAL[:2]]))

    assert findings.lost == ["A1-003"]
    assert not findings.sound


def test_unacknowledged_message_is_not_lost() -> None:
    history = replace(SOUND, acknowledged=MARKS[:2], journals=[JOURNAL[:2]])

    assert examine(history).lost == []


def test_held_message_counts_with_its_reason() -> None:
    standings = [*SOUND.standings[:2], Standing("A1-003", "held", "unknown")]
    findings = examine(replace(SOUND, journals=[JOURNAL[:2]], standings=standings))

    assert findings.sound
    assert findings.held == {"unknown": 1}


def test_message_behind_held_head_is_held() -> None:
    standings = [*SOUND.standings[:2], Standing("A1-003", "queued", behind="unknown")]
    findings = examine(replace(SOUND, journals=[JOURNAL[:2]], standings=standings))

    assert findings.sound
    assert findings.held == {"behind unknown": 1}


def test_waiting_message_at_rest_is_unfinished() -> None:
    standings = [*SOUND.standings[:2], Standing("A1-003", "queued")]
    findings = examine(replace(SOUND, journals=[JOURNAL[:2]], standings=standings))

    assert findings.unfinished == ["A1-003"]
    assert not findings.sound


def test_second_ticket_is_a_duplicate() -> None:
    second = Applied("create", "T2", "A1-000", "key-0")

    assert examine(replace(SOUND, journals=[[*JOURNAL, second]])).duplicated == ["A1"]


def test_second_ticket_elsewhere_is_a_duplicate() -> None:
    second = Applied("create", "T1", "A1-000", "key-0")

    assert examine(replace(SOUND, journals=[JOURNAL, [second]])).duplicated == ["A1"]


def test_comment_applied_twice_is_a_duplicate() -> None:
    assert examine(replace(SOUND, journals=[[*JOURNAL, JOURNAL[2]]])).duplicated == ["A1-003"]


def test_update_repeated_at_once_is_no_harm() -> None:
    findings = examine(replace(SOUND, journals=[[*JOURNAL[:2], JOURNAL[1], JOURNAL[2]]]))

    assert findings.sound
    assert findings.reapplied == 1


def test_update_applied_after_later_one_is_inversion() -> None:
    findings = examine(replace(SOUND, journals=[[*JOURNAL, JOURNAL[1]]]))

    assert findings.out_of_order == ["A1-001"]
    assert not findings.sound


def test_older_last_value_is_overwritten() -> None:
    findings = examine(replace(SOUND, titles={"T1": "A1-000"}))

    assert findings.overwritten == ["T1"]
    assert not findings.sound


def test_lane_without_due_time_is_stuck() -> None:
    assert not examine(replace(SOUND, stuck=1)).sound


def test_report_counts_and_names_examples() -> None:
    document = examine(replace(SOUND, journals=[JOURNAL[:2]])).as_json()

    assert document["lost"] == 1
    assert document["examples"] == {"lost": ["A1-003"]}
