"""Whether cost stays flat: claiming, routing and accepting on a full database beside an empty one.

The filling rows are copies of real ones with short bodies, written by SQL. No workers run, so that nothing
but what is measured happens.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.load import Plan
from benchmarks.measurements import Percentiles
from benchmarks.product import Access, Product, installed

FINISHED = 1_000_000
WAITING = 50_000
"""Rows of each kind of waiting: messages to be routed, and routed ones to be delivered."""
DEAD = 60_000
DEAD_PER_LANE = 3
SEED_MESSAGES = 300
ACCEPTED = 1500
STEP = 50_000
FIRST_ID = 10_000_000
FILLER = "\\x" + "5a" * 256
_LATEST = {
    "conversations_messagebody": "(SELECT b FROM conversations_messagebody b JOIN conversations_message m"
    " ON m.response_id = b.id WHERE m.state = 'routed' LIMIT 1)",
    "conversations_message": "(SELECT m FROM conversations_message m WHERE state = 'routed' LIMIT 1)",
    "conversations_conversation": "(SELECT c FROM conversations_conversation c LIMIT 1)",
    "conversations_lane": "(SELECT l FROM conversations_lane l WHERE due_at IS NOT NULL LIMIT 1)",
    "conversations_deliverycontent": "(SELECT c FROM conversations_deliverycontent c LIMIT 1)",
    "conversations_delivery": "(SELECT d FROM conversations_delivery d WHERE state = 'queued' LIMIT 1)",
    "source": "(SELECT p FROM conversations_participant p WHERE external_id IS NOT NULL LIMIT 1)",
    "target": "(SELECT p FROM conversations_participant p WHERE external_id IS NULL LIMIT 1)",
}
_ATTEMPTS = """
    INSERT INTO conversations_attempt
        (id, organization_id, delivery_id, purpose, token, started_at, ended_at, result, failure, code)
    SELECT {key}, d.organization_id, n, 'send', 1, now(), now(), 'confirmed', '', ''
    FROM generate_series(%s::bigint, %s::bigint) n,
         (SELECT organization_id FROM conversations_delivery LIMIT 1) d
"""


def run(scale: float, out: Path | None) -> int:
    """Measure, fill, measure again, print and keep; always 0, because figures are for people to judge."""
    with installed() as product:
        found = _measured(product, product.set_up(), scale)
    _show(found)
    if out:
        out.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _measured(product: Product, access: Access, scale: float) -> dict[str, Any]:
    product.start_web()
    plan = Plan(product.port, access.authorization, "G", SEED_MESSAGES)
    product.post(plan)
    product.python("benchmarks.probe", "prepare")
    with _database(product) as database:
        database.execute("VACUUM (ANALYZE)")
        empty = _look(product, access, "E")
        rows = _fill(database, scale)
        database.execute("VACUUM (ANALYZE)")
        full = _look(product, access, "F")
        with _snapshot(product):
            _leave_dead(database, rows["dead"])
            dead = _look(product, access, "D")
    return {"rows": rows, "empty": empty, "full": full, "dead": dead}


@contextlib.contextmanager
def _snapshot(product: Product) -> Iterator[None]:
    """A transaction that stays open, as that of a dump does: no dead row can be cleaned away."""
    with _database(product) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM conversations_lane")
        yield


def _leave_dead(database: psycopg.Connection[Any], number: int) -> None:
    """Leave so many dead rows of lanes that were due before all others."""
    lanes = [FIRST_ID, FIRST_ID + number // DEAD_PER_LANE]
    for due in ("now() - interval '1 day'", "now() - interval '1 hour'", "NULL"):
        database.execute(f"UPDATE conversations_lane SET due_at = {due} WHERE id >= %s AND id < %s", lanes)


def _look(product: Product, access: Access, prefix: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(product.python("benchmarks.probe", "measure"))
    sent = product.post(Plan(product.port, access.authorization, prefix, ACCEPTED, connections=4))
    accepting = Percentiles.of([row.answered - row.sent for row in sent[ACCEPTED // 5 :]])
    return found | {"accept_p50_ms": accepting.p50}


def _fill(database: psycopg.Connection[Any], scale: float) -> dict[str, int]:
    rows = {
        "finished": round(FINISHED * scale),
        "queued": round(WAITING * scale),
        "received": round(WAITING * scale),
    }
    first = FIRST_ID
    database.execute("SET session_replication_role = replica")
    for kind, number in rows.items():
        for begin, end in _steps(first, number):
            _write(database, kind, begin, end)
        first += number
    return rows | {"dead": min(DEAD, rows["finished"])}


def _database(product: Product) -> psycopg.Connection[Any]:
    return psycopg.connect(host=str(product.postgres.socket), user="oneio", dbname="oneio", autocommit=True)


def _steps(first: int, number: int) -> Iterator[tuple[int, int]]:
    for begin in range(first, first + number, STEP):
        yield begin, min(begin + STEP, first + number) - 1


def _write(database: psycopg.Connection[Any], kind: str, begin: int, end: int) -> None:
    """Rows of one kind, all tables, with the numbers `begin` to `end`."""
    received = kind == "received"
    body = {"id": _key(1), "raw": f"'{FILLER}'", "canonical": "NULL"}
    message = {"id": "n", "response_id": _key(1), "conversation_id": _key(2), "external_id": "'G' || n"}
    message |= {"event_id": "'G' || n"}
    if received:
        message |= {"state": "'received'", "conversation_id": "NULL", "routed_at": "NULL"}
    _copy(database, "conversations_messagebody", body, begin, end)
    _copy(database, "conversations_message", message, begin, end)
    if not received:
        _write_deliveries(database, kind == "finished", begin, end)


def _write_deliveries(database: psycopg.Connection[Any], finished: bool, begin: int, end: int) -> None:
    hidden = {"conversation_id": _key(2), "shadow": f"'{FILLER}'"}
    source = hidden | {"id": _key(3), "external_id": "'G' || n"}
    target = hidden | {"id": _key(4), "external_id": "'S' || n" if finished else "NULL"}
    lane = {"id": "n", "conversation_id": _key(2), "due_at": "NULL" if finished else "now()"}
    delivery = {
        "id": "n",
        "message_id": "n",
        "conversation_id": _key(2),
        "lane_id": "n",
        "content_id": _key(5),
    }
    delivery |= {"effect_key": "'G' || n", "state": "'delivered'" if finished else "'queued'"}
    _copy(database, "conversations_conversation", {"id": _key(2)}, begin, end)
    _copy(database, "conversations_participant", source, begin, end, model="source")
    _copy(database, "conversations_participant", target, begin, end, model="target")
    _copy(database, "conversations_lane", lane, begin, end)
    content = {"id": _key(5), "snapshot": f"'{FILLER}'"}
    _copy(database, "conversations_deliverycontent", content, begin, end)
    _copy(database, "conversations_delivery", delivery, begin, end)
    if finished:
        database.execute(_ATTEMPTS.format(key=_key(6)), [begin, end])


def _copy(
    database: psycopg.Connection[Any],
    table: str,
    values: dict[str, str],
    begin: int,
    end: int,
    model: str = "",
) -> None:
    """Copy a real row of the table for each number, with these columns (SQL over the number n) changed."""
    pairs = ", ".join(f"'{column}', {value}" for column, value in values.items())
    database.execute(
        f"INSERT INTO {table} SELECT (copied).* FROM (SELECT jsonb_populate_record(model, jsonb_build_object("
        f"{pairs})) AS copied FROM (SELECT {_LATEST[model or table]} AS model) one,"
        " generate_series(%s::bigint, %s::bigint) n) rows",
        [begin, end],
    )


def _key(kind: int) -> str:
    """SQL for a UUID made of a kind of row and the number n; it lies before all that the product makes."""
    return f"('00000000-0000-700{kind}-8000-' || lpad(to_hex(n), 12, '0'))::uuid"


def _show(found: dict[str, Any]) -> None:
    rows = found["rows"]
    table = Table("", "Empty", "Full", "Change", "Full, dead rows kept", title_justify="left")
    table.title = f"{rows['finished']:,} finished and {rows['queued'] + rows['received']:,} waiting messages"
    table.caption = f"Dead rows kept: {rows['dead']:,} of lanes, by a snapshot that stays open"
    for name, empty in found["empty"].items():
        full = found["full"][name]
        cells = (f"{empty:.2f}", f"{full:.2f}", f"{full / empty - 1:+.0%}", f"{found['dead'][name]:.2f}")
        table.add_row(name.replace("_", " "), *cells)
    Console().print(table)
