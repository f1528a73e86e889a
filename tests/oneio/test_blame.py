"""What is logged of an unexpected error."""

from oneio.blame import place_of


def test_place_names_kind_and_line_but_no_text() -> None:
    try:
        int("INC0010001 is secret")
    except ValueError as error:
        place = place_of(error)

    assert place.startswith("ValueError at test_blame.py:")
    assert "secret" not in place


def test_error_never_raised_has_only_its_kind() -> None:
    assert place_of(KeyError("x")) == "KeyError"
