"""Differences name the place and what it was and is."""

from typing import Any

import pytest

from routing.portable.differences import differences


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"priority": 0}, {"priority": 5}, ["priority: 0 → 5"]),
        ({}, {"use_case": "P1"}, ["use_case: added P1"]),
        ({"use_case": "P1"}, {}, ["use_case: removed P1"]),
        ({"rows": [["a", "b"]]}, {"rows": [["a", "c"]]}, ["rows › a: b → c"]),
        ({"rows": [["a", "b"]]}, {"rows": [["a", "b"], ["d", ""]]}, ["rows › d: added empty"]),
        (
            {"outgoing": [{"target": "title", "source": "a"}]},
            {"outgoing": [{"target": "title", "source": "b"}, {"target": "no"}]},
            ["outgoing › title › source: a → b", "outgoing › no: added there"],
        ),
        (
            {"when": [{"attribute": "p", "operator": "equals", "value": "1"}]},
            {"when": [{"attribute": "p", "operator": "in", "values": ["1", "2"]}]},
            ["when: added p in 1, 2", "when: removed p equals 1"],
        ),
        (
            {"outgoing": [{"target": "a"}, {"target": "b"}]},
            {"outgoing": [{"target": "b"}, {"target": "a"}]},
            ["outgoing › order: a, b → b, a"],
        ),
        (
            {"delays": []},
            {"delays": [{"kind": "time", "seconds": 75}]},
            ["delays: added waits until 1 min 15 s after it was received", "delays: removed nothing"],
        ),
        ({"x": {"y": [1]}}, {"x": {"y": [1]}}, []),
    ],
)  # fmt: skip
def test_each_change_is_one_line(before: Any, after: Any, said: list[str]) -> None:
    assert list(map(str, differences(before, after))) == said


def test_second_row_of_a_target_is_told_apart() -> None:
    before = {"outgoing": [{"target": "a", "source": "x"}, {"target": "a", "source": "y"}]}
    after = {"outgoing": [{"target": "a", "source": "x"}, {"target": "a", "source": "z"}]}

    assert list(map(str, differences(before, after))) == ["outgoing › a (2) › source: y → z"]
