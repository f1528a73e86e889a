"""The floor: the least durable work by hand, to compare with. No API, rules, order, attempts or encryption.

Each of some threads repeats, with a connection of its own and one commit per step: insert, claim, `requests`
POST, update. Usage: python -m benchmarks.floor MESSAGES SINK_URL < connection.json   (prints seconds)
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import psycopg
import requests

from benchmarks import incident

THREADS = 16
_TABLE = """
    CREATE TABLE IF NOT EXISTS floor_message (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        state text NOT NULL DEFAULT 'received', body bytea NOT NULL, status int
    );
    CREATE INDEX IF NOT EXISTS floor_waiting ON floor_message (id) WHERE state = 'received';
"""
_INSERT = "INSERT INTO floor_message (body) VALUES (%s)"
_CLAIM = """
    UPDATE floor_message SET state = 'sending' WHERE id = (
        SELECT id FROM floor_message WHERE state = 'received' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id, body
"""
_RECORD = "UPDATE floor_message SET state = 'delivered', status = %s WHERE id = %s"


def run(parameters: dict[str, Any], messages: int, sink_url: str) -> float:
    """Bring `messages` incidents to the sink; seconds from the first insert to the last update."""
    with psycopg.connect(**parameters, autocommit=True) as database:
        database.execute(_TABLE)
    bodies = [incident.body(f"F{number:06d}", 0) for number in range(messages)]
    shares = [bodies[number::THREADS] for number in range(THREADS)]
    threads = [threading.Thread(target=_work, args=(parameters, share, sink_url)) for share in shares]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def _work(parameters: dict[str, Any], share: list[bytes], sink_url: str) -> None:
    with psycopg.connect(**parameters, autocommit=True) as database, requests.Session() as session:
        session.trust_env = False
        for body in share:
            database.execute(_INSERT, [body])
            claimed = database.execute(_CLAIM).fetchone()
            if claimed is None:
                continue
            answer = session.post(
                f"{sink_url}/tickets", data=bytes(claimed[1]), headers={"Content-Type": "application/json"}
            )
            database.execute(_RECORD, [answer.status_code, claimed[0]])


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin), int(sys.argv[1]), sys.argv[2]), sys.stdout)
