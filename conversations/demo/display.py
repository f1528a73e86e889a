"""What a person sees while the demo runs: one line per step, live in a terminal, plain elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

DONE, FAILED, BUSY = "✓", "✗", "…"
PLAIN_MARKS = {DONE: "ok", FAILED: "FAILED", BUSY: "..."}
TITLE_WIDTH = 34


@dataclass(slots=True)
class Line:
    """One step: what happens, what came of it, and the seconds it took."""

    title: str
    began: float
    detail: str = ""
    mark: str = BUSY
    seconds: float = 0.0

    def tell(self, detail: str) -> None:
        """Show what is known so far."""
        self.detail = detail


class Display:
    """Shows steps as they happen. Without a terminal each is printed once, when it has ended."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._lines: list[Line] = []
        self._plain = PLAIN_MARKS if not self._has_symbols() else {}

    @contextmanager
    def part(self, heading: str) -> Iterator[None]:
        """A group of steps under a heading."""
        self._lines = []
        self.console.print(f"[bold]{heading}[/bold]")
        if not self.console.is_terminal:
            yield
            return
        with Live(get_renderable=self._render, console=self.console, refresh_per_second=12):
            yield

    @contextmanager
    def step(self, title: str) -> Iterator[Line]:
        """One step; marked as failed if the block raises."""
        line = Line(title, time.monotonic())
        self._lines.append(line)
        try:
            yield line
            line.mark = DONE
        except BaseException:
            line.mark = FAILED
            raise
        finally:
            line.seconds = time.monotonic() - line.began
            if not self.console.is_terminal:
                self._print(line)

    def say(self, text: RenderableType) -> None:
        """Print below the steps."""
        self.console.print(text, soft_wrap=True)

    def _print(self, line: Line) -> None:
        detail = f": {line.detail}" if line.detail else ""
        mark = self._plain.get(line.mark, line.mark)
        self.console.print(
            f"  {mark} {line.title}{detail} ({line.seconds:.1f} s)", soft_wrap=True, markup=False
        )

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(width=TITLE_WIDTH, no_wrap=True)
        table.add_column(style="cyan", overflow="fold")
        table.add_column(justify="right", style="dim", no_wrap=True)
        for line in self._lines:
            table.add_row(self._mark(line), line.title, line.detail, _time(line))
        return Padding(Group(table), (0, 0, 1, 2))

    def _mark(self, line: Line) -> RenderableType:
        if line.mark == BUSY:
            return Spinner("dots" if not self._plain else "line", style="yellow")
        symbol = self._plain.get(line.mark, line.mark)[0]
        return Text(symbol, style="bold green" if line.mark == DONE else "bold red")

    def _has_symbols(self) -> bool:
        try:
            f"{DONE}{FAILED}→".encode(self.console.encoding)
        except UnicodeEncodeError:
            return False
        return True


def _time(line: Line) -> str:
    seconds = time.monotonic() - line.began if line.mark == BUSY else line.seconds
    return f"{seconds:.1f} s"
