"""One step of a plan spoken over HTTP: request built, answer classified, nothing decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Self

from endpoints.adapters import uploads
from endpoints.adapters.base import EndpointConfig, Reference, Step, Upload
from endpoints.canonical import Attributes
from endpoints.http import HttpAnswer, HttpClient, HttpFailure, HttpRequest
from endpoints.outcomes import Outcome, RemoteItem, Result, classify_answer, classify_failure

DETAIL_LENGTH = 2000
REFUSAL_KEPT = 64 * 1024
CONFIRMATION_KEPT = 4 * 1024
"""Bytes of an answer's body that are kept: all that a person needs to see why, little where all went well."""
TELLING_HEADERS = (
    "Content-Type",
    "Retry-After",
    "Location",
    "X-Request-Id",
    "X-Transaction-Id",
    "Traceparent",
)
HEADERS_KNOWN = 1024
SECRET_HEADERS = ("authorization", "cookie", "api-key", "apikey", "token", "secret", "password")
DEADLINE_MARGIN = 20.0
"""Seconds that a whole exchange may last beyond the read time-out."""

SLOWEST = 64 * 1024
"""Bytes a second that a file may take at least; slower and the exchange is given up."""

Complaint = Callable[[Any], str | None]
"""Says what is wrong with the parsed body of an answer whose status looks like success; None if nothing."""


def no_complaint(body: Any) -> str | None:
    """Accepts every body: for answers that are empty by design."""
    return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one request came to, the parsed body of its answer (None when it has no JSON) and its headers."""

    outcome: Outcome
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def confirmed(self) -> bool:
        """True when the request was certainly carried out."""
        return self.outcome.confirmed


@dataclass(frozen=True, slots=True)
class Speaker:
    """Speaks an endpoint's steps over HTTP with its credentials.

    `explain` finds the remote system's own words in the body of a refusal. `status_of` lets a system that
    answers with a misleading status name the one that it means. `success_codes` count instead of the
    endpoint's where there are any.
    """

    endpoint: EndpointConfig
    http: HttpClient
    explain: Callable[[Any], str]
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: tuple[str, str] | None = None
    read_timeout: float = 70.0
    status_of: Callable[[HttpAnswer], int] = lambda answer: answer.status
    success_codes: frozenset[int] = frozenset()

    def ask(self, step: Step, *, repeatable: bool = True, complaint: Complaint = no_complaint) -> Exchange:
        """Send one step once. Never raises for what the remote system or the network does."""
        try:
            answer = self.http.send(self._request(step))
        except HttpFailure as failure:
            outcome = classify_failure(failure.phase, failure.reason, failure.message, repeatable=repeatable)
            return Exchange(replace(outcome, request=as_sent(step)))
        return self._classified(step, answer, repeatable, complaint)

    def take_file(self, step: Step, take: Callable[[Iterator[bytes]], None], longest: int) -> Outcome:
        """Ask for a file and hand its bytes to `take` as they arrive, `longest` at most."""
        request = self._request(step)
        patient = replace(request, max_body=longest, deadline=request.deadline + longest / SLOWEST)
        try:
            with self.http.download(patient) as answer:
                if not 200 <= answer.status < 300:
                    return self._classified(step, answer.head(), True, no_complaint).outcome
                take(answer.pieces)
        except HttpFailure as failure:
            return classify_failure(failure.phase, failure.reason, failure.message, repeatable=True)
        return Outcome(Result.CONFIRMED, status=answer.status, request=as_sent(step))

    def _classified(self, step: Step, answer: HttpAnswer, repeatable: bool, complaint: Complaint) -> Exchange:
        body = answer.json()
        # The endpoint's own codes are about what we do there; a question is answered by any 2xx.
        success = frozenset() if step.method == "GET" else self.success_codes or self.endpoint.success_codes
        outcome = classify_answer(
            self.status_of(answer),
            answer.headers,
            repeatable=repeatable,
            success=success,
            unrecoverable=self.endpoint.unrecoverable_codes,
            body_failure=complaint(body),
            now=datetime.now(UTC),
        )
        said = answer.text if body is None else self.explain(body)
        detail = "" if outcome.confirmed else said[:DETAIL_LENGTH]
        answered = as_answered(answer, CONFIRMATION_KEPT if outcome.confirmed else REFUSAL_KEPT)
        told = replace(outcome, detail=detail or outcome.detail, request=as_sent(step), answer=answered)
        return Exchange(told, body, answer.headers)

    def _request(self, step: Step) -> HttpRequest:
        if step.upload:
            return self._upload(step, step.upload)
        text = step.body if isinstance(step.body, str) else None
        return HttpRequest(
            method=step.method,
            url=self.endpoint.base_url.rstrip("/") + step.path,
            headers={"Accept": "application/json", **self.headers, **step.headers},
            params=step.query,
            json=step.body if text is None else None,
            body=text,
            auth=self.auth,
            read_timeout=self.read_timeout,
            deadline=self.read_timeout + DEADLINE_MARGIN,
        )

    def _upload(self, step: Step, upload: Upload) -> HttpRequest:
        """The file as it is, or as a part of a form; a large one may take longer."""
        content_type, content = uploads.encoded(upload)
        request = self._request(replace(step, body=None, upload=None))
        return replace(
            request,
            headers={**request.headers, "Content-Type": content_type},
            content=content,
            deadline=request.deadline + content.length / SLOWEST,
        )


@dataclass(slots=True)
class Progress:
    """What the steps of one plan have achieved so far."""

    external_id: str = ""
    number: str = ""
    link: str = ""
    written: dict[str, Any] = field(default_factory=dict)
    items: tuple[RemoteItem, ...] = ()
    status: int | None = None
    detail: str = ""
    request: Mapping[str, object] = field(default_factory=dict)
    answer: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def towards(cls, target: Reference | None) -> Self:
        """Progress on a ticket that is there already, or on none yet."""
        return cls(target.external_id, target.number, target.link) if target else cls()

    def add(self, outcome: Outcome) -> Outcome:
        """Remember a step; of those confirmed, the first is what the attempt shows as its request."""
        if outcome.confirmed:
            self.request = self.request or outcome.request
            self.answer = self.answer or outcome.answer
            self.status = self.status or outcome.status
        return outcome

    def note(self, attributes: Attributes) -> None:
        """Remember attributes that the target has confirmed."""
        self.written.update(attributes)

    def finished(self) -> Outcome:
        """Every step was confirmed."""
        return self.onto(
            Outcome(
                Result.CONFIRMED,
                status=self.status,
                detail=self.detail,
                request=self.request,
                answer=self.answer,
            )
        )

    def onto(self, outcome: Outcome) -> Outcome:
        """The outcome of the plan: that of its last step, with everything that was done before it."""
        return replace(
            outcome,
            external_id=self.external_id,
            number=self.number,
            link=self.link,
            written=dict(self.written),
            items=self.items,
        )


def as_sent(step: Step) -> dict[str, object]:
    """A step as an attempt shows it: the request without credentials."""
    headers = {name: value for name, value in step.headers.items() if not _is_secret(name)}
    body = f"A file of {step.upload.file.size} bytes" if step.upload else step.shown or step.body
    sent = {"method": step.method, "path": step.path, "query": dict(step.query), "body": body}
    return {**sent, "headers": headers} if headers else sent


def as_answered(answer: HttpAnswer, kept: int) -> dict[str, object]:
    """An answer as an attempt shows it: status, seconds, the headers that tell something, the first `kept`
    bytes of its body, and whether there were more."""
    headers = dict(answer.headers.lower_items())
    return {
        "status": answer.status,
        "seconds": round(answer.elapsed, 3),
        "headers": {name: headers[name.lower()] for name in TELLING_HEADERS if name.lower() in headers},
        "body": answer.body[:kept].decode("utf-8", errors="replace"),
        "is_cut": len(answer.body) > kept,
    }


@lru_cache(maxsize=HEADERS_KNOWN)
def _is_secret(header: str) -> bool:
    return any(word in header.lower() for word in SECRET_HEADERS)
