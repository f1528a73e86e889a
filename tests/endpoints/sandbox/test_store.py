from pathlib import Path

import pytest

from endpoints.sandbox.store import DamagedJournalError, Store, StoreInUseError


def reopened(store: Store, path: Path) -> Store:
    store.close()
    return Store(path)


def test_records_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)
    store.put("incident", "a", {"state": "1"})
    store.put("incident", "b", {"state": "2"})
    store.delete("incident", "b")
    store.put_bytes("files", "f", b"\x00\xff")

    store = reopened(store, path)

    assert store.rows("incident") == [{"state": "1"}]
    assert store.get_bytes("files", "f") == b"\x00\xff"
    store.close()


def test_journal_is_flushed_with_each_change(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)

    store.put("incident", "a", {"state": "1"})

    copy = tmp_path / "as-left-by-a-kill.jsonl"
    copy.write_bytes(path.read_bytes())
    after_kill = Store(copy)
    assert after_kill.get("incident", "a") == {"state": "1"}
    after_kill.close()
    store.close()


def test_cut_off_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)
    store.put("incident", "a", "first")
    store.put("incident", "a", "second")
    store.close()
    path.write_bytes(path.read_bytes()[:-4])

    store = Store(path)
    assert store.get("incident", "a") == "first"

    store.put("incident", "b", "third")
    store = reopened(store, path)
    assert store.rows("incident") == ["first", "third"]
    store.close()


def test_damage_in_the_middle_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'[["incident",\n[["incident","a","x"]]\n')

    with pytest.raises(DamagedJournalError, match="Move it away"):
        Store(path)


def test_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)
    store.put("incident", "a", "before")

    def fail_after_writing() -> None:
        with store.transaction():
            store.put("incident", "a", "changed")
            store.put("incident", "b", "new")
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_writing()

    assert store.rows("incident") == ["before"]
    store = reopened(store, path)
    assert store.rows("incident") == ["before"]
    store.close()


def test_transaction_is_one_journal_line(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)

    with store.transaction():
        store.put("incident", "a", 1)
        with store.transaction():
            store.put("incident", "b", 2)

    assert len(path.read_bytes().splitlines()) == 1
    store.close()


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)
    given = [store.next_number("incident", 10001), store.next_number("incident", 10001)]

    store = reopened(store, path)
    given.append(store.next_number("incident", 10001))

    assert given == [10001, 10002, 10003]
    store.close()


def test_caller_cannot_change_stored_values() -> None:
    store = Store()
    value = {"labels": ["a"]}
    store.put("issue", "1", value)

    value["labels"].append("b")
    store.get("issue", "1")["labels"].append("c")
    store.rows("issue")[0]["labels"].append("d")

    assert store.get("issue", "1") == {"labels": ["a"]}


def test_second_store_on_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)

    with pytest.raises(StoreInUseError, match="Stop it or choose another file"):
        Store(path)

    store.close()
