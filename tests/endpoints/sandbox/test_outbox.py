import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.datastructures import Authorization

from endpoints.sandbox import outbox as module
from endpoints.sandbox.outbox import POSTS, Address, Outbox
from endpoints.sandbox.store import Store
from tests.endpoints.sandbox.conftest import Receiver


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(module, "LONGEST_WAIT_SECONDS", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data.jsonl")
    yield store
    store.close()


@pytest.fixture
def outbox(store: Store) -> Iterator[Outbox]:
    outbox = Outbox(store)
    outbox.open()
    yield outbox
    outbox.close()


def test_posts_arrive_in_order(outbox: Outbox, receiver: Receiver) -> None:
    for number in range(20):
        outbox.post("r", receiver.base_url + "/in", {"number": number})

    assert outbox.wait_idle(60)
    assert [body["number"] for body in receiver.bodies] == list(range(20))


def test_answer_is_kept_with_the_post(outbox: Outbox, receiver: Receiver) -> None:
    outbox.post("r", receiver.base_url + "/in", {}, {"Idempotency-Key": "k"}, about="incident:1")

    assert outbox.wait_idle(60)
    [post] = outbox.about_record("incident:1")
    assert (post["state"], post["status"], post["answer"]) == ("delivered", 202, {"response_id": "r-1"})
    assert receiver.posts[0].headers["Idempotency-Key"] == "k"


@pytest.mark.parametrize("status", [401, 404, 408, 429, 500, 503])
def test_temporary_answers_are_retried(outbox: Outbox, receiver: Receiver, status: int) -> None:
    receiver.answers = [status, status]

    outbox.post("r", receiver.base_url + "/in", {}, about="x")

    assert outbox.wait_idle(60)
    assert outbox.about_record("x")[0]["state"] == "delivered"
    assert len(receiver.posts) == 3


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_final_refusals_do_not_stop_the_next(outbox: Outbox, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]

    outbox.post("r", receiver.base_url + "/in", {}, about="x")
    outbox.post("r", receiver.base_url + "/in", {}, about="x")

    assert outbox.wait_idle(60)
    assert [post["state"] for post in outbox.about_record("x")] == ["failed", "delivered"]


def test_waiting_posts_survive_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "data.jsonl"
    store = Store(path)
    outbox = Outbox(store, lambda channel, url: None)
    outbox.open()
    outbox.post("r", receiver.base_url + "/in", {"text": "kept"})
    outbox.close()
    store.close()

    store = Store(path)
    outbox = Outbox(store)
    outbox.open()

    assert outbox.wait_idle(60)
    assert receiver.bodies == [{"text": "kept"}]
    outbox.close()
    store.close()


def test_address_is_looked_up_for_each_try(store: Store, receiver: Receiver) -> None:
    addresses: list[Address | None] = [None]
    outbox = Outbox(store, lambda channel, url: addresses[-1])
    outbox.open()
    outbox.post("r", "", {})
    assert not outbox.wait_idle(0.1)

    addresses.append(Address(receiver.base_url + "/in", "sn", "pässword"))
    outbox.retry_now()

    assert outbox.wait_idle(60)
    expected = Authorization("basic", {"username": "sn", "password": "pässword"})
    assert receiver.posts[0].authorization == expected
    outbox.close()


def test_refused_connection_is_retried(outbox: Outbox, receiver: Receiver) -> None:
    gone = "http://127.0.0.1:9/in"

    outbox.post("gone", gone, {}, about="x")
    outbox.post("r", receiver.base_url + "/in", {"text": "other receivers go on"})

    while not (receiver.posts and outbox.about_record("x")[0]["attempts"] > 1):
        time.sleep(0.01)
    assert outbox.about_record("x")[0]["state"] == "waiting"
    assert outbox.about_record("x")[0]["error"] == "ConnectionError"


def test_post_of_failed_transaction_is_not_sent(outbox: Outbox, store: Store, receiver: Receiver) -> None:
    def fail_after_posting() -> None:
        with store.transaction():
            outbox.post("r", receiver.base_url + "/in", {"text": "never"})
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_posting()
    outbox.post("r", receiver.base_url + "/in", {"text": "sent"})

    assert outbox.wait_idle(60)
    assert receiver.bodies == [{"text": "sent"}]
    assert len(store.rows(POSTS)) == 1


def test_stored_bytes_are_sent_raw(outbox: Outbox, store: Store, receiver: Receiver) -> None:
    store.put_bytes("files", "f", b"\x00raw")

    outbox.post("r", receiver.base_url + "/in", headers={"Content-Type": "image/png"}, content=("files", "f"))

    assert outbox.wait_idle(60)
    assert (receiver.posts[0].data, receiver.posts[0].content_type) == (b"\x00raw", "image/png")
