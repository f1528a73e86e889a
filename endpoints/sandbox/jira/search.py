"""Search addresses: Cloud's search/jql with page tokens, Server's search with startAt and total."""

import base64
import json
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response
from endpoints.sandbox.jira.answers import actor_of, listed, object_of, refuse, rest, version_of, whole_number
from endpoints.sandbox.jira.catalog import TIME_ZONE
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.jql import BadQueryError, parse
from endpoints.sandbox.jira.jql_match import Scope, predicate, sort
from endpoints.sandbox.jira.shapes import Shapes
from endpoints.sandbox.store import Record

DEFAULT_PAGE = 50
LARGEST_PAGE = 100
LARGEST_PAGE_OF_IDS = 5000
REMOVED = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. "
    "A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)


class SearchApi:
    """Answers searches from an index that may lag behind the issues."""

    def __init__(self, jira: Deployment) -> None:
        self.jira = jira
        self.tracker = jira.tracker

    @rest("/search/jql", methods=["GET", "POST"])
    def search(self, request: Request, api: str) -> Response:
        """Return a page of issues; the token leads to the next, there is no total."""
        asked = _asked(request)
        jql = str(asked.get("jql") or "")
        found = self._find(jql, request, bounded=True)
        start = _token_offset(asked.get("nextPageToken"), jql)
        fields = asked["fields"]
        limit = LARGEST_PAGE if set(fields) - {"id", "key"} else LARGEST_PAGE_OF_IDS
        size = min(whole_number(asked.get("maxResults"), "maxResults", DEFAULT_PAGE), limit)
        page = found[start : start + size]
        body: dict[str, Any] = {"issues": self._shaped(page, asked, request, api), "isLast": True}
        if start + size < len(found):
            body |= {"isLast": False, "nextPageToken": _token(start + size, jql)}
        return json_response(body)

    @rest("/search", methods=["GET", "POST"])
    def search_server(self, request: Request, api: str) -> Response:
        """Return a page of issues by number of the first; removed on Cloud."""
        if not self.jira.server:
            raise refuse(410, REMOVED)
        asked = _asked(request)
        asked["fields"] = asked["fields"] or ["*navigable"]
        found = self._find(str(asked.get("jql") or ""), request)
        start = whole_number(asked.get("startAt"), "startAt", 0)
        size = min(whole_number(asked.get("maxResults"), "maxResults", DEFAULT_PAGE), 1000)
        issues = self._shaped(found[start : start + size], asked, request, api)
        page = {"startAt": start, "maxResults": size, "total": len(found), "issues": issues}
        return json_response({"expand": "schema,names", **page})

    @rest("/search/approximate-count", methods=["POST"])
    def count(self, request: Request, api: str) -> Response:
        """Return how many issues a query finds."""
        jql = str(object_of(request).get("jql") or "")
        return json_response({"count": len(self._find(jql, request, bounded=True))})

    def _find(self, jql: str, request: Request, bounded: bool = False) -> list[Record]:
        now = datetime.fromtimestamp(self.tracker.clock(), TIME_ZONE)
        scope = Scope(now, actor_of(request), self.tracker.find)
        try:
            query = parse(jql)
            if bounded and query.where is None:
                raise refuse(
                    400,
                    "Unbounded JQL queries are not allowed here. Please add a search restriction to "
                    "your query.",
                )
            return sort(query, self.tracker.issues(predicate(query, scope), self.jira.index_lag))
        except BadQueryError as error:
            raise refuse(400, str(error)) from error

    def _shaped(self, issues: list[Record], asked: dict[str, Any], request: Request, api: str) -> list[Any]:
        if not asked["fields"]:
            return [{"id": issue["id"]} for issue in issues]
        shapes = Shapes(self.jira, version_of(api))
        return [shapes.issue(issue, asked["fields"], asked["expand"]) for issue in issues]


def _asked(request: Request) -> dict[str, Any]:
    """Return the parameters of a search, from the body or the query string; null means absent."""
    asked: dict[str, Any] = object_of(request) if request.method == "POST" else request.args.to_dict()
    for name in ("fields", "expand"):
        value = listed(request, name) if request.method == "GET" else asked.get(name)
        asked[name] = value.split(",") if isinstance(value, str) else value or []
        if not isinstance(asked[name], list) or not all(isinstance(each, str) for each in asked[name]):
            raise refuse(400, f"'{name}' must be an array of strings.")
    return asked


def _token(offset: int, jql: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, jql]).encode()).decode()


def _token_offset(token: Any, jql: str) -> int:
    if not token:
        return 0
    try:
        offset, query = json.loads(base64.urlsafe_b64decode(str(token)))
        if query == jql:
            return int(offset)
    except (ValueError, TypeError):
        pass
    raise refuse(400, "The provided next page token is invalid or expired.")
