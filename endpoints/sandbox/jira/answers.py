"""Addresses and answers in Jira's manner: versions of the API, error bodies, who asks, JSON bodies."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import Handler, Refused, route
from endpoints.sandbox.jira.catalog import User

ACTOR = "jira.actor"
NO_ISSUE = "Issue does not exist or you do not have permission to see it."

H = TypeVar("H", bound=Handler)


def rest(*paths: str, methods: Iterable[str] = ("GET",)) -> Callable[[H], H]:
    """Mark a handler for paths below /rest/api/2, /3 and /latest; it gets the version as `api`.

    What changes something runs in one transaction of the area's tracker: all of a request is done or nothing.
    """
    mark = route(*(f"/rest/api/<any('2','3','latest'):api>{path}" for path in paths), methods=methods)
    return mark if "GET" in methods else lambda handler: mark(_in_transaction(handler))


def version_of(api: str) -> int:
    """Return the version an API address speaks; `latest` is 2, as on Cloud."""
    return 3 if api == "3" else 2


def refuse(status: int, message: str = "", /, **errors: str) -> Refused:
    """Return the exception for Jira's error body: a message, or errors by field."""
    return Refused(status, {"errorMessages": [message] if message else [], "errors": errors})


def no_content() -> Response:
    """Return 204 without a body."""
    return Response(status=204, content_type="application/json;charset=UTF-8")


def actor_of(request: Request) -> User:
    """Return the user a request was authenticated as."""
    return cast(User, request.environ[ACTOR])


def object_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request body; raises Refused with 400 for anything else."""
    body = json_of(request)
    if not isinstance(body, dict):
        raise refuse(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return body


def json_of(request: Request) -> Any:
    """Return the JSON body; raises Refused with 400 or, for another content type, 415."""
    if request.mimetype not in ("application/json", ""):
        raise refuse(415, f"Content type '{request.mimetype}' is not supported.")
    body = request.get_json(force=True, silent=True)
    if body is None and request.get_data().strip() != b"null":
        raise refuse(400, "There was an error parsing JSON. Check that your request body is valid.")
    return body


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an optional object inside a body; null counts as empty, other values are refused with 400."""
    value = body.get(name)
    if not isinstance(value, dict | None):
        raise refuse(400, f"'{name}' must be an object.")
    return value or {}


def listed(request: Request, name: str) -> list[str]:
    """Return a parameter that may be repeated or comma-separated."""
    return [part.strip() for text in request.args.getlist(name) for part in text.split(",") if part.strip()]


def whole_number(value: Any, name: str, default: int) -> int:
    """Return a paging number; absent or null means the default; raises Refused with 400."""
    if value in (None, ""):
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise refuse(400, f"The value of '{name}' is not a number.") from None
    if number < 0:
        raise refuse(400, f"The value of '{name}' must not be negative.")
    return number


def page_of(items: list[Any], request: Request, name: str, maximum: int = 100) -> dict[str, Any]:
    """Return one page of a list as `startAt` and `maxResults` ask."""
    start = whole_number(request.args.get("startAt"), "startAt", 0)
    size = min(whole_number(request.args.get("maxResults"), "maxResults", maximum), maximum)
    return {
        "startAt": start,
        "maxResults": size,
        "total": len(items),
        "isLast": start + size >= len(items),
        name: items[start : start + size],
    }


def _in_transaction(handler: H) -> H:
    @wraps(handler)
    def handle(area: Any, *args: Any, **values: Any) -> Response:
        with area.tracker.store.transaction():
            return handler(area, *args, **values)

    return cast(H, handle)
