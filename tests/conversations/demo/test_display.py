"""What a person sees of the demo, with and without a terminal."""

import io

import pytest
from rich.console import Console

from conversations.demo.display import Display


def show(console: Console) -> None:
    """One step that succeeds and one that does not."""
    with pytest.raises(ValueError, match="no"):
        tell(Display(console))


def tell(display: Display) -> None:
    """The same, not caught."""
    with display.part("An incident makes the round trip"):
        with display.step("Accepted by oneio") as line:
            line.tell("202")
        with display.step("Issue created in Jira"):
            raise ValueError("no")


def test_without_terminal_each_step_is_one_line() -> None:
    shown = io.StringIO()

    show(Console(file=shown))

    heading, first, second = shown.getvalue().splitlines()
    assert heading == "An incident makes the round trip"
    assert first.startswith("  ✓ Accepted by oneio: 202 (")
    assert second.startswith("  ✗ Issue created in Jira (")


def test_terminal_ends_with_final_state() -> None:
    shown = io.StringIO()

    show(Console(file=shown, force_terminal=True, width=80, color_system=None))

    last = shown.getvalue().rpartition("Accepted by oneio")[2]
    assert "202" in last
    assert "✗ Issue created in Jira" in last


def test_plain_letters_where_terminal_has_no_symbols() -> None:
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    show(Console(file=shown))

    shown.seek(0)
    assert "FAILED Issue created in Jira" in shown.read()
