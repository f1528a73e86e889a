"""Switchable faults of a sandbox: status codes, delays, dropped answers, webhooks before the answer."""

import re
import threading
from dataclasses import dataclass, fields
from typing import Any, Self


class BadFaultError(ValueError):
    """A fault description that makes no sense; the text says why."""


@dataclass
class Fault:
    """One fault as described in JSON.

    It applies to requests whose method equals `method` (empty: any) and whose path matches the regular
    expression `path` anywhere, `times` times (None: always). Effects, together or alone:
    `delay` seconds before anything else; `status` with `body` and `headers` instead of the answer, the
    request applied first only when `apply` is true; `drop` "before" or "after" applying: the connection ends
    without an answer; `webhook_first`: what the request sends out is delivered before it is answered.
    """

    path: str = ""
    method: str = ""
    times: int | None = None
    delay: float = 0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] | None = None
    apply: bool = False
    drop: str = ""
    webhook_first: bool = False

    @classmethod
    def parse(cls, description: Any) -> Self:
        """Read one fault; raises BadFaultError."""
        known = {field.name for field in fields(cls)}
        if not isinstance(description, dict) or set(description) - known:
            raise BadFaultError(f"A fault is an object with some of {sorted(known)}; got {description!r}.")
        fault = cls(**description)
        fault.check()
        return fault

    def check(self) -> None:
        """Raise BadFaultError when a value is out of range."""
        if self.times is not None and not isinstance(self.times, int):
            raise BadFaultError("times is a whole number or null.")
        if self.drop not in ("", "before", "after"):
            raise BadFaultError('drop is "before" or "after".')
        if self.status is not None and not 100 <= int(self.status) <= 599:
            raise BadFaultError("status is an HTTP status code.")
        try:
            re.compile(self.path)
        except re.error as error:
            raise BadFaultError(f"path is a regular expression: {error}.") from error

    def matches(self, method: str, path: str) -> bool:
        """Say whether the fault is still to be used and meant for this request."""
        meant = (not self.method or self.method.upper() == method) and re.search(self.path, path)
        return bool(meant) and (self.times is None or self.times > 0)

    @property
    def applies_request(self) -> bool:
        """Say whether the request is carried out although the fault strikes."""
        return self.drop != "before" and (self.status is None or self.apply or self.drop == "after")


NO_FAULT = Fault()


class Faults:
    """The faults switched on now; the first that matches a request strikes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def replace(self, descriptions: Any) -> None:
        """Switch on exactly these faults; raises BadFaultError."""
        if not isinstance(descriptions, list):
            raise BadFaultError("Give a list of faults.")
        faults = [Fault.parse(each) for each in descriptions]
        with self._lock:
            self._faults = faults

    def strike(self, method: str, path: str) -> Fault:
        """Return the fault for a request and count it as used; NO_FAULT when there is none."""
        with self._lock:
            fault = next((each for each in self._faults if each.matches(method, path)), NO_FAULT)
            if fault.times is not None:
                fault.times -= 1
            return fault

    def describe(self) -> list[dict[str, Any]]:
        """Return the faults with what is left of `times`."""
        with self._lock:
            return [dict(vars(fault)) for fault in self._faults]
