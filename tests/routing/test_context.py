"""The context document: what paths and templates find in it."""

from __future__ import annotations

import pytest

from routing.context import ROOTS, FoldedNames, attribute_of, locate, view


def test_names_are_found_in_any_case():
    names = FoldedNames({"Title": 1, "title": 2, "State": 3})

    assert (names["Title"], names["title"], names["STATE"]) == (1, 2, 3)
    assert dict(names) == {"Title": 1, "title": 2, "State": 3}
    assert len(names) == 3


def test_unknown_part_is_an_attribute():
    seen = view({"attributes": {"title": "Fire"}, "native": {"Title": "raw"}})

    assert seen["TITLE"] == "Fire"
    assert list(seen) == ["attributes", "native"]
    assert len(seen) == 2


def test_native_message_keeps_its_case():
    seen = view({"native": {"Title": "raw"}})

    assert "title" not in seen["native"]


@pytest.mark.parametrize("root", ROOTS)
def test_absent_part_is_never_an_attribute(root):
    assert root not in view({"attributes" if root != "attributes" else "x": {root: 1}})


def test_view_of_a_view_is_itself():
    seen = view({"attributes": {}})

    assert view(seen) is seen


@pytest.mark.parametrize(
    ("text", "path", "attribute"),
    [
        ("priority", "attributes.priority", "priority"),
        ("Attributes.priority.name", "attributes.priority.name", "priority"),
        ("native.priority", "native.priority", None),
        ("[0]", "attributes[0]", None),
        ("$", "attributes", None),
    ],
)
def test_paths_begin_at_the_top(text, path, attribute):
    assert str(locate(text)) == path
    assert attribute_of(locate(text)) == attribute
