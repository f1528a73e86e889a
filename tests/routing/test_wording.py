"""Conditions in words: as a person would say them, and safe to show."""

import pytest

from routing.compiled import Condition, Group
from routing.wording import delay_in_words, in_words

PRIORITY = Condition("priority", "in", values=("1 - Critical", "2 - High"))
FREE, MOVED = Condition("assignee", "not_exists"), Condition("status", "changed_from_to", values=("New", ""))


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([], "always"),
        ([PRIORITY], "priority is one of 1 - Critical or 2 - High"),
        ([FREE, MOVED], "assignee has no value, and status changes from New to anything"),
        ([Group("any", (FREE, MOVED))], "(assignee has no value or status changes from New to anything)"),
        ([Group("none", (FREE, Group("all", (FREE, FREE))))],
         "not (assignee has no value or (assignee has no value and assignee has no value))"),
        ([Condition("impact", "between", values=("1", "3"))], "impact is between 1 and 3"),
        ([Condition("labels", "has_all", values=("a", "b"))], "labels includes all of a and b"),
    ],
)  # fmt: skip
def test_conditions_read_like_a_sentence(nodes, words):
    assert in_words(nodes) == words


def test_path_and_value_are_shown_in_their_styles():
    shown = in_words([Condition("title", "contains", "x")], path=str.upper, value=lambda text: f"<{text}>")

    assert shown == "TITLE contains <x>"


@pytest.mark.parametrize(
    ("delay", "words"),
    [
        ({"kind": "time", "seconds": 75}, "1 min 15 s after it was received"),
        ({"kind": "time", "seconds": 86400}, "1 d after it was received"),
        ({"kind": "target"}, "the target's ticket is known"),
        ({"kind": "variable", "variable": "approved", "operator": "equals", "value": "yes"},
         "approved is yes"),
        ({"kind": "variable", "variable": "level", "operator": "in", "values": ["1", "2"]},
         "level is one of 1 or 2"),
        ({"kind": "variable", "variable": "approved", "operator": "exists"}, "approved has a value"),
    ],
)  # fmt: skip
def test_delay_says_what_is_waited_for(delay, words):
    assert delay_in_words(delay) == words
