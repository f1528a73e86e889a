"""Outgoing posts of a sandbox (business rules, webhooks), kept until the other side has answered."""

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from requests.auth import HTTPBasicAuth

from endpoints.sandbox.store import Record, Store

POSTS = "_outbox"
BODIES = "_outbox_body"
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
ANSWER_TIMEOUT_SECONDS = (5.0, 30.0)
# The receiver may be set up, or given its new password, while a post waits.
RETRIED_CLIENT_ERRORS = frozenset({401, 404, 408, 429})
KEPT_ANSWER_CHARACTERS = 2000


@dataclass(frozen=True)
class Address:
    """Where a post goes now: the URL and, when the receiver wants it, HTTP Basic credentials."""

    url: str
    user: str = ""
    password: str = ""


Resolve = Callable[[str, str], Address | None]


def plain_address(channel: str, url: str) -> Address:
    """Take the URL of the post as it is."""
    return Address(url)


class Outbox:
    """Posts in order per channel (= receiver), each retried until answered; survives a restart.

    `resolve(channel, url)` gives the address at the time of sending, or None to wait. A post is `waiting`,
    then `delivered` (2xx) or `failed` (a final 4xx). `verify` is what `requests` takes: True or a CA file.
    """

    def __init__(self, store: Store, resolve: Resolve = plain_address, verify: bool | str = True) -> None:
        self._store = store
        self._resolve = resolve
        self._verify = verify
        self._changed = threading.Condition()
        self._queues: dict[str, deque[str]] = {}
        self._threads: list[threading.Thread] = []
        self._open = False
        self._calls = 0

    def open(self) -> None:
        """Start sending, beginning with what waited when the process ended."""
        waiting = self._store.rows(POSTS, lambda post: post["state"] == "waiting")
        with self._changed:
            self._open = True
            for post in waiting:
                self._enqueue(post["channel"], post["id"])

    def close(self) -> None:
        """Stop sending; what waits is sent after the next `open`."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads, self._queues = [], {}

    def post(
        self,
        channel: str,
        url: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        about: str = "",
        content: tuple[str, str] | None = None,
    ) -> str:
        """Queue one post and return its id; kept with the caller's transaction.

        `body` is sent as JSON; instead, `content` names (table, key) of bytes in the store to send raw.
        `about` is the record it belongs to, for `about_record`.
        """
        post_id = uuid.uuid4().hex
        post: Record = {
            "id": post_id,
            "channel": channel,
            "url": url,
            "headers": headers or {},
            "about": about,
        }
        post |= {"state": "waiting", "attempts": 0, "status": None, "answer": None, "error": ""}
        post |= {"created": _now(), "content": list(content or (BODIES, post_id))}
        with self._store.transaction():
            if content is None:
                self._store.put_bytes(BODIES, post_id, json.dumps(body).encode())
                post["headers"] = {"Content-Type": "application/json", **post["headers"]}
            self._store.put(POSTS, post_id, post)
        with self._changed:
            if self._open:
                self._enqueue(channel, post_id)
        return post_id

    def about_record(self, about: str) -> list[Record]:
        """Return the posts that belong to a record, oldest first."""
        return self._store.rows(POSTS, lambda post: post["about"] == about)

    def retry_now(self) -> None:
        """Wake the senders, for example after the receiver's address changed."""
        with self._changed:
            self._calls += 1
            self._changed.notify_all()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing waits to be sent; False when `timeout` seconds were not enough."""
        end = time.monotonic() + timeout
        with self._changed:
            while any(self._queues.values()) and (left := end - time.monotonic()) > 0:
                self._changed.wait(min(left, 0.5))
            return not any(self._queues.values())

    def _enqueue(self, channel: str, post_id: str) -> None:
        if channel not in self._queues:
            self._queues[channel] = deque()
            thread = threading.Thread(target=self._send_all, args=(channel,), name="outbox", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queues[channel].append(post_id)
        self._changed.notify_all()

    def _send_all(self, channel: str) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while post_id := self._next(channel):
                if not self._send_until_answered(session, post_id):
                    return
                with self._changed:
                    self._queues[channel].popleft()
                    self._changed.notify_all()

    def _next(self, channel: str) -> str | None:
        with self._changed:
            while self._open and not self._queues[channel]:
                self._changed.wait()
            return self._queues[channel][0] if self._open else None

    def _send_until_answered(self, session: requests.Session, post_id: str) -> bool:
        """Say True when the post is settled, False when the outbox was closed meanwhile."""
        wait = FIRST_WAIT_SECONDS
        while (post := self._store.get(POSTS, post_id)) and post["state"] == "waiting":
            self._send(session, post)
            if post["state"] == "waiting":
                if not self._pause(wait):
                    return False
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
        return True

    def _pause(self, seconds: float) -> bool:
        with self._changed:
            calls = self._calls
            self._changed.wait_for(lambda: not self._open or self._calls != calls, seconds)
            return self._open

    def _send(self, session: requests.Session, post: Record) -> None:
        address = self._resolve(post["channel"], post["url"])
        if address is None:
            return
        post["attempts"] += 1
        try:
            self._record_answer(post, self._request(session, post, address))
        except requests.RequestException as error:
            post["error"] = type(error).__name__
        with self._store.transaction():
            self._store.put(POSTS, post["id"], post)
            if post["state"] != "waiting":
                self._store.delete(BODIES, post["id"])

    def _request(self, session: requests.Session, post: Record, address: Address) -> requests.Response:
        content = self._store.get_bytes(*post["content"]) or b""
        auth = HTTPBasicAuth(address.user.encode(), address.password.encode()) if address.user else None
        return session.post(
            address.url,
            data=content,
            headers=post["headers"],
            auth=auth,
            timeout=ANSWER_TIMEOUT_SECONDS,
            allow_redirects=False,
            verify=self._verify,
        )

    def _record_answer(self, post: Record, response: requests.Response) -> None:
        status = response.status_code
        post |= {"status": status, "answer": _answer(response), "error": "", "answered": _now()}
        if response.ok and status < 300:
            post["state"] = "delivered"
        elif 400 <= status < 500 and status not in RETRIED_CLIENT_ERRORS:
            post["state"] = "failed"


def _answer(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text[:KEPT_ANSWER_CHARACTERS]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
