"""Base of the sandbox applications: routes, faults around each request, control addresses, error answers."""

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from endpoints.sandbox.faults import BadFaultError, Fault, Faults
from endpoints.sandbox.outbox import Outbox, Resolve
from endpoints.sandbox.server import hang_up
from endpoints.sandbox.store import Store

REMEMBERED_REQUESTS = 10_000
WEBHOOK_FIRST_SECONDS = 30.0
CONTROL = "/_sandbox/"

Handler = Callable[..., Response]
H = TypeVar("H", bound=Handler)

log = logging.getLogger(__name__)


class Refused(Exception):
    """Ends a request with this status, body (text is HTML, else JSON) and headers.

    Raised inside a transaction of the store it undoes the changes.
    """

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.response = answer(body, status, headers)


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an HTML answer for text, a JSON answer for anything else."""
    if isinstance(body, str):
        return Response(body, status, headers, content_type="text/html;charset=UTF-8")
    return json_response(body, status, headers)


def download(content: bytes | None, mime_type: str, name: str) -> Response:
    """Return a file under its name, whatever letters that has."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, headers={"Content-Disposition": disposition}, content_type=mime_type)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(json.dumps(body), status, headers, content_type="application/json;charset=UTF-8")


def route(*paths: str, methods: Iterable[str] = ("GET",)) -> Callable[[H], H]:
    """Mark a method as handler of these werkzeug URL rules; several marks on one method add up."""

    def mark(handler: H) -> H:
        rules = [(path, list(methods)) for path in paths]
        handler.routes = getattr(handler, "routes", []) + rules  # type: ignore[attr-defined]
        return handler

    return mark


class SandboxApp:
    """WSGI application of one simulated system.

    Handlers are methods marked with `route`, of the subclass or of objects given to `serve`; they take the
    request and the URL's variables. `authorize` runs before every handler except those under /_sandbox/.
    """

    name = "sandbox"

    def __init__(self, store: Store, resolve: Resolve, verify: bool | str = True) -> None:
        self.base_url = ""
        self.store = store
        self.outbox = Outbox(store, resolve, verify)
        self.faults = Faults()
        self._requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REQUESTS)
        self._handlers: dict[str, Handler] = {}
        self._map = Map(strict_slashes=False, merge_slashes=False)
        self.serve(self)

    def serve(self, area: object) -> None:
        """Add the marked methods of an object to the addresses served."""
        for name in dir(type(area)):
            for path, methods in getattr(getattr(type(area), name), "routes", []):
                endpoint = f"{type(area).__name__}.{name}"
                self._handlers[endpoint] = getattr(area, name)
                self._map.add(Rule(path, endpoint=endpoint, methods=methods))

    def open(self) -> None:
        """Called once the address is known, before the first request."""
        self.outbox.open()

    def close(self) -> None:
        """Called after the last request."""
        self.outbox.close()
        self.store.close()

    def authorize(self, request: Request) -> None:
        """Check the credentials of a request; raises Refused."""

    def refuse_unknown(self, error: HTTPException) -> Response:
        """Answer for an address or method that does not exist, in the system's own manner."""
        return json_response(
            {"error": {"message": error.name, "detail": error.description}}, error.code or 500
        )

    def handle(self, request: Request) -> Response:
        """Answer one request without faults; also for requests packed inside another (batch)."""
        try:
            endpoint, values = self._map.bind_to_environ(request.environ).match()
            if not request.path.startswith(CONTROL):
                self.authorize(request)
            return self._handlers[endpoint](request, **values)
        except Refused as refused:
            return refused.response
        except HTTPException as error:
            return self.refuse_unknown(error)
        except Exception:
            log.exception("The sandbox could not answer %s %s", request.method, request.path)
            return json_response({"error": {"message": "Internal error of the sandbox"}}, 500)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(CONTROL):
            return self.handle(request)(environ, start_response)
        entry: dict[str, Any] = {"method": request.method, "path": request.full_path.rstrip("?")}
        entry |= {"time": time.time(), "status": None}
        self._requests.append(entry)
        with request:  # closes uploaded files
            response = self._handle_with_faults(request)
        entry["status"] = response.status_code
        return response(environ, start_response)

    def _handle_with_faults(self, request: Request) -> Response:
        fault = self.faults.strike(request.method, request.path)
        time.sleep(fault.delay)
        response = self.handle(request) if fault.applies_request else json_response(None)
        if fault.webhook_first:
            self.outbox.wait_idle(WEBHOOK_FIRST_SECONDS)
        if fault.drop:
            hang_up(request.environ["werkzeug.socket"])
            raise ConnectionAbortedError("dropped by a fault")
        return response if fault.status is None else _faulty_answer(fault)

    @route("/_sandbox/health")
    def show_health(self, request: Request) -> Response:
        """Say that the system runs."""
        return json_response({"status": "ok", "system": self.name})

    @route("/_sandbox/faults", methods=["GET", "PUT", "DELETE"])
    def switch_faults(self, request: Request) -> Response:
        """Show, replace or clear the faults."""
        try:
            if request.method != "GET":
                self.faults.replace(request.get_json(force=True) if request.method == "PUT" else [])
        except (BadFaultError, TypeError, ValueError) as error:
            raise Refused(400, {"error": str(error)}) from error
        return json_response(self.faults.describe())

    @route("/_sandbox/requests", methods=["GET", "DELETE"])
    def show_requests(self, request: Request) -> Response:
        """List the requests received, oldest first, or forget them."""
        if request.method == "DELETE":
            self._requests.clear()
        return json_response(list(self._requests))

    @route("/_sandbox/records")
    def show_records(self, request: Request) -> Response:
        """Show the raw contents of a table."""
        return json_response(self.store.rows(request.args.get("table", "")))


def _faulty_answer(fault: Fault) -> Response:
    body = (
        fault.body if fault.body is not None else {"error": {"message": "Fault switched on in the sandbox"}}
    )
    return answer(body, fault.status or 500, fault.headers)
