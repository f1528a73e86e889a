"""Random bytes of the operating system, fetched many at a time: asking for a few costs a system call each.

Each thread has a supply of its own and a forked child begins with none, so no byte is ever given out twice.
"""

from __future__ import annotations

import os
import threading

SUPPLY_BYTES = 4096


class Supply(threading.local):
    """One thread's bytes that were fetched and not yet given out."""

    data = b""
    used = 0

    def take(self, count: int) -> bytes:
        """`count` bytes, SUPPLY_BYTES at most."""
        if self.used + count > len(self.data):
            self.data, self.used = os.urandom(SUPPLY_BYTES), 0
        begin, self.used = self.used, self.used + count
        return self.data[begin : self.used]

    def forget(self) -> None:
        """Give out nothing of what is left."""
        self.data, self.used = b"", 0


_supply = Supply()
os.register_at_fork(after_in_child=_supply.forget)
random_bytes = _supply.take
