"""How values read on a page."""

from datetime import UTC, datetime
from typing import Any

import pytest

from oneio.templatetags.oneio import attribute_value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["network", "vip"], "network, vip"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05 UTC"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        (7, "7"),
    ],
)
def test_attribute_reads_as_people_write_it(value: Any, shown: str) -> None:
    assert attribute_value(value) == shown


@pytest.mark.parametrize("value", [None, "", " ", []])
def test_nothing_is_a_dash(value: Any) -> None:
    assert "–" in attribute_value(value)
