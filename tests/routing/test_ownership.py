"""Whose value counts when both sides changed an attribute, and what a person is told of it."""

from datetime import UTC, datetime, timedelta

import pytest

from routing.changes import Shadow
from routing.ownership import Conflict, changed_there, settle, unagreed

THEN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
LATER = THEN + timedelta(minutes=1)
EDITED = Shadow(known={"title": "Theirs", "priority": "1"}, written={"title": "First", "priority": "1"})


def at(updated: datetime | None, written: datetime | None = None) -> Shadow:
    return Shadow({**EDITED.known, "updated_at": updated}, {**EDITED.written, "updated_at": written})


def settled(owner, shadow=EDITED, changed_at=None):
    return settle(shadow, {"title": "Ours", "priority": "2"}, {"title"}, {"title": owner}, changed_at)


@pytest.mark.parametrize(
    ("moved", "found"), [({"title", "priority"}, {"title"}), ({"priority"}, set()), (set(), set())]
)
def test_only_what_both_sides_changed_is_contested(moved, found):
    assert changed_there(EDITED, {"title": "Ours", "priority": "2"}, moved) == found


def test_what_was_never_written_is_not_contested():
    shadow = Shadow(known={"title": "Theirs"})

    assert changed_there(shadow, {"title": "Ours"}, {"title"}) == set()


@pytest.mark.parametrize(("before", "found"), [({"title": "Theirs"}, set()), ({"title": "First"}, {"title"})])
def test_value_that_the_source_knew_is_agreed(before, found):
    assert unagreed(EDITED, {"title"}, before) == found


def test_source_overwrites_and_says_what_was_lost():
    found = settled("source")

    assert found.attributes == {"title": "Ours", "priority": "2"}
    assert found.conflicts == (Conflict("title", "Theirs", "Ours", "source"),)


def test_target_keeps_its_value():
    found = settled("target")

    assert (found.attributes, found.conflicts) == ({"priority": "2"}, ())


@pytest.mark.parametrize(("ours", "sent"), [("Ours", "Theirs\nOurs"), ("heirs", "Theirs")])
def test_append_keeps_both_once(ours, sent):
    found = settle(EDITED, {"title": ours}, {"title"}, {"title": "append"}, None)

    assert (found.attributes, found.conflicts) == ({"title": sent}, ())


@pytest.mark.parametrize(
    ("there", "here", "sent"), [(THEN, LATER, {"title", "priority"}), (LATER, THEN, {"priority"})]
)
def test_newest_counts_by_the_systems_times(there, here, sent):
    found = settled("newest", at(there), here)

    assert (set(found.attributes), found.conflicts) == (sent, ())


@pytest.mark.parametrize(
    ("shadow", "here"),
    [(at(None), LATER), (at(THEN), None), (at(THEN), THEN), (at(THEN, written=THEN), LATER)],
)
def test_newest_that_cannot_be_told_leaves_theirs(shadow, here):
    found = settled("newest", shadow, here)

    assert set(found.attributes) == {"priority"}
    assert found.conflicts == (Conflict("title", "Theirs", "Ours", "target"),)
