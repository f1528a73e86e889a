"""The part of the benchmarks that is about pages: how long the server takes for them over a full database."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.product import installed

MESSAGES = 1_000_000


def run(scale: float, out: Path | None) -> int:
    """Fill a fresh installation, measure, print and keep; always 0: figures are for people to judge."""
    with installed() as product:
        product.set_up()
        found = json.loads(product.python("benchmarks.page_times", str(int(MESSAGES * scale))))
    table = Table(
        "Page", "p50 ms", "p95 ms", title=f"Server time of a page over {found['messages']:,} messages"
    )
    for name, (p50, p95) in found["pages"].items():
        table.add_row(name, f"{p50:.0f}", f"{p95:.0f}")
    Console().print(table)
    if out:
        out.write_text(json.dumps(found, indent=2) + "\n")
    return 0
