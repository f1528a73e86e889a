"""What keeping the trace of a decision adds to a message, beside the statement that is written anyway.

Usage: python -m benchmarks.traces   (prints milliseconds and bytes for one message; no database)
"""

from __future__ import annotations

import json
import os
import sys
import time

import django

django.setup()

import orjson  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

from benchmarks.decisions import facts_of_one  # noqa: E402
from routing import trace  # noqa: E402

REPETITIONS = 2000
_CIPHER = AESGCM(AESGCM.generate_key(256))


def measure() -> dict[str, float]:
    """Milliseconds to gather, write as JSON and seal one trace, and its size."""
    facts = facts_of_one()
    began = time.perf_counter()
    for _ in range(REPETITIONS):
        told = {"found": "new", "revision": 1, **trace.to_json(facts, with_participants=False)}
        sealed = _CIPHER.encrypt(os.urandom(12), orjson.dumps(told), b"place")
    took = (time.perf_counter() - began) * 1000 / REPETITIONS
    return {"ms": round(took, 4), "bytes": len(sealed)}


if __name__ == "__main__":
    json.dump(measure(), sys.stdout)
