"""Tables of a sandbox system, kept in memory and in a journal file that survives a kill."""

import base64
import fcntl
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

Record = dict[str, Any]
Change = tuple[str, str, Any]

_ABSENT: Any = object()
_SEQUENCES = "_sequence"


class StoreInUseError(RuntimeError):
    """Another running sandbox holds the same data file."""


class DamagedJournalError(RuntimeError):
    """A data file holds a line that is no journal entry."""


class Store:
    """Named tables of JSON values under string keys, safe for threads.

    Each transaction is one line of the journal, flushed before the call returns, so a killed process loses
    nothing it has answered and never keeps half a transaction. `path=None` keeps everything in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._tables: dict[str, dict[str, Any]] = {}
        self._depth = 0
        self._changes: list[Change] = []
        self._before: list[Change] = []
        self._journal = _open_journal(path) if path else None
        if self._journal:
            self._replay(self._journal, path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group changes: all are kept or, when the block raises, none. Blocks may be nested."""
        with self._lock:
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._roll_back()
                raise
            else:
                if self._depth == 1:
                    self._commit()
            finally:
                self._depth -= 1

    def put(self, table: str, key: str, value: Any) -> None:
        """Insert or replace one JSON value."""
        self._change(table, key, _copy(value))

    def delete(self, table: str, key: str) -> bool:
        """Remove one value; says whether it was there."""
        with self._lock:
            present = key in self._tables.get(table, {})
            if present:
                self._change(table, key, _ABSENT)
            return present

    def get(self, table: str, key: str) -> Any:
        """Return a copy of one value, None when absent."""
        with self._lock:
            return _copy(self._tables.get(table, {}).get(key))

    def rows(self, table: str, where: Callable[[Any], bool] = lambda value: True) -> list[Any]:
        """Return copies of the values `where` accepts, in order of insertion; it must not change them."""
        with self._lock:
            return [_copy(value) for value in self._tables.get(table, {}).values() if where(value)]

    def keys(self, table: str) -> list[str]:
        """Return the keys of a table in order of insertion."""
        with self._lock:
            return list(self._tables.get(table, {}))

    def put_bytes(self, table: str, key: str, content: bytes) -> None:
        """Insert or replace a file's content."""
        self._change(table, key, base64.b64encode(content).decode())

    def get_bytes(self, table: str, key: str) -> bytes | None:
        """Return a file's content, None when absent."""
        with self._lock:
            text = self._tables.get(table, {}).get(key)
        return None if text is None else base64.b64decode(text)

    def next_number(self, sequence: str, start: int = 1) -> int:
        """Return the next number of a named sequence; a number is never given twice."""
        with self._lock:
            number = cast(int, self._tables.get(_SEQUENCES, {}).get(sequence, start - 1)) + 1
            self._change(_SEQUENCES, sequence, number)
            return number

    def close(self) -> None:
        """Close the journal file; the store must not be written to afterwards."""
        with self._lock:
            if self._journal:
                self._journal.close()

    def _change(self, table: str, key: str, value: Any) -> None:
        with self.transaction():
            self._before.append((table, key, self._tables.get(table, {}).get(key, _ABSENT)))
            self._changes.append((table, key, value))
            self._apply(table, key, value)

    def _apply(self, table: str, key: str, value: Any) -> None:
        rows = self._tables.setdefault(table, {})
        if value is _ABSENT:
            rows.pop(key, None)
        else:
            rows[key] = value

    def _commit(self) -> None:
        try:
            if self._journal and self._changes:
                self._journal.write(_line(self._changes))
                self._journal.flush()
        finally:
            self._changes, self._before = [], []

    def _roll_back(self) -> None:
        for table, key, value in reversed(self._before):
            self._apply(table, key, value)
        self._changes, self._before = [], []

    def _replay(self, journal: BinaryIO, path: Path | None) -> None:
        try:
            self._apply_all(journal)
        except ValueError as error:
            journal.close()
            raise DamagedJournalError(f"{path} is damaged: {error}. Move it away to start empty.") from error

    def _apply_all(self, journal: BinaryIO) -> None:
        good_end = 0
        for line in journal:
            if not line.endswith(b"\n"):
                break  # the process was killed while writing it, so nobody was told that it happened
            for change in json.loads(line):
                self._apply(change[0], change[1], change[2] if len(change) > 2 else _ABSENT)
            good_end += len(line)
        journal.seek(good_end)
        journal.truncate()


def _open_journal(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    journal = path.open("r+b")
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        journal.close()
        raise StoreInUseError(
            f"Another running sandbox uses {path}. Stop it or choose another file."
        ) from error
    return journal


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value


def _line(changes: list[Change]) -> bytes:
    entries = [[table, key] if value is _ABSENT else [table, key, value] for table, key, value in changes]
    return json.dumps(entries, separators=(",", ":")).encode() + b"\n"
