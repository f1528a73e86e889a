"""Addresses of comments and of the properties that apps keep with them."""

from typing import Any

from werkzeug.wrappers import Request, Response

from endpoints.sandbox.app import json_response
from endpoints.sandbox.jira.answers import (
    NO_ISSUE,
    actor_of,
    json_of,
    listed,
    no_content,
    object_of,
    page_of,
    refuse,
    rest,
    version_of,
)
from endpoints.sandbox.jira.deployment import Deployment
from endpoints.sandbox.jira.fields import BadValueError, read_document
from endpoints.sandbox.jira.shapes import Shapes
from endpoints.sandbox.store import Record

LARGEST_PAGE = 5000


def read_comment(body: dict[str, Any], version: int) -> Record:
    """Return a new comment's content as it is stored; raises Refused with 400."""
    properties = _properties(body.get("properties") or [])
    visibility = _visibility(body.get("visibility"))
    return {"body": _body(body.get("body"), version), "visibility": visibility, "properties": properties}


class CommentApi:
    """Answers requests about comments."""

    def __init__(self, jira: Deployment) -> None:
        self.jira = jira
        self.tracker = jira.tracker

    @rest("/issue/<key>/comment")
    def list_comments(self, request: Request, api: str, key: str) -> Response:
        """Return a page of an issue's comments."""
        comments = self.tracker.comments(self._issue(key))
        if request.args.get("orderBy") == "-created":
            comments.reverse()
        shapes = [self._shape(comment, request, api) for comment in comments]
        page = page_of(shapes, request, "comments", LARGEST_PAGE)
        page.pop("isLast")
        return json_response(page)

    @rest("/issue/<key>/comment", methods=["POST"])
    def add(self, request: Request, api: str, key: str) -> Response:
        """Add a comment."""
        issue = self._issue(key)
        content = read_comment(object_of(request), version_of(api))
        comment = self.tracker.add_comment(issue, content, actor_of(request))
        return json_response(self._shape(comment, request, api), 201)

    @rest("/issue/<key>/comment/<comment_id>")
    def show(self, request: Request, api: str, key: str, comment_id: str) -> Response:
        """Return a comment."""
        _, comment = self._find(key, comment_id)
        return json_response(self._shape(comment, request, api))

    @rest("/issue/<key>/comment/<comment_id>", methods=["PUT"])
    def edit(self, request: Request, api: str, key: str, comment_id: str) -> Response:
        """Replace the text of a comment and what else is given."""
        issue, comment = self._find(key, comment_id)
        body = object_of(request)
        content = read_comment(body, version_of(api))
        kept = {name: value for name, value in content.items() if name == "body" or name in body}
        comment = self.tracker.edit_comment(issue, comment, kept, actor_of(request))
        return json_response(self._shape(comment, request, api))

    @rest("/issue/<key>/comment/<comment_id>", methods=["DELETE"])
    def delete(self, request: Request, api: str, key: str, comment_id: str) -> Response:
        """Remove a comment."""
        issue, comment = self._find(key, comment_id)
        self.tracker.delete_comment(issue, comment, actor_of(request))
        return no_content()

    @rest("/comment/<comment_id>/properties")
    def list_properties(self, request: Request, api: str, comment_id: str) -> Response:
        """Return the keys of a comment's properties."""
        comment = self._comment(comment_id)
        address = Shapes(self.jira, version_of(api)).rest(f"comment/{comment_id}/properties")
        return json_response(
            {"keys": [{"self": f"{address}/{name}", "key": name} for name in comment["properties"]]}
        )

    @rest("/comment/<comment_id>/properties/<name>")
    def show_property(self, request: Request, api: str, comment_id: str, name: str) -> Response:
        """Return a property of a comment."""
        properties = self._comment(comment_id)["properties"]
        if name not in properties:
            raise refuse(404, f"The property with key '{name}' does not exist.")
        return json_response({"key": name, "value": properties[name]})

    @rest("/comment/<comment_id>/properties/<name>", methods=["PUT"])
    def set_property(self, request: Request, api: str, comment_id: str, name: str) -> Response:
        """Set a property of a comment."""
        comment = self._comment(comment_id)
        new = name not in comment["properties"]
        comment["properties"][name] = json_of(request)
        self.tracker.store.put("comment", comment_id, comment)
        return Response(status=201 if new else 200)

    @rest("/comment/<comment_id>/properties/<name>", methods=["DELETE"])
    def delete_property(self, request: Request, api: str, comment_id: str, name: str) -> Response:
        """Remove a property of a comment."""
        comment = self._comment(comment_id)
        if comment["properties"].pop(name, None) is None:
            raise refuse(404, f"The property with key '{name}' does not exist.")
        self.tracker.store.put("comment", comment_id, comment)
        return no_content()

    def _issue(self, key: str) -> Record:
        issue = self.tracker.find(key)
        if issue is None:
            raise refuse(404, NO_ISSUE)
        return issue

    def _comment(self, comment_id: str) -> Record:
        comment = self.tracker.comment(comment_id)
        if comment is None:
            raise refuse(404, f"Can not find a comment for the id: {comment_id}.")
        return comment

    def _find(self, key: str, comment_id: str) -> tuple[Record, Record]:
        issue = self._issue(key)
        comment = self._comment(comment_id)
        if comment["issue"] != issue["id"]:
            raise refuse(404, f"Can not find a comment for the id: {comment_id}.")
        return issue, comment

    def _shape(self, comment: Record, request: Request, api: str) -> dict[str, Any]:
        shapes = Shapes(self.jira, version_of(api))
        expand = listed(request, "expand")
        shape = shapes.comment(comment, properties="properties" in expand)
        if "renderedBody" in expand:
            shape["renderedBody"] = shapes.html(comment["body"])
        return shape


def _body(body: Any, version: int) -> Any:
    if body is None or (isinstance(body, str) and not body.strip()):
        raise refuse(400, comment="Comment body can not be empty!")
    try:
        return read_document(body, version)
    except BadValueError as error:
        text = str(error) if isinstance(body, str) and version == 2 else "Comment body is not valid!"
        raise refuse(400, comment=text) from error


def _properties(entries: Any) -> dict[str, Any]:
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("key"), str) for entry in entries
    ):
        raise refuse(400, "'properties' must be an array of objects with key and value.")
    return {entry["key"]: entry.get("value") for entry in entries}


def _visibility(visibility: Any) -> Any:
    if visibility is None or visibility == {}:
        return None
    value = (
        (visibility.get("value") or visibility.get("identifier")) if isinstance(visibility, dict) else None
    )
    if not value or visibility.get("type") not in ("role", "group"):
        raise refuse(
            400, commentLevel="Specify the visibility as type 'role' or 'group' with value or identifier."
        )
    return {"type": visibility["type"], "value": value, "identifier": value}
